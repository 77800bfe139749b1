"""Uniform numbers for dropout masks, the same in both programs: drawn from a seed in either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
