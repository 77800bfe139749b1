"""Uniform numbers for dropout masks, the same in both programs: drawn from a seed in either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# By dropout operation: the number that it shares with the other program's, and the mask's shape.
MaskShapes = dict[str, tuple[int, list[int]]]


def uniforms(
    shapes: Mapping[str, tuple[int, Sequence[int]]], batch: int, *seed: int
) -> dict[str, np.ndarray]:
    """Numbers in [0, 1) of shape (batch, *shape) for each dropout operation.

    Masks of one number and as many values are the same, whatever their shape.
    """
    return {
        operation: np.random.default_rng((*seed, number)).random((batch, *shape))
        for operation, (number, shape) in shapes.items()
    }


def mask_shape(per: str, shape: Sequence[int]) -> list[int]:
    """Shape of the mask of a dropout per value, channel or picture; both without the batch axis."""
    if per == "picture":
        return [1] * len(shape)
    return [*(1 for _ in shape[:-1]), shape[-1]] if per == "channel" else list(shape)


_SATURATED = -1.7580993408473766  # SELU's limit: what alpha dropout puts in place of a value


def dropped(x: Any, keep: Any, rate: float, form: str = "") -> Any:
    """A tensor after dropout.

    Args:
        keep: 1 where a value is kept, else 0.
        form: "alpha" of a dropout that keeps mean and variance of SELU's outputs.
    """
    if form != "alpha":
        return x * keep / (1 - rate)
    scale = ((1 - rate) * (1 + rate * _SATURATED**2)) ** -0.5
    return scale * (x * keep + _SATURATED * (1 - keep)) - scale * _SATURATED * rate
