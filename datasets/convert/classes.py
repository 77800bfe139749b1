"""Labels of any form as numbers from 0 on, and the names of the classes in a stated order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from datasets import advice
from datasets.convert.bad import NO_LABEL, OTHER_LABEL, Bad
from datasets.convert.form import Rows
from datasets.galaxy_file import MOST_CLASSES
from results.vocabulary import near_miss
from results.words import count

_SHOWN = 12  # classes that a sentence names
_MISSING = ("", "nan", "none", "null", "na", "n/a", "-", "?")


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts as people count: 1, 2, 10 and not 1, 10, 2."""
    parts = re.split(r"([0-9]+)", text.casefold())
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part)


def in_order(names: Iterable[str]) -> list[str]:
    """Different names in their natural order, those that differ in case alone as text."""
    return sorted(set(names), key=lambda name: (natural(name), name))


def numbered(
    rows: Rows, given: Sequence[str], bad: Bad, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels int64 (n,), those of bad rows 0, and the names of the classes.

    Args:
        rows: of the source; `done` is told what was made of the labels.
        given: names by label, as the user gave them, or none.
        bad: told of rows without a label.
        where: the source, and the field of it, in messages.

    Raises:
        ValueError: labels that name no classes.
    """
    values = rows.labels
    while values.ndim != 1 or values.dtype.kind == "b":
        found = advice.of_labels(values)
        if found is None or found.conversion is None:
            told = found.what if found else f"is {values.dtype}; labels are class numbers or names"
            raise ValueError(f"{where} {told}")
        values = found.conversion.apply(values)
        rows.done.append(f"labels by {found.conversion.code}")
    if values.dtype.kind in "SUO":
        texts = [_text(value) for value in values.tolist()]
        if not all(re.fullmatch(r"[+-]?[0-9]+(\.0*)?", text) for text in texts if text):
            return _of_names(texts, rows, given or rows.class_names or (), bad, where)
        numbers = np.array([float(text) if text else np.nan for text in texts])
        if not len(numbers) or np.nanmax(np.abs(numbers), initial=0) < 2**53:
            values = numbers
        else:
            raise ValueError(f"{where} has numbers of galaxies, not of classes")
    if values.dtype.kind not in "uif":
        raise ValueError(f"{where} is {values.dtype}; labels are class numbers or names")
    return _of_numbers(values, rows, tuple(given) or rows.class_names, bad, where)


def _of_names(
    texts: Sequence[str], rows: Rows, given: Sequence[str], bad: Bad, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    present = in_order(text for text in texts if text)
    names = list(given) or present
    _check_count(len(names), len(texts), where)
    number = {name: label for label, name in enumerate(names)}
    labels = np.zeros(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        if not text:
            bad.add(NO_LABEL, rows.names[row], row)
        elif text not in number:
            if row == texts.index(text) and (near := near_miss(text, names)):
                rows.done.append(f"'{text}' is no class{near}")
            bad.add(OTHER_LABEL, f"{rows.names[row]} '{text}'", row)
        else:
            labels[row] = number[text]
    if not given:
        rows.done.append(f"classes in this order: {_some(names)}")
    return labels, tuple(names)


def _of_numbers(
    values: np.ndarray, rows: Rows, given: Sequence[str] | None, bad: Bad, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    if values.dtype.kind == "f":
        known = np.isfinite(values)
        if len(odd := np.flatnonzero(known & (values != np.round(values)))):
            row = int(odd[0])
            told = f"has {values[row]} ({rows.names[row]}), not a whole number"
            raise ValueError(f"{where} {told}: name the labels with --label-key")
    else:
        known = np.ones(len(values), dtype=bool)
    if not given:
        known &= values >= 0  # -1 stands for unknown
    for row in np.flatnonzero(~known).tolist():
        bad.add(NO_LABEL, f"{rows.names[row]}: {values[row]:g}", row)
    present = np.unique(values[known])
    if not len(present):
        raise ValueError(f"{where} has no label at all")
    if given:
        wrong = known & ((values < 0) | (values >= len(given)))
        for row in np.flatnonzero(wrong).tolist():
            bad.add(OTHER_LABEL, f"{rows.names[row]} {values[row]:g}", row)
        labels = np.where(known & ~wrong, values, 0).astype(np.int64)
        return labels, tuple(given)
    _check_count(len(present), int(known.sum()), where)
    if not np.array_equal(present, np.arange(len(present))):
        rows.done.append("labels numbered from 0 on")
    labels = np.searchsorted(present, np.where(known, values, present[0])).astype(np.int64)
    return labels, tuple(f"class {number:.0f}" for number in present.tolist())


def _check_count(classes: int, rows: int, where: str) -> None:
    if classes > max(rows // 2, 1) or classes > MOST_CLASSES:
        raise ValueError(
            f"{where} has {count(classes, 'different value')} in {count(rows, 'row')}: these are "
            "no classes; name the labels with --label-key"
        )


def _text(value: object) -> str:
    """A label as text, "" for those that say there is none."""
    if value is None:
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "" if text.strip().lower() in _MISSING else text.strip()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
