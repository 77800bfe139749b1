"""Augmentation that a framework draws by itself (`augment.by` is "framework")."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from datasets.drawn.settings import Augment
from frameworks.spec.reading import SpecificationError

_HOW = {"by", "interpolation", "edge"}
_EACH = {"flip", "zoom", "rotation", "shift", "shrink", "contrast", "brightness", "noise"} | _HOW
# By the column of `defaults.NATIVE`: fields of which the framework, or what its users write by
# hand, draws its own.
OWN: Mapping[str, set[str]] = {
    "keras": _EACH | {"saturation", "hue"},
    "torch": _EACH | {"shear", "saturation"},
    "flax": _EACH | {"shear"},
}


def check(
    settings: Augment | None, framework: str, column: str, parity: str, replicas: int
) -> None:
    """Check that the framework can draw by itself what is to be drawn so.

    Raises:
        SpecificationError: matched parity, several replicas, or a field that the framework lacks.
    """
    if settings is None or settings.by != "framework":
        return
    problem = ""
    if parity == "matched":
        problem = (
            "parity matched gives every framework the same pictures; use parity native, or take "
            "by out"
        )
    elif replicas > 1:
        problem = "it trains on one replica; use replicas 1, or take by out"
    elif lacking := [name for name in msgspec.to_builtins(settings) if not _has(column, name)]:
        problem = f"{framework} has no {lacking[0]} of its own; take {lacking[0]} out, or by"
    if problem:
        raise SpecificationError(f"augment: by is 'framework', and {problem}.")


def _has(column: str, name: str) -> bool:
    return name in OWN.get(column, _HOW)


def taken_from(
    settings: Augment, xp: Any, uniform: Callable[[float, float], Any], height: int, width: int
) -> tuple[Any, ...]:
    """Sources of the pixels of moved pictures: (a, b, c, d, e, f), each (batch,).

    A pixel (row, column) from the middle comes from (a row + b column + c, d row + e column + f)
    from the middle, in pixels, as in `datasets.drawn.moves`.

    Args:
        xp: has cos, sin and tan of the framework's arrays.
        uniform: draws (batch,) numbers between two.
    """

    def either_way(most: float) -> Any:
        return uniform(-most, most)

    zoom, angle = uniform(*settings.zoom), either_way(math.radians(settings.rotation))
    shear = xp.tan(either_way(math.radians(settings.shear)))
    down, right = either_way(settings.shift * height), either_way(settings.shift * width)
    tall, wide = uniform(*settings.shrink), uniform(*settings.shrink)
    a, b = xp.cos(angle) / zoom, xp.sin(angle) / zoom
    d, e = -b - shear * a, a - shear * b
    return a * tall, b * wide, -a * down - b * right, d * tall, e * wide, -d * down - e * right
