"""The table of labels or votes that lies beside pictures."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from datasets.convert import split_tables, votes
from datasets.convert.bad import AMBIGUOUS, NO_LABEL, NO_PICTURE, TWICE, Bad
from datasets.convert.form import Asked, Rows, parts_of
from datasets.splits import PART_WORDS
from results.door import databases, delimited
from results.door.folders import Folder
from results.vocabulary import near_miss

_LABELS = (
    "label",
    "labels",
    "ans",
    "class",
    "class_name",
    "classname",
    "target",
    "category",
    "type",
)
_PARTS = (split_tables.COLUMN, "part", "set", "subset")
_NUMBERS = ("ra", "dec", "redshift")
# The numbers of rows that pandas writes ahead of a table, and how it reads them.
_INDEX, *_ = _INDICES = ("index", "Unnamed: 0")
_SHOWN = 12  # columns that a message names
_SAMPLE = 1000  # values by which a column is recognised
TABLES = (".csv", ".tsv", *databases.ENDINGS)


def of_tables(
    folder: Folder, tables: Sequence[str], pictures: Sequence[str], asked: Asked, bad: Bad
) -> tuple[Rows, list[str]]:
    """The rows of a table that name a picture each, and these pictures.

    Args:
        tables: names in the folder: of one, or of one for each part of a published split.
        pictures: all there are.
        bad: told of rows without a picture, pictures without a row, and names that mean several.

    Raises:
        ValueError: columns that cannot be told apart; the message says with which option to.
    """
    name = " and ".join(tables)
    where = f"{folder.path}/{name}"
    read = {table: _read(folder, table) for table in tables}
    for table, one in read.items():
        if not len(one):
            raise ValueError(f"{folder.path}/{table}: has no row below the names of its columns")
    columns = next(iter(read.values())).columns
    if len(read) > 1:
        columns = split_tables.joined(read, _LABELS, asked.label_key, str(folder.path))
    columns = {column or _INDEX: values for column, values in columns.items()}
    known = _index(pictures)
    if named := [column for column in columns if _meant(column, known)]:
        raise ValueError(
            f"{where}: its first line has a picture, '{named[0]}', where the names of the columns "
            "are to stand; write a first line, as in name,label"
        )
    key = _named(columns, asked.id_key, (), "id-key", where) or _naming(columns, known)
    by = f"column '{key}'"
    if not key and (led := _led(folder, tables, columns, known)):
        columns, key, by = led
    if not key:
        raise ValueError(_nameless(columns, pictures, where))
    values = columns[key]
    if len(read) > 1:
        values = split_tables.placed(values, columns[split_tables.COLUMN], pictures)
    lines, names = _joined(values, pictures, bad)
    if not lines:
        told = f": {bad.words()}; {', or '.join(bad.remedies())}" if len(bad) else ""
        raise ValueError(f"{where}: no row of column '{key}' names a picture{told}")
    taken = {column: [values[line] for line in lines] for column, values in columns.items()}
    rows = _rows(taken, key, names, asked, bad, where)
    words = " and ".join(dict.fromkeys(one.words for one in read.values()))
    rows.done.insert(0, f"labels of {name} {words}, by {by}")
    return rows, names


def _read(folder: Folder, name: str) -> delimited.Delimited:
    read = databases.database if name.lower().endswith(databases.ENDINGS) else delimited.delimited
    return read(folder.content(name, delimited.MOST), f"{folder.path}/{name}")


def _naming(columns: Mapping[str, list[str]], known: Mapping[str, list[str]]) -> str:
    """The column with the most names of pictures; of several the one with the longest names: a
    number of a row may be a picture's name by chance. "" without any."""
    counts = {
        column: (sum(bool(_meant(value, known)) for value in values), sum(map(len, values)))
        for column, values in columns.items()
    }
    best = max(counts, key=lambda column: counts[column])
    return best if counts[best][0] else ""


def _led(
    folder: Folder,
    tables: Collection[str],
    columns: Mapping[str, list[str]],
    known: Mapping[str, list[str]],
) -> tuple[dict[str, list[str]], str, str] | None:
    """The columns of a table with the pictures' names, to which another table of the folder leads;
    the column of these; and by what.

    That has the pictures' names beside the values of one of these columns, each once: Galaxy Zoo
    2's gz2_filename_mapping.csv leads from `dr7objid` by `objid` to `asset_id`. None without.
    """
    for other in folder.names:
        if other in tables or not other.lower().endswith(TABLES):
            continue
        beside = _read(folder, other).columns
        key = _naming(beside, known)
        for theirs in [column for column in beside if key and column != key]:
            leads = dict(zip(beside[theirs], beside[key], strict=True))
            if len(leads) < len(beside[key]):
                continue
            for mine, values in columns.items():
                some = values[:_SAMPLE]
                if 2 * sum(value in leads for value in some) > len(some):
                    rest = {column: columns[column] for column in columns if column != mine}
                    led = {key: [leads.get(value, "") for value in values]}
                    return rest | led, key, f"column '{mine}' and column '{key}' of {other}"
    return None


