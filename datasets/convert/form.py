"""A source of any form: its rows, and its pictures block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from datasets.convert.bad import OTHER_PART, Bad
from datasets.splits import PART_WORDS, PARTS, part_in


@dataclass(frozen=True)
class Asked:
    """The user's options for a source, beside its path.

    image_key, label_key, group_key, id_key: names of datasets, arrays or columns; "" finds them.
    vote_keys: columns of votes, those of one question first. split_from: the column or dataset of
    the published parts. class_names: by label; of labels that are names, their order.
    table: the file of labels in a folder that has several. crop: pixels a side that are cut from
    the middle; size: pixels a side that it is scaled to. stretch: "asinh" or "linear" for FITS.
    skip_bad: pictures or rows that may be left out.
    """

    image_key: str = ""
    label_key: str = ""
    group_key: str = ""
    id_key: str = ""
    vote_keys: tuple[str, ...] = ()
    split_from: str = ""
    class_names: tuple[str, ...] = ()
    table: str = ""
    crop: int | None = None
    size: int | None = None
    stretch: str = ""
    skip_bad: int = 0


@dataclass(eq=False)
class Rows:
    """The rows of a source: labels and all else that is known of each picture, without pixels.

    names: what messages call each. labels: as the source has them, of any type. class_names: by
    label, where the source names them. columns: more arrays (n,) by the name they are kept under.
    votes: float32 (n, k), and the names of the k. parts: (n,) words of `PARTS`, or None.
    source: a sentence on where it comes from, or "". done: the changes made, in words.
    """

    names: Sequence[str]
    labels: np.ndarray
    class_names: tuple[str, ...] | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    votes: np.ndarray | None = None
    vote_names: tuple[str, ...] = ()
    parts: np.ndarray | None = None
    source: str = ""
    done: list[str] = field(default_factory=list)


class Pictures(Protocol):
    """The pictures of a source, looked at twice: first at their shapes, then at their pixels."""

    def survey(self, wanted: np.ndarray, bad: Bad, done: list[str]) -> tuple[int, int, int]:
        """Height, width and channels of what `blocks` gives.

        Args:
            wanted: bool (n,), the rows that are looked at.
            bad: told of those that cannot be taken.
            done: told, in words, what is made of the pixels.
        """

    def blocks(self, wanted: np.ndarray, bad: Bad) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows, int64 (k,), ascending, and their pictures, uint8 (k, height, width, channels)."""


@dataclass(eq=False)
class Form:
    """A source that is open: its rows, its pictures, and what is wrong with them so far."""

    where: str
    rows: Rows
    pictures: Pictures
    bad: Bad


def parts_of(words: Sequence[str], names: Sequence[str], bad: Bad) -> np.ndarray:
    """Words for parts of a split, of any spelling, as those of `PARTS`; others are bad."""
    found = np.full(len(words), "", dtype=f"U{max(map(len, PARTS))}")
    for row, word in enumerate(words):
        part = PART_WORDS.get(str(word).strip().lower())
        if part is None:
            bad.add(OTHER_PART, names[row], row)
        else:
            found[row] = part
    return found


def keep_parts_of_shards(
    rows: Rows, files: Sequence[Path], root: Path, counts: Sequence[int], bad: Bad
) -> None:
    """Keep the published split that the names of shards in a folder tell ("train" of
    train-00000-of-00002.parquet), where each tells a part, and they are not of one.

    counts: rows of each.
    """
    told = [part_in(str(file.relative_to(root))) for file in files]
    if len(set(told)) > 1 and all(told):
        words = [part for part, count in zip(told, counts, strict=True) for _ in range(count)]
        rows.parts = parts_of(words, rows.names, bad)
        rows.done.append("the published split of the files' names kept as 'split'")
