"""Differences between two programs: place, constant, effect, and how to align it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

Stage = Literal[
    "own weights",
    "a bare call",
    "pictures",
    "outputs",
    "training mode",
    "loss",
    "gradients",
    "running statistics",
    "optimizer",
    "schedule",
    "steps",
    "reported loss",
    "start",
    "on a GPU",
]
SAME = 1e-9  # norm-wise, in float64: rounding stays below 1e-12, the smallest planted fault is 1e-7


class Difference(msgspec.Struct, kw_only=True):
    """One difference.

    stage: where it first shows. place: layer or part, as the programs call it.
    constant: which one. a, b: its values, in words.
    effect: how far apart that stage is because of it, norm-wise; 0 where nothing was seen to move.
    shown: "" or how it was shown that this is to blame.
    stated: who states it: both, A, B, or neither: left to the frameworks' defaults.
    where: lines of both programs. align: what to write to make them alike.
    """

    stage: Stage
    place: str
    constant: str
    a: str
    b: str
    effect: float
    shown: str = ""
    stated: str = ""
    where: list[str] = []
    align: list[str] = []

    def __str__(self) -> str:
        return f"{self.place}: {self.constant} ({self.a} in A, {self.b} in B)"


def of_constant(
    stage: Stage,
    place: str,
    constant: str,
    values: tuple[Any, Any],
    effect: float,
    *,
    stated: tuple[list[str], list[str]],
    where: tuple[str, str],
    shown: str = "",
    align: Sequence[str] = (),
) -> Difference:
    """A difference of one constant, with A's and B's of each pair in this order.

    Args:
        values: of the constant. stated: the constants that each program states. where: lines.
    """
    return Difference(
        stage=stage,
        place=place,
        constant=constant,
        a=words(values[0]),
        b=words(values[1]),
        effect=effect,
        shown=shown,
        stated=who_states(constant, *stated),
        where=list(where),
        align=list(align),
    )


def grouped(differences: Sequence[Difference]) -> list[tuple[Difference, list[str]]]:
    """Differences with the places that have the same one in further layers."""
    found: dict[tuple[str, ...], tuple[Difference, list[str]]] = {}
    for one in differences:
        first, places = found.setdefault((one.stage, one.constant, one.a, one.b), (one, []))
        if one is not first:
            places.append(one.place)
    return list(found.values())


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """max|one - other| / max|one|, whatever the shapes; infinite where the sizes differ."""
    if one.size != other.size or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("inf")
    largest = float(np.max(np.abs(one), initial=0.0))
    difference = float(np.max(np.abs(one.reshape(-1) - other.reshape(-1)), initial=0.0))
    return difference / largest if largest else (0.0 if difference == 0 else float("inf"))


def unlike(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The constants whose values differ, by `same`: name, A's value and B's."""
    for name in [*a, *(k for k in b if k not in a)]:
        if not same(a.get(name), b.get(name)):
            yield name, a.get(name), b.get(name)


def rounded(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
    """The constants that are the same but for rounding to float32: name, A's value and B's."""
    for name, x in a.items():
        y = b.get(name)
        if isinstance(x, float) and isinstance(y, float) and x != y and same(x, y):
            yield name, x, y


def same(one: Any, other: Any) -> bool:
    """True if two constants have the same value.

    Numbers may differ by 1e-7 of the larger: one may be kept in float32, whose rounding is 6e-8.
    `Session.round_alike` has both programs compute with one of them.
    """
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return bool(one == other)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= 1e-7 * max(abs(one), abs(other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def words(value: Any) -> str:
    """A constant as people write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and value.startswith("unread:"):
        return f"{value.removeprefix('unread:')}, which is not read"
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, list | tuple):
        flat = [words(v) for v in value]
        if len(flat) == 1:
            return flat[0]
        if len(flat) == 2 and flat[0] == flat[1] and not isinstance(value[0], list | tuple):
            return flat[0]
        return f"({', '.join(flat)})"
    return str(value)


def who_states(constant: str, a: list[str], b: list[str]) -> str:
    """The programs that state a constant: "neither", "A", "B" or "both"."""
    found = [name for name, stated in (("A", a), ("B", b)) if constant in stated]
    return {0: "neither", 1: "".join(found), 2: "both"}[len(found)]
