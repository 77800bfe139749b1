"""Copies of training galaxies, made once before the training, until all classes are as large as the
largest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from datasets.drawn.pixels import augmented
from datasets.drawn.settings import Augment
from datasets.drawn.text import from_text, to_text

_CLASSES = "classes="
REPEATED = "repeated"  # copies that are as the galaxies themselves
_STREAM = 23  # shared with no order, mask, weights or draws
_ONCE = 0  # the epoch that the copies are drawn in: training has none of this number
_AT_A_TIME = 256  # pictures


@dataclass(frozen=True)
class Oversample:
    """Copies of the galaxies of `classes`, all where it is empty.

    settings: what is drawn for each copy; None where it is as its galaxy.
    """

    settings: Augment | None = None
    classes: tuple[int, ...] = ()


def read(text: str) -> Oversample:
    """Copies as a suite states them: `repeated` or fields of `Augment`, and `classes=3:4`.

    Raises:
        ValueError: fields as `from_text` refuses them, or a crop: copies have the galaxies' size.
    """
    stated = [part.strip() for part in text.split(",")]
    named = [part.removeprefix(_CLASSES) for part in stated if part.startswith(_CLASSES)]
    rest = [part for part in stated if not part.startswith(_CLASSES)]
    if len(named) > 1 or not all(re.fullmatch(r"[0-9]{1,9}(:[0-9]{1,9})*", one) for one in named):
        raise ValueError("classes: numbers of classes, as in classes=3:4")
    classes = tuple(sorted({int(number) for one in named for number in one.split(":")}))
    if rest in ([], [REPEATED]):
        return Oversample(None, classes)
    settings = from_text(",".join(rest))
    if settings.crop:
        raise ValueError("crop: copies have the size of the pictures; state it in augment")
    return Oversample(settings, classes)


def written(text: str) -> str:
    """The same in one spelling; "" is "".

    Raises:
        ValueError: as `read`.
    """
    if not text:
        return ""
    found = read(text)
    words = [REPEATED if found.settings is None else to_text(found.settings)]
    return ",".join(words + [_CLASSES + ":".join(map(str, found.classes))] * bool(found.classes))


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
