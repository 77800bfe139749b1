"""Meaning of a library call, before it is an operation of the listing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.port.axes import Axes


def limited(low: Any, high: Any) -> dict[str, Any]:
    """Constants of an activation between two limits, which may be None."""
    if low == 0 and high in (6, None):
        return {"function": "relu6" if high else "relu"}
    return {"function": "clip", "low": low, "high": high}


@dataclass
class Meaning:
    """kind and constants of an operation, the axes of its output, and its weights by role.

    parameters: role to (tensor, axes); the axes say how the tensor is turned to canonical order.
    """

    kind: str
    axes: Axes | None
    constants: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, tuple[Any, Axes]] = field(default_factory=dict)
