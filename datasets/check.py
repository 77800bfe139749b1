"""All that is wrong with a file of galaxies, or a source of another form, in one report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from datasets.convert.form import Asked
from datasets.convert.opening import has_other_keys, is_source
from datasets.convert.stream import convert_source
from datasets.galaxy_file import GalaxyFile, Picking, open_galaxies
from datasets.inspection import Seen, check_blank, twins
from datasets.splits import PARTS, check_groups, crossing
from results import words
from results.door import hdf5
from results.writer import scratch_directory

_FEW = 3  # galaxies of a class that give every part of a split one
_ANY = 2**62
T = TypeVar("T")


@dataclass
class Report:
    """Report on a file.

    Attributes:
        what: the file in a sentence.
        wrong: its faults.
        notes: facts that a user should know.
    """

    what: str = ""
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def tried(self, step: Callable[[], T], where: Path) -> T | None:
        """Result of a step; None if it raises ValueError, which is noted as wrong."""
        try:
            return step()
        except ValueError as error:
            self.wrong.append(str(error).removeprefix(f"{where}: "))
            return None

    def lines(self, where: str) -> list[str]:
        """The report, a line each."""
        count = len(self.wrong)
        end = "nothing is wrong" if not count else f"{words.count(count, 'thing')} wrong"
        told = [
            *(f"wrong: {one}" for one in self.wrong),
            *(f"note: {one}" for one in dict.fromkeys(self.notes)),
        ]
        return [f"{where}: {self.what or 'no galaxies'}", *told, f"{where}: {end}"]


def check(path: Path, asked: Asked) -> Report:
    """Look at all of a file; nothing is left beside it.

    A source of another form is converted into a scratch directory, which shows what is wrong.

    Raises:
        ValueError, OSError: it cannot be opened at all.
    """
    report = Report()
    keys = asked.image_key or "images", asked.label_key or "ans"
    if not (is_source(path) or has_other_keys(path, *keys)):
        _check_file(path, asked, report)
        return report
    with scratch_directory() as scratch:
        made = scratch / "made.h5"
        try:
            converted = convert_source(path, made, dataclasses.replace(asked, skip_bad=_ANY))
        except ValueError as error:
            report.wrong.append(str(error).removeprefix(f"{path}: "))
            return report
        if len(converted.bad):
            report.wrong.append(converted.bad.words())
        report.notes += converted.done
        _check_file(made, Asked(), report)
    return report


def _check_file(path: Path, asked: Asked, report: Report) -> None:
    """Try each step of reading an HDF5 file; failures go into the report."""

    def tried(step: Callable[[], T]) -> T | None:
        return report.tried(step, path)

    image_key, label_key = asked.image_key or "images", asked.label_key or "ans"
    with open_galaxies(path) as file:
        labels = tried(lambda: file.labels(label_key))
        pictures = tried(lambda: file.pictures(image_key))
        names = None
        if labels is not None:
            native = labels
            given = tuple(asked.class_names)
            names = tried(
                lambda: (
                    file.check_names(given, label_key, native)
                    if given
                    else file.class_names(label_key, native)
                )
            )
        rows = len(labels) if labels is not None else len(pictures) if pictures is not None else 0
        groups = tried(lambda: file.groups(asked.group_key or None, rows))
        tried(lambda: file.integers("t_type", rows))
        _check_votes(file, rows, report)
        split = asked.split_from or ("split" if file.has("split") else "")
        parts = tried(lambda: file.parts(split, rows)) if split else None
        if pictures is None:
            return
        report.what = (
            f"{words.count(len(pictures), 'picture')} of {'x'.join(map(str, pictures.shape[1:]))}"
        )
        missing, chunks = hdf5.unwritten(pictures)
        if missing:
            report.wrong.append(
                f"'{image_key}': {missing:,} of {words.count(chunks, 'block')} of pictures were "
                "never written; make the file again"
            )
        keep = np.zeros(rows if labels is not None else len(pictures), dtype=bool)
        seen = tried(lambda: file.images(image_key, keep, Picking(channels="0"))[1])
        if labels is None or names is None:
            labels, names = np.zeros(len(pictures), dtype=np.int64), ("of any class",)
        else:
            report.what += _classes(labels, names, report)
        if seen is None or len(labels) != len(pictures):
            return
        sky = file.sky(len(labels))
    _look(seen, labels, names, sky, groups, parts, report, path)


def _look(
    seen: Seen,
    labels: np.ndarray,
    names: tuple[str, ...],
    sky: tuple[np.ndarray, np.ndarray] | None,
    groups: np.ndarray | None,
    parts: np.ndarray | None,
    report: Report,
    path: Path,
) -> None:
    """Report the findings from the pixels and the places of the pictures."""
    everything = np.arange(len(labels))
    if groups is not None:
        report.tried(lambda: check_groups(labels, groups), path)
    blank = report.tried(lambda: check_blank(seen, everything, labels, names, str(path)), path)
    together, twice = twins(seen, everything, labels, names, sky, groups)
    report.notes += [str(note) for note in (blank, twice) if note]
    if parts is not None:
        sizes = np.bincount(parts, minlength=len(PARTS))
        told = ", ".join(f"{size:,} {name}" for size, name in zip(sizes, PARTS, strict=True))
        report.notes.append(f"a published split: {told}; --split-from split keeps it")
        if together is not None and (count := crossing(together, parts)):
            report.notes.append(
                f"{words.count(count, 'picture')} of it with a copy in another part: a leak"
            )


def _classes(labels: np.ndarray, names: tuple[str, ...], report: Report) -> str:
    counts = np.bincount(labels, minlength=len(names))
    few = [f"'{names[label]}' ({counts[label]})" for label in np.flatnonzero(counts < _FEW)]
    if few:
        report.notes.append(
            f"fewer than {_FEW} galaxies of {', '.join(few[:5])}{', ...' * (len(few) > 5)}: not "
            "every part of a split has one"
        )
    told = [f"{name} {count:,}" for name, count in zip(names, counts.tolist(), strict=True)]
    shown = ", ".join(told[:12])
    return f" in {words.count(len(names), 'class')}: {shown}{', ...' * (len(names) > 12)}"


def _check_votes(file: GalaxyFile, rows: int, report: Report) -> None:
    if not file.has("votes"):
        return
    found = report.tried(lambda: file.votes(rows), file.path)
    if found is None:
        report.notes.append(f"'votes' is no table of shares, floats ({rows}, k): it is not read")
        return
    votes, names = found
    bad = ~np.isfinite(votes).all(axis=1) | (votes < 0).any(axis=1) | (votes > 1.01).any(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        report.wrong.append(
            f"'votes': {words.count(int(bad.sum()), 'row')} not of shares, the first {row}"
        )
    report.notes.append(f"votes on {words.count(len(names), 'answer')}")
