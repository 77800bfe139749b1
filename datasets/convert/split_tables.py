"""Tables of which each has a part of a published split: train.csv, test.csv; train/labels.csv."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from datasets.splits import PART_WORDS, part_in
from results.door.delimited import Delimited

COLUMN = "split"  # that says the part of a row


def part_of(table: str) -> str:
    """The part that a table's own name tells, or else its folder's; "" without."""
    word = part_in(PurePosixPath(table).stem) or part_in(table)
    return PART_WORDS.get(word, "")


def joined(
    tables: Mapping[str, Delimited], labels: Collection[str], label_key: str, where: str
) -> dict[str, list[str]]:
    """The rows of all tables, in the columns that all have, and the part of each as a column.

    Args:
        tables: by name, which tells the part. labels: usual names of a column of labels.
        label_key: the column of labels that the user named, or "". where: the folder, in messages.

    Raises:
        ValueError: a table has no labels where another has.
    """
    shared = set.intersection(*(set(one.columns) for one in tables.values())) - {COLUMN}
    for name, one in tables.items():
        for column in set(one.columns) - shared:
            if column == label_key or column.lower() in labels:
                lacking = next(n for n, other in tables.items() if column not in other.columns)
                raise ValueError(
                    f"{where}: {lacking} has no column '{column}', which {name} has; the galaxies "
                    f"of one table alone: --table {PurePosixPath(name).name}"
                )
    first = next(iter(tables.values()))
    found = {
        column: [value for one in tables.values() for value in one.columns[column]]
        for column in first.columns
        if column in shared
    }
    found[COLUMN] = [part_of(name) for name, one in tables.items() for _ in range(len(one))]
    return found


def placed(values: Sequence[str], parts: Sequence[str], pictures: Sequence[str]) -> list[str]:
    """The pictures' names of a table; a name that a folder of the row's part has, with its folder:
    of `1.png` in test.csv `test/1.png`."""
    ways: dict[tuple[str, str], str] = {}
    for name in pictures:
        path = PurePosixPath(name)
        for folder in path.parts[:-1]:
            part = PART_WORDS.get(part_in(folder), "")
            ways |= {(part, way): name for way in (path.name, path.stem) if part}
    return [ways.get((part, value), value) for value, part in zip(values, parts, strict=True)]
