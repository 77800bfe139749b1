"""Meaning of each axis of a tensor, followed through a program, and its canonical order.

An axis is a tuple of atoms (label, size): a flattened picture of PyTorch has one axis of the atoms
C, H, W after the batch N. A reshape that cuts H makes H0 and H1 of it, the coarse part first. The
canonical order is N, D, H, W, C, also inside an axis; a spectrum has W alone, a cube D, H and W.
Kernels have I or a picture's axes for what they read and O for what they make; their canonical
order is D, H, W, I, O.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_ORDER = "NSDHWCIO"  # S: tensors that were stacked
SPATIAL = "DHW"


def _rank(label: str) -> tuple[int, str]:
    place = _ORDER.find(label[0])
    return (place if place >= 0 else 9, label)


@dataclass(frozen=True)
class Axis:
    """One axis: its atoms in the order of the program, or `parts` where axes were concatenated.

    flipped: the last position is the first of the canonical order.
    """

    atoms: tuple[tuple[str, int], ...]
    parts: tuple[Axis, ...] = ()
    flipped: bool = False

    @property
    def shuffled(self) -> bool:
        """True if the axis is all of one label, with its parts in another order."""
        return len(self.large) > 1 and len({label[0] for label, _ in self.large}) == 1

    @property
    def size(self) -> int:
        """The number of its positions."""
        return (
            sum(p.size for p in self.parts) if self.parts else math.prod(n for _, n in self.atoms)
        )

    @property
    def large(self) -> list[tuple[str, int]]:
        """The atoms larger than one; the first where none is."""
        return [atom for atom in self.atoms if atom[1] > 1] or list(self.atoms[:1])

    @property
    def label(self) -> str:
        """The label of the one atom larger than one; "" where there are several."""
        return self.large[0][0] if len(self.large) == 1 and not self.parts else ""

    @property
    def words(self) -> str:
        """The axis in words that are the same in every program: HW of the positions in a row."""
        if self.parts:
            known = dict.fromkeys(p.words for p in self.parts if "?" not in p.words)
            return "+".join(known)
        return "".join(label for label, _ in sorted(self.large, key=lambda a: _rank(a[0])))

    @property
    def first(self) -> tuple[int, str]:
        """The place of the axis among others."""
        if self.parts:
            return min(part.first for part in self.parts)
        return min(_rank(label) for label, _ in self.large) if self.atoms else (9, "")

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
        if self.flipped:
            return np.arange(self.size)[::-1]
        large = [atom for atom in self.atoms if atom[1] > 1]
        ranked = sorted(range(len(large)), key=lambda i: (_rank(large[i][0]), i))
        if ranked == list(range(len(large))):
            return None
        sizes = [size for _, size in large]
        return np.arange(math.prod(sizes)).reshape(sizes).transpose(ranked).ravel()


Axes = tuple[Axis, ...]


def labelled(labels: Sequence[str], sizes: Sequence[int]) -> Axes:
    """Axes of one atom each: labelled("NCHW", (8, 3, 69, 69))."""
    return tuple(Axis(((label, int(size)),)) for label, size in zip(labels, sizes, strict=True))


def pictured(sizes: Sequence[int], *, first: bool = False) -> Axes:
    """Axes of a batch of pictures, spectra, cubes or rows of features, by their number.

    Args:
        first: channels stand ahead of rows and columns.
    """
    rows = SPATIAL[len(SPATIAL) + 2 - len(sizes) :] if len(sizes) > 2 else ""
    return labelled(f"NC{rows}" if first else f"N{rows}C", sizes)


def each(value: Any, count: int) -> list[int]:
    """A number for each axis of a picture, of what a framework takes for all; 1 of None."""
    if not isinstance(value, list | tuple):
        return [1 if value is None else int(value)] * count
    return [int(one) for one in value] * (count if len(value) == 1 else 1)


def unknown(sizes: Sequence[int]) -> Axes:
    """Axes of which nothing but the batch is known."""
    return tuple(Axis((("N" if i == 0 else f"?{i}", int(n)),)) for i, n in enumerate(sizes))


def resized(axes: Axes, sizes: Sequence[int]) -> Axes:
    """The same axes with other sizes."""
    return labelled([axis.label or axis.words or "?" for axis in axes], sizes)


def reshaped(axes: Axes, sizes: Sequence[int]) -> Axes | None:
    """The axes after a reshape that merges, drops or cuts atoms; None where it does more.

    What cuts an atom and joins its part to another one at once does more: as a rule the program
    meant to change the order of axes. An axis may have the parts of one atom in another order.
    """
    whole = {f"?+{i}": axis for i, axis in enumerate(axes) if axis.parts}  # which stay as they are
    named = [[(f"?+{i}", a.size)] if a.parts else a.atoms for i, a in enumerate(axes)]
    atoms = [atom for each in named for atom in each if atom[1] > 1 or atom[0] == "N"]
    made: list[Axis] = []
    cut: set[str] = set()
    for size in map(int, sizes):
        taken: list[tuple[str, int]] = []
        while math.prod(n for _, n in taken) < size or (atoms and not made and not taken):
            left = size // math.prod(n for _, n in taken)
            if not atoms:
                return None
            label, count = atoms.pop(0)
            if count > left:
                if count % left or label[0] in "N?":
                    return None
                atoms.insert(0, (f"{label}1", count // left))
                label, count = f"{label}0", left
                cut |= {label, atoms[0][0]}
            taken.append((label, count))
        if math.prod(n for _, n in taken) != size or (
            len(taken) > 1 and cut & {a for a, _ in taken}
        ):
            return None
        if len(taken) > 1 and whole.keys() & {label for label, _ in taken}:
            return None
        plain = Axis(tuple(_joined(taken)) or (("?", 1),))
        made.append(whole.get(plain.atoms[0][0], plain))
    return tuple(made) if not atoms else None


def _joined(atoms: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Atoms with both parts of a cut one, side by side in their order, as that one."""
    made: list[tuple[str, int]] = []
    for label, size in atoms:
        made.append((label, size))
        while len(made) > 1:
            (one, n), (other, m) = made[-2:]
            if one[:-1] != other[:-1] or (one[-1:], other[-1:]) != ("0", "1"):
                break
            made[-2:] = [(one[:-1], n * m)]
    return made


def within(labels: Sequence[str]) -> list[str]:
    """The labels that are axes of a picture, in canonical order."""
    return [label for label in SPATIAL if label in labels]


def cropping(key: Any, sizes: Sequence[int], labels: Sequence[str]) -> list[list[int]] | None:
    """Rows and columns that an index cuts off: [[top, bottom], [left, right]], as many pairs as the
    picture has axes.

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
    if any(any(cut) for label, cut in found.items() if label not in within(labels)):
        return None
    return [found.get(label, [0, 0]) for label in within(labels)]


def places(axes: Axes) -> list[int]:
    """The axes in canonical order; as they are, but for O, where one of them is not known."""
    firsts = [axis.first for axis in axes]
    if any(rank == 9 and axis.size > 1 for (rank, _), axis in zip(firsts, axes, strict=True)):
        return sorted(range(len(axes)), key=lambda i: axes[i].label == "O")
    return sorted(range(len(axes)), key=lambda i: (firsts[i], i))


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
