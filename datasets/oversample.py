"""Copies of training galaxies, made once before the training, until all classes are as large as the
largest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from datasets.drawn.pixels import augmented
from datasets.drawn.settings import Augment
from datasets.drawn.text import from_text, to_text

REPEATED = "repeated"  # copies that are as the galaxies themselves
_STREAM = 23  # shared with no order, mask, weights or draws
_ONCE = 0  # the epoch that the copies are drawn in: training has none of this number
_AT_A_TIME = 256  # pictures


def read(text: str) -> Augment | None:
    """What is drawn for each copy; None where they are repeated.

    Raises:
        ValueError: fields as `from_text` refuses them, or a crop: copies have the galaxies' size.
    """
    if text == REPEATED:
        return None
    settings = from_text(text)
    if settings.crop:
        raise ValueError("crop: copies have the size of the pictures; state it in augment")
    return settings


def written(text: str) -> str:
    """The same in one spelling; "" is "".

    Raises:
        ValueError: as `read`.
    """
    settings = read(text) if text else None
    return text if settings is None else to_text(settings)


def check(text: str, augmentation: str) -> None:
    """Whether copies can be made so.

    Raises:
        ValueError: as `read`, or beside the copies of an augmentation.
    """
    if not text:
        return
    read(text)
    if augmentation != "none":
        raise ValueError(
            f"makes copies, and so does augmentation {augmentation}; state one of them"
        )


def copies(labels: np.ndarray, train: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are copied, and the number of each copy of its galaxy, from 1: int64 (k,) each.

    The galaxies of a class are copied equally often, or once more: those that the seed says.

    Args:
        labels: int (n,). train: the rows that are trained on.
    """
    key = [seed, _STREAM << 32]
    generator = np.random.Generator(np.random.Philox(key=key))
    of_train = labels[train]
    most = int(np.bincount(of_train).max(initial=0))
    rows, numbers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for label in np.unique(of_train):
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
    settings = read(text)
    for start in range(0, len(rows), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        found = images[rows[some]]
        if settings is not None:
            found = augmented(found, galaxies[some], settings, seed, _ONCE)
        yield found
