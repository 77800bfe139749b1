"""Faults of single pictures or rows of a source: counted, the first five named."""

from __future__ import annotations

import numpy as np

_NAMED = 5  # of each kind that a message names

# What can be wrong, and what helps beside leaving it out.
UNREADABLE = "not readable as a picture"
OTHER_SIZE = "of another size"
OTHER_FORM = "of another shape or type"
NOT_SQUARE = "not square"
TOO_SMALL = "smaller than the crop"
NOT_FINITE = "with values that are no numbers"
OTHER_BANDS = "of other bands than one or three"
NO_PICTURE = "labelled without a picture"
NO_LABEL = "without a label"
TWICE = "named twice"
AMBIGUOUS = "named like another picture"
NO_SUM = "with votes that do not sum to 1"
NO_VOTES = "with votes that are no shares"
NO_BYTES = "null, or without bytes"
UNSTRETCHED = "of values whose white and black are not known"
OTHER_LABEL = "with a label that has no name"
OTHER_PART = "of an unknown part of the split"
_REMEDIES = {
    UNREADABLE: "get them again",
    OTHER_SIZE: "scale all with --size PIXELS, or cut all with --crop PIXELS",
    OTHER_FORM: "save all in one shape, as one type",
    NOT_SQUARE: "cut all with --crop PIXELS",
    TOO_SMALL: "cut less",
    NOT_FINITE: "set them, as in numpy.nan_to_num",
    OTHER_BANDS: "save one or three bands of each, bands first",
    NO_PICTURE: "add the pictures",
    NO_LABEL: "add the labels",
    TWICE: "leave one row each",
    AMBIGUOUS: "write the path or the ending of each into the table",
    NO_SUM: "name the votes of one question first with --vote-keys",
    NO_VOTES: "write shares from 0 to 1, or whole numbers of votes",
    UNSTRETCHED: "add --stretch asinh or --stretch linear",
    OTHER_LABEL: "name every class with --class-names",
    OTHER_PART: "the parts are train, validation and test",
}


class Bad:
    """The pictures and rows of a source that cannot be taken, by what is wrong with them."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._rows: set[int] = set()

    def add(self, kind: str, name: str, row: int | None = None) -> None:
        """Note one, unless its row is noted already.

        Args:
            kind: one of this module's words.
            name: what a message calls it.
            row: of the source, where it has one.
        """
        if row is not None:
            if row in self._rows:
                return
            self._rows.add(row)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        named = self._found.setdefault(kind, [])
        if len(named) < _NAMED:
            named.append(name)

    def __len__(self) -> int:
        return sum(self._counts.values())

    def rows(self, count: int) -> np.ndarray:
        """Mask of the bad among `count` rows: bool (count,)."""
        found = np.zeros(count, dtype=bool)
        found[list(self._rows)] = True
        return found

    def words(self) -> str:
        """Each kind with its count and the first names; "" without any."""
        return " and ".join(
            f"{self._counts[kind]:,} {kind} ({', '.join(names)}"
            f"{', ...' * (self._counts[kind] > len(names))})"
            for kind, names in self._found.items()
        )

    def check(self, where: str, allowed: int) -> None:
        """Raise ValueError where more are bad than are tolerated; the message has the remedies."""
        if len(self) <= allowed:
            return
        helps = [*self.remedies(), f"leave them out with --skip-bad {len(self)}"]
        raise ValueError(f"{where}: {self.words()}; {', or '.join(helps)}")

    def remedies(self) -> list[str]:
        """Remedies for the kinds found, beside leaving them out."""
        return [_REMEDIES[kind] for kind in self._found if kind in _REMEDIES]
