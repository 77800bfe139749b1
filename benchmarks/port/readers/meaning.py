"""Meaning of a library call, before it is an operation of the listing; and the meanings that do not
depend on the library: moves of axes, means over them, arithmetic with numbers, joins and cuts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.port.axes import SPATIAL, Axes, Axis, cropping, reshaped, resized, unknown, within


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


def powered(axes: Axes, exponent: Any) -> Meaning:
    """A power of single values."""
    if not isinstance(exponent, int | float):
        return Meaning("unread:a power of its own kind", axes)
    named = {2: "square", 0.5: "sqrt", -1: "reciprocal", -0.5: "rsqrt", 1: "linear"}
    if exponent in named:
        return Meaning("activation", axes, {"function": named[exponent]})
    return Meaning("activation", axes, {"function": "power", "exponent": float(exponent)})


def parted(kind: str, given: Sequence[int], made: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Kind and constants of an adaptive pool: a plain one where its parts are even.

    Args:
        given: axes of the picture. made: those afterwards.
    """
    size = [int(n // m) for n, m in zip(given, made, strict=True)]
    if any(n % m for n, m in zip(given, made, strict=True)):
        return f"adaptive_{kind}", {"parts": [int(m) for m in made]}
    return kind, whole_pool(size)


def whole_pool(size: Sequence[int]) -> dict[str, Any]:
    """Constants of a pool whose windows stand side by side."""
    return {"size": list(size), "stride": list(size), "padding": [[0, 0] for _ in size]}


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


def over(kind: str, axes: Axes, dims: Any, *, kept: bool, **said: Any) -> Meaning:
    """A mean, maximum, sum or the like over axes; a pool over the whole picture where it is one.

    Args:
        kind: mean, max, ... dims: an axis, several, or None for all. kept: with size 1.
        said: further constants.
    """
    given = range(len(axes)) if dims is None else [dims] if isinstance(dims, int) else dims
    places = {int(d) % len(axes) for d in given}
    left = tuple(
        Axis(((a.label or "?", 1),)) if i in places else a
        for i, a in enumerate(axes)
        if kept or i not in places
    )
    gone = [atom for i in sorted(places) for atom in axes[i].large if not axes[i].parts]
    size = {label: int(n) for label, n in gone if n > 1 or label in SPATIAL}
    picture = within([label for axis in axes for label, _ in axis.atoms])
    usual = [*size] == picture == [*SPATIAL[len(SPATIAL) - len(size) :]]
    if kind in _POOLS and size and usual and not any(axes[i].parts for i in places):
        return Meaning(_POOLS[kind], left, whole_pool([*size.values()]))
    names = sorted(axes[i].words for i in places if axes[i].size > 1)
    return Meaning(kind, left, {"axes": names, **said})


_POOLS = {"mean": "average_pool", "max": "max_pool"}


def stacked(axes: Sequence[Axes], place: int) -> Meaning:
    """Tensors side by side along a new axis."""
    place %= len(axes[0]) + 1
    made = (*axes[0][:place], Axis((("S", len(axes)),)), *axes[0][place:])
    return Meaning("stack", made)


def flipped(axes: Axes, dims: Any) -> Meaning:
    """Axes in reverse."""
    dims = [dims] if isinstance(dims, int) else dims
    return Meaning("flip", axes, {"axes": sorted(axes[d].words for d in dims)})


def turned(axes: Axes, times: int, dims: Sequence[int]) -> Meaning:
    """Pictures turned by right angles, from the first of two axes to the second."""
    one, other = (d % len(axes) for d in dims)
    words = axes[one].words, axes[other].words
    times = (times if words == tuple(sorted(words)) else -times) % 4
    sizes = [axis.size for axis in axes]
    if times % 2:
        sizes[one], sizes[other] = sizes[other], sizes[one]
    return Meaning("turn", resized(axes, sizes), {"times": times})


def concatenated(axes: Sequence[Axes], place: int, size: int) -> Meaning:
    """Tensors side by side along one axis."""
    known = min(axes, key=lambda one: sum(axis.first[0] == 9 for axis in one))
    place %= len(known)
    label = known[place].label
    picture = {"N", "C", *SPATIAL}
    if len(known) > 3 or all(one[place].label in picture for one in axes):
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
    if any(any(pair) for label, pair in found.items() if label not in within([*found])):
        return Meaning("unread:pad", resized(axes, sizes))
    padding = [found[label] for label in within([*found])]
    return Meaning("pad", resized(axes, sizes), {"padding": padding, "value": value})


def cropped(axes: Axes, key: Any, given: Sequence[int], sizes: Sequence[int]) -> Meaning:
    """An index that cuts rows and columns off, takes a part of an axis, or one position of it."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if sum(one is Ellipsis for one in keys) == 1 and None not in keys:
        at = next(i for i, one in enumerate(keys) if one is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (len(axes) - len(keys) + 1)
    if any(one is None for one in keys):  # a new axis, and nothing else
        plain = all(one in (None, Ellipsis, slice(None)) for one in keys)
        return moved(axes, sizes) if plain else Meaning("unread:an index", unknown(sizes))
    cut = cropping(key, given, [axis.label for axis in axes])
    if cut is not None:
        return Meaning("crop", resized(axes, sizes), {"cropping": cut})
    taken = [(i, one) for i, one in enumerate(keys) if one != slice(None)]
    if len(taken) == 1 and isinstance(taken[0][1], int):
        return position(axes, *taken[0], int(given[taken[0][0]]))
    if len(taken) == 1 and isinstance(taken[0][1], slice):
        place, one = taken[0]
        names = ("start", "stop", "step")
        part = dict(zip(names, one.indices(int(given[place])), strict=True))
        return Meaning("slice", resized(axes, sizes), {"axis": axes[place].words, **part})
    return Meaning("unread:an index", unknown(sizes))


def position(axes: Axes, place: int, at: int, size: int) -> Meaning:
    """One position of an axis. One of the coarse part of a cut axis is a part of the whole axis."""
    left, label, at = [*axes[:place], *axes[place + 1 :]], axes[place].label, at % size
    fine = [i for i, axis in enumerate(left) if label and axis.label.startswith(f"{label[:-1]}1")]
    if label[1:] != "0" or not fine:
        return Meaning("position", tuple(left), {"axis": axes[place].words, "position": at})
    for i in fine:  # what is left of the axis bears its name
        left[i] = Axis(((label[0] + left[i].label[2:], left[i].size),))
    part = math.prod(left[i].size for i in fine)
    return Meaning("split", tuple(left), {"part": at, "axis": label[0], "sizes": [part] * size})


def broadcast(weight: Sequence[int], axes: Axes) -> Axes:
    """Axes of a weight that meets a tensor of these axes in a sum or a product."""
    beside = axes[len(axes) - len(weight) :]
    return tuple(
        axis if n == axis.size else Axis(((axis.label or axis.words or "?", int(n)),))
        for n, axis in zip(weight, beside, strict=True)
    )


def multiplied(axes: Sequence[Axes], letters: str) -> Meaning:
    """A product of two tensors that is summed over one axis.

    Args:
        letters: of their axes and of the output's, as `einsum` has them; "" of matrices.
    """
    if not letters:
        outer = "abcdefgh"[: len(axes[0]) - 2]
        letters = f"{outer}xy,{outer}yz->{outer}xz"
    given, _, out = letters.replace(" ", "").partition("->")
    one, _, other = given.partition(",")
    lengths = [len(one), len(other)] == [len(a) for a in axes] and "." not in letters
    both = [letter for letter in one if letter in other]
    summed = [letter for letter in both if letter not in out]
    if not lengths or len(summed) != 1 or {*out} != {*one, *other} - {*summed}:
        return Meaning("unread:a product of tensors", None)
    by = dict(zip(other, axes[1], strict=True)) | dict(zip(one, axes[0], strict=True))
    outer_sizes = [by[k].size for k in both if k in out and by[k].label != "N"]
    over = by[summed[0]]
    constants = {"over": over.words, "heads": math.prod(outer_sizes), "size": over.size}
    return Meaning("matmul", tuple(by[k] for k in out), constants)


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
