"""Meaning of each axis of a tensor, followed through a program, and its canonical order.

An axis is a tuple of atoms (label, size): a flattened picture of PyTorch has one axis of the atoms
C, H, W after the batch N. The canonical order is N, H, W, C, also inside an axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_RANK = {"N": 0, "H": 1, "W": 2, "C": 3}


@dataclass(frozen=True)
class Axis:
    """One axis: its atoms in the order of the program, or `parts` where axes were concatenated."""

    atoms: tuple[tuple[str, int], ...]
    parts: tuple[Axis, ...] = ()

    @property
    def size(self) -> int:
        """The number of its positions."""
        return (
            sum(p.size for p in self.parts) if self.parts else math.prod(n for _, n in self.atoms)
        )

    @property
    def label(self) -> str:
        """The label of the one atom larger than one; "" where there are several."""
        large = [label for label, size in self.atoms if size > 1] or [a for a, _ in self.atoms[:1]]
        return large[0] if len(large) == 1 and not self.parts else ""

    def order(self) -> np.ndarray | None:
        """The program's index of each canonical position, int64 (size,); None when they agree."""
        if self.parts:
            starts = np.cumsum([0, *(p.size for p in self.parts)])
            orders = [p.order() for p in self.parts]
            if all(order is None for order in orders):
                return None
            return np.concatenate(
                [
                    start + (np.arange(p.size) if order is None else order)
                    for start, p, order in zip(starts, self.parts, orders, strict=False)
                ]
            )
        large = [atom for atom in self.atoms if atom[1] > 1]
        ranked = sorted(range(len(large)), key=lambda i: (_RANK.get(large[i][0], 9), i))
        if ranked == list(range(len(large))):
            return None
        sizes = [size for _, size in large]
        return np.arange(math.prod(sizes)).reshape(sizes).transpose(ranked).ravel()


Axes = tuple[Axis, ...]


def labelled(labels: Sequence[str], sizes: Sequence[int]) -> Axes:
    """Axes of one atom each: labelled("NCHW", (8, 3, 69, 69))."""
    return tuple(Axis(((label, int(size)),)) for label, size in zip(labels, sizes, strict=True))


def unknown(sizes: Sequence[int]) -> Axes:
    """Axes of which nothing but the batch is known."""
    return tuple(Axis((("N" if i == 0 else f"?{i}", int(n)),)) for i, n in enumerate(sizes))


def reshaped(axes: Axes, sizes: Sequence[int]) -> Axes | None:
    """The axes after a reshape that merges or drops whole atoms; None where it cuts one."""
    if any(axis.parts for axis in axes):
        return None
    atoms = [atom for axis in axes for atom in axis.atoms if atom[1] > 1 or atom[0] == "N"]
    made = []
    for size in map(int, sizes):
        taken: list[tuple[str, int]] = []
        while atoms and math.prod(n for _, n in taken) * atoms[0][1] <= size:
            if taken and math.prod(n for _, n in taken) == size:
                break
            taken.append(atoms.pop(0))
        if math.prod(n for _, n in taken) != size:
            return None
        made.append(Axis(tuple(taken) or (("?", 1),)))
    return tuple(made) if not atoms else None


def cropping(key: Any, sizes: Sequence[int], labels: Sequence[str]) -> list[list[int]] | None:
    """Rows and columns that an index cuts off: [[top, bottom], [left, right]].

    None of an index that does more: a step, a channel, a picture.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    if sum(one is Ellipsis for one in keys) == 1:
        place = next(i for i, one in enumerate(keys) if one is Ellipsis)
        keys[place : place + 1] = [slice(None)] * (len(sizes) - len(keys) + 1)
    found = {}
    for one, size, label in zip(keys, sizes, labels, strict=False):
        if not isinstance(one, slice) or one.step not in (None, 1):
            return None
        start, stop, _ = one.indices(int(size))
        found[label] = [start, int(size) - stop]
    if any(any(cut) for label, cut in found.items() if label not in ("H", "W")):
        return None
    return [found.get(label, [0, 0]) for label in "HW"]


def places(axes: Axes) -> list[int]:
    """The axes in canonical order; as they are where one has no single label."""
    labels = [axis.label for axis in axes]
    if len(axes) != 4 or sorted(labels) != sorted("NHWC"):
        if set(labels) <= set("NHWC") and len(set(labels)) == len(labels):
            return sorted(range(len(axes)), key=lambda i: _RANK[labels[i]])
        return list(range(len(axes)))
    return sorted(range(4), key=lambda i: _RANK[labels[i]])


def canonical(value: np.ndarray, axes: Axes) -> np.ndarray:
    """An array in the program's layout, in the canonical one."""
    for place, axis in enumerate(axes):
        order = axis.order()
        if order is not None:
            value = np.take(value, order, axis=place)
    return np.array(value.transpose(places(axes)), order="C")


def native(value: np.ndarray, axes: Axes) -> np.ndarray:
    """The inverse of `canonical`."""
    value = value.transpose(np.argsort(places(axes)))
    for place, axis in enumerate(axes):
        order = axis.order()
        if order is not None:
            value = np.take(value, np.argsort(order), axis=place)
    return np.array(value, order="C")  # a copy: strides of axes of size 1 decide PyTorch's layout


def spread(sizes: Sequence[int], axes: Axes) -> list[int]:
    """A shape in the program's layout, in the canonical one."""
    return [int(sizes[place]) for place in places(axes)]


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and after an axis that TensorFlow's SAME adds."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2
