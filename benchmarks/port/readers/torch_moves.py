"""Meaning of PyTorch calls that move, cut or join axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from benchmarks.port.axes import Axes, Axis, pictured, unknown
from benchmarks.port.readers.meaning import (
    Meaning,
    concatenated,
    cropped,
    flipped,
    moved,
    multiplied,
    padded,
    permuted,
    position,
    stacked,
    turned,
)

Read = Callable[[dict[str, Any], list[Axes], Tensor], Meaning]


def _flatten(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    return moved(axes[0], out.shape)


def _permute(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    count = len(axes[0])
    if "source" in b:
        given = [b["source"], b["destination"]]
        source, into = ([d % count for d in ([g] if isinstance(g, int) else g)] for g in given)
        left = iter(d for d in range(count) if d not in source)
        there = dict(zip(into, source, strict=True))
        places = [there[d] if d in there else next(left) for d in range(count)]
    elif "dim0" in b:
        places = list(range(count))
        one, other = b["dim0"] % count, b["dim1"] % count
        places[one], places[other] = other, one
    else:
        places = list(b.get("dims", range(count)[::-1]))
    return permuted(axes[0], places)


def _expand(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    """Axes of size 1 repeated, which sums and products do by themselves."""
    made = tuple(Axis(((a.label or "?", n),)) for a, n in zip(axes[0], out.shape, strict=False))
    if len(axes[0]) != out.dim():
        return Meaning("unread:expand", unknown(out.shape))
    return Meaning("expand", made)


def _cat(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    place = b.get("dim", b.get("axis", 0))
    return concatenated(axes, place, out.shape[place])


def _stack(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    return stacked(axes, b.get("dim", 0))


def _flip(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    return flipped(axes[0], b.get("dims", b.get("1")))


def _turn(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    return turned(axes[0], int(b.get("k", 1)), b.get("dims", (0, 1)))


def _pixels(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    factor = int(b["upscale_factor"])
    return Meaning("pixel_shuffle", pictured(out.shape, first=True), {"factor": factor})


def _pad(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    sides = list(b["pad"])
    width = [[0, 0]] * (len(axes[0]) - len(sides) // 2)
    width += [sides[i : i + 2] for i in range(len(sides) - 2, -1, -2)]
    mode, value = b.get("mode", "constant"), b.get("value") or 0.0
    return padded(axes[0], width, _FILLS.get(mode, float(value)), out.shape)


_FILLS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # in NumPy's words


def _interpolate(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    given = b["input"].shape[2:]
    factor = [m / n for n, m in zip(given, out.shape[2:], strict=True)]
    method = str(b.get("mode", "nearest"))
    constants: dict[str, Any] = {
        "factor": factor,
        "method": "bilinear" if method == "linear" else method,
    }
    if method != "nearest":
        constants["align_corners"] = bool(b.get("align_corners"))
    if b.get("antialias"):
        constants["antialias"] = True
    return Meaning("resize", pictured(out.shape, first=True), constants)


def _crop(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    return cropped(axes[0], b.get("1"), b["input"].shape, out.shape)


def _select(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    place = b["dim"] % len(axes[0])
    return position(axes[0], place, int(b["index"]), int(b["input"].shape[place]))


def _einsum(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    """An einsum that permutes axes, or that is a product of two tensors."""
    if len(axes) == 2:
        return multiplied(axes, str(b.get("0")))
    given, _, made = str(b.get("0")).replace(" ", "").partition("->")
    if sorted(given) != sorted(made) or len(set(given)) != len(given):
        return Meaning("unread:einsum", unknown(out.shape))
    return permuted(axes[0], [given.index(letter) for letter in made])


def _shuffle(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    groups = int(b["groups"])
    return Meaning("shuffle", axes[0], {"axis": "C", "parts": [out.shape[1] // groups, groups]})


RESHAPES = ("flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten", "ravel")
MOVES: dict[str, Read] = {
    **dict.fromkeys(RESHAPES, _flatten),
    **dict.fromkeys(("permute", "movedim", "transpose", "t", "T", "mT"), _permute),
    **dict.fromkeys(("expand", "expand_as"), _expand),
    "cat": _cat,
    "stack": _stack,
    "flip": _flip,
    "rot90": _turn,
    "pixel_shuffle": _pixels,
    "pad": _pad,
    "interpolate": _interpolate,
    "__getitem__": _crop,
    "select": _select,
    "einsum": _einsum,
    "channel_shuffle": _shuffle,
}
