"""Copies of training galaxies, made once before the training, until all classes are as large as the
largest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from datasets.drawn.oversample import read
from datasets.drawn.pixels import augmented

_STREAM = 23  # shared with no order, mask, weights or draws
_ONCE = 0  # the epoch that the copies are drawn in: training has none of this number
_AT_A_TIME = 256  # pictures


def copies(
    labels: np.ndarray, train: np.ndarray, text: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are copied, and the number of each copy of its galaxy, from 1: int64 (k,) each.

    The galaxies of a class are copied equally often, or once more: those that the seed says.

    Args:
        labels: int (n,). train: the rows that are trained on.

    Raises:
        ValueError: a class that none of these rows is of.
    """
    found = np.unique(labels[train])
    classes = read(text).classes or found.tolist()
    if absent := [label for label in classes if label not in found]:
        raise ValueError(
            f"oversample: no galaxies of class {absent[0]} to copy; the classes are "
            f"{', '.join(map(str, found.tolist()[:12]))}"
        )
    key = [seed, _STREAM << 32]
    generator = np.random.Generator(np.random.Philox(key=key))
    of_train = labels[train]
    most = int(np.bincount(of_train).max(initial=0))
    rows, numbers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for label in classes:
        galaxies = train[of_train == label]
        times, rest = divmod(most - len(galaxies), len(galaxies))
        rows += [np.tile(galaxies, times), np.sort(generator.permutation(galaxies)[:rest])]
        numbers += [np.repeat(np.arange(times) + 1, len(galaxies)), np.full(rest, times + 1)]
    return np.concatenate(rows), np.concatenate(numbers)


def pictures(
    images: np.ndarray, rows: np.ndarray, galaxies: np.ndarray, text: str, seed: int
) -> Iterator[np.ndarray]:
    """The copies of these rows, some at a time: uint8 (k, height, width, channels).

    Args:
        galaxies: int (k,), the number that each copy is drawn by.
    """
    settings = read(text).settings
    for start in range(0, len(rows), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        found = images[rows[some]]
        if settings is not None:
            found = augmented(found, galaxies[some], settings, seed, _ONCE)
        yield found
