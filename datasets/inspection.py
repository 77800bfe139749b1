"""Inspection of pictures: blank ones, and copies of one galaxy. Nothing is read here."""

from __future__ import annotations

import hashlib

import numpy as np

from results import words

_BLACK = 1  # a picture whose values are all 0 or 1 shows nothing
_NAMED = 4  # classes, or rows, that a sentence names


class Seen:
    """Facts on every picture of a file, collected while it is read block by block.

    Attributes:
        blank: bool (n,), True for a picture that shows nothing.
        prints: uint64 (n, 2), 16 bytes for each picture: equal pictures have equal prints.
        highest: the largest value of all pictures.
    """

    def __init__(self, rows: int) -> None:
        self.blank = np.zeros(rows, dtype=bool)
        self.prints = np.zeros((rows, 2), dtype="<u8")
        self.highest = 0
        self._digest = hashlib.sha256()

    def add(self, start: int, block: np.ndarray) -> None:
        """Look at the pictures from row ``start`` on: uint8 (k, h, w, c)."""
        flat = np.ascontiguousarray(block).reshape(len(block), -1)
        self._digest.update(flat.data)
        high = flat.max(axis=1)
        self.highest = max(self.highest, int(high.max()))
        stop = start + len(block)
        self.blank[start:stop] = high <= _BLACK
        for row, picture in enumerate(flat, start=start):
            print_ = hashlib.blake2b(picture.data, digest_size=16).digest()
            self.prints[row] = np.frombuffer(print_, dtype="<u8")

    def sha256(self, *columns: np.ndarray) -> str:
        """SHA-256 of all pictures, then of columns of whole numbers as int64."""
        digest = self._digest.copy()
        for column in columns:
            digest.update(np.ascontiguousarray(column, dtype="<i8").data)
        return digest.hexdigest()


def check_blank(
    seen: Seen, rows: np.ndarray, labels: np.ndarray, names: tuple[str, ...], where: str
) -> str:
    """A sentence on blank pictures, "" without any.

    Args:
        rows: int64 (kept,), those that are looked at. labels: int64 (kept,), their classes.

    Raises:
        ValueError: all are blank, or all of a class.
    """
    blank = seen.blank[rows]
    if not blank.any():
        return ""
    count = int(blank.sum())
    if blank.all():
        why = (
            "their values are 0 and 1 alone, as floats from 0 to 1 become when they are cast to "
            "uint8; convert the original by np.round(255 * x).astype(np.uint8)"
            if seen.highest == 1
            else "nothing was written there, or nothing could be read; make the file again"
        )
        raise ValueError(f"{where}: all {words.count(len(rows), 'picture')} are blank: {why}")
    blanks = np.bincount(labels[blank], minlength=len(names))
    sizes = np.bincount(labels, minlength=len(names))
    if len(empty := np.flatnonzero((blanks == sizes) & (sizes > 0))):
        whole = ", ".join(f"'{names[label]}' ({sizes[label]})" for label in empty[:_NAMED])
        raise ValueError(
            f"{where}: {count:,} of {words.count(len(rows), 'picture')} are blank, among them all "
            f"of class {whole}: the file was not written to its end; make it again, or leave the "
            "blank ones out"
        )
    return (
        f"{count:,} of {words.count(len(rows), 'picture')} are blank, from row {rows[blank][0]} "
        f"on, in {_classes(blanks, names)}: they are trained and tested on like the others."
    )