def _rows(
    taken: dict[str, list[str]],
    key: str,
    names: Sequence[str],
    asked: Asked,
    bad: Bad,
    where: str,
) -> Rows:
    rest = {column: taken[column] for column in taken if column != key}
    part = _named(rest, asked.split_from, _PARTS, "split-from", where)
    if not asked.split_from and not {word.lower() for word in rest.get(part, [])} <= set(
        PART_WORDS
    ):
        part = ""
    group = _named(rest, asked.group_key, (), "group-key", where)
    label = _named(rest, asked.label_key, _LABELS, "label-key", where)
    spoken_for = {part, group, label, *_NUMBERS, "t_type"}
    others = [column for column in rest if column not in spoken_for and column not in _INDICES]
    for column in asked.vote_keys:
        _named(rest, column, (), "vote-keys", where)
    voted = list(asked.vote_keys) or _voted(rest, others, labelled=bool(label))
    if not label and not voted:
        label = _only(others, where)
    rows = Rows(names, np.empty(0))
    if voted:
        values = np.array([delimited.numbers(rest[column]) for column in voted]).T
        told = votes.counted(values, voted, names, bad)
        rows.votes, rows.vote_names = told.shares, told.names
        rows.labels, rows.class_names = told.labels, told.class_names
        rows.done += told.words[:-1] if label else told.words
    if label:
        rows.labels, rows.class_names = np.array(rest[label], dtype=object), None
        rows.done.append(f"labels in column '{label}'")
    if group:
        rows.columns["groups"] = np.array([one.encode() for one in rest[group]])
    if part:
        rows.parts = parts_of(rest[part], names, bad)
        rows.done.append(f"the published split of column '{part}' kept as 'split'")
    for column in _NUMBERS:
        if column in rest:
            rows.columns[column] = np.array(delimited.numbers(rest[column]))
    if "t_type" in rest and all(re.fullmatch(r"[+-]?[0-9]{1,4}", one) for one in rest["t_type"]):
        rows.columns["t_type"] = np.array(list(map(int, rest["t_type"])), dtype=np.int64)
    rows.columns["name"] = np.array([name.encode() for name in names])
    return rows


def _nameless(columns: Mapping[str, list[str]], pictures: Sequence[str], where: str) -> str:
    """The message on a table without a column that names the pictures."""
    shown = ", ".join(f"'{column}' ({values[0]})" for column, values in columns.items())
    return (
        f"{where}: no column names the pictures, which are {', '.join(pictures[:3])}, ...; it has "
        f"{shown[:300]}; its first line is to name the columns, and one is to have the pictures' "
        "names (--id-key)"
    )


def _joined(
    values: Sequence[str], pictures: Sequence[str], bad: Bad
) -> tuple[list[int], list[str]]:
    """The lines of a table that have a picture, and the picture of each, in the lines' order."""
    index = _index(pictures)
    lines: list[int] = []
    names: list[str] = []
    seen: dict[str, int] = {}
    for line, value in enumerate(values):
        meant = _meant(value, index)
        if not meant:
            bad.add(NO_PICTURE, value or f"line {line + 2}")
        elif len(meant) > 1:
            bad.add(AMBIGUOUS, f"{value}: {meant[0]}, {meant[1]}")
            seen.update(dict.fromkeys(meant, -1))
        elif meant[0] in seen:
            bad.add(TWICE, f"{value} in line {line + 2}")
        else:
            seen[meant[0]] = len(lines)
            lines.append(line)
            names.append(meant[0])
    for name in pictures:
        if name not in seen:
            bad.add(NO_LABEL, name)
    return lines, names


def _index(pictures: Sequence[str]) -> dict[str, list[str]]:
    """The pictures that a name in a table can mean: with or without folders and ending."""
    found: dict[str, list[str]] = {}
    for name in pictures:
        path = PurePosixPath(name)
        ways = {name, path.name, path.stem, str(path.with_suffix(""))}
        if path.stem.isdecimal():  # spreadsheets drop the zeros ahead of a number
            ways.add(path.stem.lstrip("0") or "0")
        for way in ways:
            found.setdefault(way, []).append(name)
    # the whole path means one picture, whatever else has its name
    return found | {name: [name] for name in pictures}


def _meant(value: str, index: Mapping[str, list[str]]) -> list[str]:
    """The pictures that a name in a table can mean.

    A path that begins outside of the folder means the picture whose whole path is its end:
    /home/me/galaxies/a/1.png means a/1.png, and never b/1.png.
    """
    name = _plain(value)
    if name in index:
        return index[name]
    while "/" in name:
        name = name.partition("/")[2]
        if index.get(name) == [name]:
            return [name]
    return []


def _plain(value: str) -> str:
    """A name as a table has it: a number that was saved as a float without its ".0"."""
    text = value.replace("\\", "/").removeprefix("./")
    return text[:-2] if re.fullmatch(r"[0-9]+\.0", text) else text


def _named(
    columns: Mapping[str, object], given: str, usual: Sequence[str], option: str, where: str
) -> str:
    """The column that the user names, or that has one of the usual names; "" without."""
    if given:
        if given not in columns:
            shown = ", ".join(list(columns)[:_SHOWN])
            hint = near_miss(given, columns)
            raise ValueError(f"{where}: no column '{given}' (--{option}){hint}; it has {shown}")
        return given
    by_lower = {column.lower(): column for column in columns}
    return next((by_lower[name] for name in usual if name in by_lower), "")


def _voted(rest: Mapping[str, list[str]], others: Sequence[str], *, labelled: bool) -> list[str]:
    """The columns of votes: those with a question's name, or, without labels, several of shares."""
    found = {}
    for column in others:
        values = np.array(delimited.numbers(rest[column]))
        if np.isfinite(values).mean() > 0.5 and np.nanmin(values) >= 0:
            found[column] = values
    asked = [column for column in found if votes.question(column)]
    if len(asked) > 1 or labelled:
        return asked if len(asked) > 1 else []
    shares = [column for column, values in found.items() if np.nanmax(values) <= 1]
    return shares if len(shares) > 1 else []


def _only(others: Sequence[str], where: str) -> str:
    if len(others) == 1:
        return others[0]
    shown = ", ".join(others[:_SHOWN]) or "none"
    raise ValueError(
        f"{where}: which column has the labels? Name it with --label-key, or columns of votes with "
        f"--vote-keys; it has {shown}"
    )
