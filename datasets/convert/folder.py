"""A folder or zip file of pictures, or of arrays of a picture each: in a folder for each class, or
with a table of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from datasets.convert import encoded, fits, split_tables, table, unread
from datasets.convert.bad import NO_LABEL, TWICE, Bad
from datasets.convert.encoded import EncodedPictures
from datasets.convert.fitting import Fit
from datasets.convert.form import Asked, Form, Pictures, Rows, parts_of
from datasets.convert.number_files import number_files, number_pictures
from datasets.splits import PART_WORDS
from results.door.folders import Folder
from results.vocabulary import near_miss
from results.words import count


def pictures_of(folder: Folder) -> list[str]:
    """The names of its pictures. One FITS file among pictures of other kinds is a catalogue."""
    of_fits = [name for name in folder.names if fits.is_fits(name)]
    others = [name for name in folder.names if name.lower().endswith(encoded.ENDINGS)]
    return sorted(others + of_fits) if len(of_fits) > 1 or not others else others


def open_folder(folder: Folder, asked: Asked) -> Form:
    """The pictures of a folder, with labels by the folders they lie in, or by a table.

    Raises:
        ValueError, OSError: no pictures, no labels, or a table that does not fit them.
    """
    where = str(folder.path)
    bad = Bad()
    names = pictures_of(folder)
    of_numbers = not names
    if of_numbers:
        names = number_files(folder)
    if not names:
        none = f"no pictures in it ({', '.join(encoded.ENDINGS[:6])}, ...)"
        raise ValueError(f"{where}: {unread.of_folder(folder.names) or none}")
    if any(map(fits.is_fits, names)):
        fits.check_installed(where)
    if found := _tables(folder, asked):
        rows, names = table.of_tables(folder, found, names, asked, bad)
    else:
        rows = _by_folders(where, names, folder.names, bad)
    for name in folder.twice:
        bad.add(TWICE, name, names.index(name) if name in names else None)
    fit = Fit(asked.crop, asked.size)
    pictures: Pictures
    if of_numbers:
        pictures = number_pictures(folder, names, rows.names, fit, bad)
        rows.done.append(f"{count(len(names), 'array')} of a picture each")
    else:
        pictures = EncodedPictures(_contents(folder, names, rows.names), fit, asked.stretch)
    return Form(where, rows, pictures, bad)


def labelled(folder: Folder) -> bool:
    """True if there is a table, or files lie in folders of their own: each may be a picture."""
    return any(name.lower().endswith(table.TABLES) or "/" in name for name in folder.names)


def _contents(folder: Folder, names: Sequence[str], told: Sequence[str]) -> encoded.Contents:
    def contents() -> Iterator[tuple[int, str, Callable[[], IO[bytes]] | None]]:
        for row, (name, called) in enumerate(zip(names, told, strict=True)):
            yield row, called, partial(folder.open, name)

    return contents


def _tables(folder: Folder, asked: Asked) -> list[str]:
    """The table of labels, or the tables of a published split; none where folders are classes."""
    found = [name for name in folder.names if name.lower().endswith(table.TABLES)]
    if asked.table:
        wanted = [name for name in found if name == asked.table or Path(name).name == asked.table]
        if not wanted:
            hint = near_miss(asked.table, found)
            has = ", ".join(found) or "none"
            raise ValueError(f"{folder.path}: no table '{asked.table}'{hint}; it has {has}")
        return wanted[:1]
    told = set(map(split_tables.part_of, found))
    if len(found) > 1 and ("" in told or len(told) < len(found)):
        raise ValueError(
            f"{folder.path}: {count(len(found), 'table')} in it ({', '.join(found[:5])}); name "
            "the one with the labels, as the source or with --table, or join them into one. Tables "
            "of a published split have the names of its parts: train.csv, test.csv"
        )
    return found


def _by_folders(where: str, names: Sequence[str], files: Sequence[str], bad: Bad) -> Rows:
    """Labels by the folders that the pictures lie in, below those that all share.

    files: all of the folder, of which one may be a table of another form.
    """
    places = [name.split("/")[:-1] for name in names]
    shared = _shared(places)
    places = [place[shared:] for place in places]
    tops = {place[0].lower() for place in places if place}
    parts: np.ndarray | None = None
    if tops and tops <= set(PART_WORDS) and all(map(len, places)):
        parts = parts_of([place[0] for place in places], names, bad)
        places = [place[1:] for place in places]
    if not any(places):
        others = set(files) - set(names)
        code = unread.table(sorted(others))
        raise ValueError(
            f"{where}: {count(len(names), 'picture')} without labels: put those of each class "
            "into a folder of its own, or a table (.csv) with the name and the class of each "
            "beside them" + (f", as in {code}" if code else "")
        )
    for row, place in enumerate(places):
        if not place:
            bad.add(NO_LABEL, names[row], row)
    labels = np.array(["/".join(place) for place in places], dtype=object)
    done = [f"{count(len(names), 'picture')} in folders of classes"]
    if parts is not None:
        done.append("the published split kept as 'split'")
    return Rows(names, labels, parts=parts, done=done)


def _shared(places: Sequence[Sequence[str]]) -> int:
    """The number of folders, from the first on, that are the same for all."""
    shortest = min(places, key=len)
    differing = (
        depth for depth, name in enumerate(shortest) if any(one[depth] != name for one in places)
    )
    return next(differing, len(shortest))
