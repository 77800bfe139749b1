"""Meaning of a library call, before it is an operation of the listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.port.axes import Axes


def limited(low: Any, high: Any) -> dict[str, Any]:
    """Constants of an activation between two limits, which may be None."""
    if low == 0 and high in (6, None):
        return {"function": "relu6" if high else "relu"}
    return {"function": "clip", "low": low, "high": high}


def shifted(kind: str, value: Any, *, ahead: bool = False) -> dict[str, Any] | None:
    """Constants of a rescale by a number, or by one for each channel; None of what is no rescale.

    Args:
        kind: add, sub, mul or div. ahead: the number stands first, as in 1 - x.
    """
    given = np.asarray(value, np.float64)
    one, none = np.ones_like(given), np.zeros_like(given)
    if kind == "div" and (ahead or not given.all()):
        return None
    scale = {"mul": given, "div": 1 / given if kind == "div" else one}.get(kind, one)
    offset = {"add": given, "sub": given if ahead else -given}.get(kind, none)
    scale = -one if kind == "sub" and ahead else scale
    return {"scale": scale.tolist(), "offset": offset.tolist()}


def parted(kind: str, given: Sequence[int], made: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Kind and constants of an adaptive pool: a plain one where its parts are even.

    Args:
        given: rows and columns. made: those afterwards.
    """
    size = [int(n // m) for n, m in zip(given, made, strict=True)]
    if any(n % m for n, m in zip(given, made, strict=True)):
        return f"adaptive_{kind}", {"parts": [int(m) for m in made]}
    return kind, {"size": size, "stride": size, "padding": [[0, 0], [0, 0]]}


@dataclass
class Meaning:
    """kind and constants of an operation, the axes of its output, and its weights by role.

    parameters: role to (tensor, axes); the axes say how the tensor is turned to canonical order.
    """

    kind: str
    axes: Axes | None
    constants: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, tuple[Any, Axes]] = field(default_factory=dict)
