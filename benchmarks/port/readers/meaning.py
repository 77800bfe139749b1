"""Meaning of a library call, before it is an operation of the listing; and the meanings that do not
depend on the library: moves of axes, means over them, arithmetic with numbers, joins and cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.port.axes import Axes, Axis, cropping, reshaped, resized, unknown


@dataclass
class Meaning:
    """kind and constants of an operation, the axes of its output, and its weights by role.

    parameters: role to (tensor, axes); the axes say how the tensor is turned to canonical order.
        A shape that has these axes stands third where it is not the tensor's own.
    """

    kind: str
    axes: Axes | None
    constants: dict[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


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


def by_channel(value: np.ndarray | None, axes: Axes) -> np.ndarray | None:
    """A number of the program, or one for each channel; None of anything else."""
    if value is None or value.ndim > len(axes):
        return None
    large = [place - value.ndim for place, n in enumerate(value.shape) if n > 1]
    if not large:
        return value.reshape(())
    return value.reshape(-1) if len(large) == 1 and axes[large[0]].label == "C" else None


def arithmetic(kind: str, axes: Sequence[Axes], value: Any, *, ahead: bool = False) -> Meaning:
    """A sum, difference, product or quotient of tensors, or of one and a constant of the program.

    Args:
        kind: add, sub, mul or div. axes: of the tensors.
        value: a number or one for each channel; None of anything else.
    """
    longest = max(axes, key=len)
    if len(axes) > 1:
        return Meaning({"mul": "multiply", "sub": "subtract"}.get(kind, kind), longest)
    made = None if value is None else shifted(kind, value, ahead=ahead)
    if made is None:
        return Meaning(f"unread:{kind} with a tensor", longest)
    return Meaning("rescale", longest, made)


def parted(kind: str, given: Sequence[int], made: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Kind and constants of an adaptive pool: a plain one where its parts are even.

    Args:
        given: rows and columns. made: those afterwards.
    """
    size = [int(n // m) for n, m in zip(given, made, strict=True)]
    if any(n % m for n, m in zip(given, made, strict=True)):
        return f"adaptive_{kind}", {"parts": [int(m) for m in made]}
    return kind, {"size": size, "stride": size, "padding": [[0, 0], [0, 0]]}


def moved(axes: Axes, sizes: Sequence[int]) -> Meaning:
    """A reshape: a flatten or squeeze where it merges or drops axes, and else what it is."""
    made = reshaped(axes, sizes)
    if made is None:
        return Meaning("reshape", unknown(sizes), {"shape": [int(n) for n in sizes[1:]]})
    mixed = [axis for axis in made if axis.shuffled]
    if mixed:
        words = {"axis": mixed[0].atoms[0][0][0], "parts": [n for _, n in mixed[0].large]}
        whole = tuple(Axis(((a.large[0][0][0], a.size),)) if a.shuffled else a for a in made)
        return Meaning("shuffle", whole, words)
    merges, before = (any(len(axis.large) > 1 for axis in one) for one in (made, axes))
    return Meaning("flatten" if merges and not before else "squeeze", made)


def permuted(axes: Axes, places: Sequence[int]) -> Meaning:
    """Axes in another order."""
    return Meaning("layout", tuple(axes[p % len(axes)] for p in places))


def over(kind: str, axes: Axes, dims: Any, *, kept: bool) -> Meaning:
    """A mean, maximum or minimum over axes; a pool over the whole picture where that is what it is.

    Args:
        kind: mean, max or min. dims: an axis, several, or None for all. kept: with size 1.
    """
    given = range(len(axes)) if dims is None else [dims] if isinstance(dims, int) else dims
    places = {int(d) % len(axes) for d in given}
    left = tuple(
        Axis(((a.label or "?", 1),)) if i in places else a
        for i, a in enumerate(axes)
        if kept or i not in places
    )
    gone = [atom for i in sorted(places) for atom in axes[i].large if not axes[i].parts]
    size = {label: int(n) for label, n in gone}
    if sorted(size) == ["H", "W"] and not any(axes[i].parts for i in places) and kind != "min":
        whole = [size["H"], size["W"]]
        constants = {"size": whole, "stride": whole, "padding": [[0, 0], [0, 0]]}
        return Meaning({"mean": "average_pool", "max": "max_pool"}[kind], left, constants)
    return Meaning(kind, left, {"axes": sorted(axes[i].words for i in places)})


def concatenated(axes: Sequence[Axes], place: int, size: int) -> Meaning:
    """Tensors side by side along one axis."""
    known = min(axes, key=lambda one: sum(axis.first[0] == 9 for axis in one))
    place %= len(known)
    label = known[place].label
    if len(known) == 4 or all(one[place].label == "C" and not one[place].parts for one in axes):
        joined = Axis(((label or "?", int(size)),))
    else:
        joined = Axis((), tuple(one[place] for one in axes))
    made = (*known[:place], joined, *known[place + 1 :])
    return Meaning("concatenate", made, {"axis": label or known[place].words or "C"})


def padded(axes: Axes, width: Sequence[Sequence[int]], value: Any, sizes: Sequence[int]) -> Meaning:
    """Rows and columns added.

    Args:
        width: before and after, by axis. value: a number, or a word for what is repeated.
    """
    found = {axis.label: [int(n) for n in pair] for axis, pair in zip(axes, width, strict=True)}
    if any(any(pair) for label, pair in found.items() if label not in ("H", "W")):
        return Meaning("unread:pad", resized(axes, sizes))
    padding = [found.get(label, [0, 0]) for label in "HW"]
    return Meaning("pad", resized(axes, sizes), {"padding": padding, "value": value})


def cropped(axes: Axes, key: Any, given: Sequence[int], sizes: Sequence[int]) -> Meaning:
    """An index that cuts rows and columns off, or that takes one position of an axis."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(one is None for one in keys):  # a new axis, and nothing else
        plain = all(one in (None, Ellipsis, slice(None)) for one in keys)
        return moved(axes, sizes) if plain else Meaning("unread:an index", unknown(sizes))
    cut = cropping(key, given, [axis.label for axis in axes])
    if cut is not None:
        return Meaning("crop", resized(axes, sizes), {"cropping": cut})
    taken = [(i, one) for i, one in enumerate(keys) if isinstance(one, int)]
    if len(taken) == 1 and all(
        one == slice(None) for i, one in enumerate(keys) if i != taken[0][0]
    ):
        place, at = taken[0]
        left = (*axes[:place], *axes[place + 1 :])
        at = at % int(given[place])
        return Meaning("position", left, {"axis": axes[place].words, "position": at})
    return Meaning("unread:an index", unknown(sizes))


def broadcast(weight: Sequence[int], axes: Axes) -> Axes:
    """Axes of a weight that meets a tensor of these axes in a sum or a product."""
    beside = axes[len(axes) - len(weight) :]
    return tuple(
        axis if n == axis.size else Axis(((axis.label or axis.words or "?", int(n)),))
        for n, axis in zip(weight, beside, strict=True)
    )


def attention(
    axes: Axes, heads: int, sizes: Sequence[int], roles: Mapping[str, tuple[Any, ...]], **said: Any
) -> Meaning:
    """Attention of several heads, with the four dense layers around it.

    Args:
        sizes: numbers a head of query (and key) and of value. roles: the weights. said: further
            constants; those that are None or False are left out.
    """
    constants = {"heads": int(heads), "key_size": int(sizes[0]), "value_size": int(sizes[1])}
    own = {name: value for name, value in said.items() if value not in (None, False)}
    made = (*axes[:-1], Axis((("C", int(sizes[2])),)))
    return Meaning("attention", made, constants | own, roles)