def twins(
    seen: Seen,
    rows: np.ndarray,
    labels: np.ndarray,
    names: tuple[str, ...],
    sky: tuple[np.ndarray, np.ndarray] | None,
    groups: np.ndarray | None,
) -> tuple[np.ndarray | None, str]:
    """Groups of the rows that show one galaxy, and a sentence on them.

    One galaxy are pictures that are equal to the bit, and those at equal coordinates; blank ones
    show none. What belongs to one group already stays together.

    Args:
        rows: int64 (kept,), those that are looked at. labels: int64 (kept,), their classes.
        sky: right ascension and declination in degrees of every row of the file, or None.
        groups: int64 (kept,), the file's own groups, or None.

    Returns:
        int64 (kept,) group numbers, or the given groups where no galaxy is found twice; and the
        sentence, "" where none is.
    """
    keys = [_same_pixels(seen.prints[rows], seen.blank[rows])]
    if sky is not None:
        keys.append(_same_place(sky[0][rows], sky[1][rows]))
    told = []
    for key, what in zip(
        keys, ("have the same pixels", "are at the same coordinates"), strict=False
    ):
        sizes = np.bincount(key, minlength=1)
        if (twice := sizes > 1).any():
            found = twice[key]
            per_class = np.bincount(labels[found], minlength=len(names))
            mixed = _mixed(key, labels)
            conflict = (
                f"; {len(mixed):,} of them have different labels (rows {_rows(mixed, key, rows)})"
                if len(mixed)
                else ""
            )
            told.append(
                f"{words.count(int(found.sum()), 'picture')} of "
                f"{words.count(int(twice.sum()), 'galaxy')} {what}, in "
                f"{_classes(per_class, names)}{conflict}"
            )
    if not told:
        return groups, ""
    together = _joined([*keys, *([] if groups is None else [groups])])
    return together, "; ".join(told) + ": copies stay in one part of the split."


def _same_pixels(prints: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Numbers from 0 on, equal where pictures are; a blank picture has its own."""
    _, key = np.unique(prints, axis=0, return_inverse=True)
    return _apart(key.reshape(-1), blank)


def _same_place(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Number of each galaxy's place: int64 (n,), equal where the coordinates are equal.

    A place that is none on the sky, or 0 and 0, has its own number.
    """
    known = (ra >= 0) & (ra <= 360) & (np.abs(dec) <= 90) & ((ra != 0) | (dec != 0))
    place = np.stack([np.where(known, ra, 0.0), np.where(known, dec, 0.0)], axis=1)
    _, key = np.unique(place, axis=0, return_inverse=True)
    return _apart(key.reshape(-1), ~known)


def _apart(key: np.ndarray, alone: np.ndarray) -> np.ndarray:
    key = key.astype(np.int64)
    key[alone] = key.max(initial=0) + 1 + np.arange(int(alone.sum()))
    return np.unique(key, return_inverse=True)[1].astype(np.int64)


def _joined(keys: list[np.ndarray]) -> np.ndarray:
    """Components of rows that share a number in any of the keys: int64 (n,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(keys[0])
    edges, start = [], count
    for key in keys:
        _, numbers = np.unique(key, return_inverse=True)
        edges.append(numbers + start)
        start += int(numbers.max(initial=-1)) + 1
    rows = np.tile(np.arange(count), len(keys))
    ones = np.ones(len(rows), dtype=np.int8)
    graph = coo_array((ones, (rows, np.concatenate(edges))), shape=(start, start))
    return connected_components(graph, directed=False)[1][:count].astype(np.int64)


def _mixed(key: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The numbers of a key that stand for several classes."""
    pairs = np.unique(np.stack([key, labels], axis=1), axis=0)[:, 0]
    found, counts = np.unique(pairs, return_counts=True)
    return found[counts > 1]


def _rows(mixed: np.ndarray, key: np.ndarray, rows: np.ndarray) -> str:
    numbers, first = np.unique(key, return_index=True)  # in the order of their first rows
    order = mixed[np.argsort(first[np.searchsorted(numbers, mixed)])]
    shown = [rows[key == number][:2].tolist() for number in order[:_NAMED]]
    text = ", ".join(" and ".join(map(str, pair)) for pair in shown)
    return f"{text}, ..." if len(mixed) > _NAMED else text


def _classes(counts: np.ndarray, names: tuple[str, ...]) -> str:
    order = [label for label in np.argsort(-counts, kind="stable").tolist() if counts[label]]
    text = ", ".join(f"'{names[label]}' ({counts[label]:,})" for label in order[:_NAMED])
    more = len(order) - _NAMED
    return f"{text} and {words.count(more, 'more class')}" if more > 0 else text
