"""Meaning of PyTorch calls that move, cut or join axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from benchmarks.port.axes import Axes, Axis, cropping, labelled, reshaped, unknown
from benchmarks.port.readers.meaning import Meaning


def _flatten(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    made = reshaped(axes[0], out.shape)
    if made is None:
        return Meaning("reshape", unknown(out.shape), {"shape": list(out.shape[1:])})
    merges = any(len([a for a in axis.atoms if a[1] > 1]) > 1 for axis in made)
    before = any(len([a for a in axis.atoms if a[1] > 1]) > 1 for axis in axes[0])
    return Meaning("flatten" if merges and not before else "squeeze", made)


def _permute(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    count = len(axes[0])
    if "source" in b:
        given = [b["source"], b["destination"]]
        source, into = ([d % count for d in ([g] if isinstance(g, int) else g)] for g in given)
        left = iter(d for d in range(count) if d not in source)
        moved = dict(zip(into, source, strict=True))
        places = [moved[d] if d in moved else next(left) for d in range(count)]
    elif "dim0" in b:
        places = list(range(count))
        one, other = b["dim0"] % count, b["dim1"] % count
        places[one], places[other] = other, one
    else:
        places = [d % count for d in b["dims"]]
    return Meaning("layout", tuple(axes[0][p] for p in places))


def _expand(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    """Axes of size 1 repeated, which sums and products do by themselves."""
    made = tuple(Axis(((a.label or "?", n),)) for a, n in zip(axes[0], out.shape, strict=False))
    if len(axes[0]) != out.dim():
        return Meaning("unread:expand", unknown(out.shape))
    return Meaning("expand", made)


def _cat(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    place = b.get("dim", b.get("axis", 0)) % len(axes[0])
    atoms = [a[place] for a in axes]
    if all(axis.label == "C" and not axis.parts for axis in atoms) or len(axes[0]) == 4:
        joined = Axis(((axes[0][place].label or "?", out.shape[place]),))
    else:
        joined = Axis((), tuple(atoms))
    made = (*axes[0][:place], joined, *axes[0][place + 1 :])
    return Meaning("concatenate", made, {"axis": axes[0][place].label or "C"})


def _pad(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    sides = list(b["pad"])
    labels = [axis.label for axis in axes[0]]
    found = {labels[-1 - i]: sides[2 * i : 2 * i + 2] for i in range(len(sides) // 2)}
    mode, value = b.get("mode", "constant"), b.get("value") or 0.0
    pad = [list(found.get("H", [0, 0])), list(found.get("W", [0, 0]))]
    if set(found) - {"H", "W"}:
        return Meaning(f"unread:pad {mode}", labelled("NCHW", out.shape))
    resized = tuple(Axis(((a.label, n),)) for a, n in zip(axes[0], out.shape, strict=True))
    return Meaning("pad", resized, {"padding": pad, "value": _FILLS.get(mode, float(value))})


_FILLS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # in NumPy's words


def _interpolate(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    given = b["input"].shape[2:]
    factor = [m / n for n, m in zip(given, out.shape[2:], strict=True)]
    constants = {"factor": factor, "method": b.get("mode", "nearest")}
    if constants["method"] != "nearest":
        constants["align_corners"] = bool(b.get("align_corners"))
    return Meaning("resize", labelled("NCHW", out.shape), constants)


def _crop(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    key = b.get("1")
    cut = cropping(key, b["input"].shape, [axis.label for axis in axes[0]])
    if cut is None:
        return Meaning("unread:an index", unknown(out.shape))
    resized = tuple(Axis(((a.label, n),)) for a, n in zip(axes[0], out.shape, strict=True))
    return Meaning("crop", resized, {"cropping": cut})


def _einsum(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    """An einsum that permutes axes, and no other."""
    given, _, made = str(b.get("0")).replace(" ", "").partition("->")
    if sorted(given) != sorted(made) or len(set(given)) != len(given):
        return Meaning("unread:einsum", unknown(out.shape))
    return Meaning("layout", tuple(axes[0][given.index(letter)] for letter in made))


MOVES: dict[str, Callable[[dict[str, Any], list[Axes], Tensor], Meaning]] = {
    **dict.fromkeys(
        ("flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten", "ravel"), _flatten
    ),
    **dict.fromkeys(("permute", "movedim", "transpose"), _permute),
    **dict.fromkeys(("expand", "expand_as"), _expand),
    "cat": _cat,
    "pad": _pad,
    "interpolate": _interpolate,
    "__getitem__": _crop,
    "einsum": _einsum,
}
