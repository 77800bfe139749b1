"""Votes of people on galaxies: shares or counts of them, and the class that most chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets.convert.bad import NO_SUM, NO_VOTES, Bad
from results.words import count

_OFF = 0.01  # by which the shares of one question may miss 1: published ones are rounded


@dataclass(frozen=True, eq=False)
class Votes:
    """Votes as they are kept.

    shares: float32 (n, k). names: of the k. labels: int64 (n,), by the first question.
    class_names: the first question's answers. words: what was made of them.
    """

    shares: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    words: tuple[str, ...]


def question(name: str) -> str:
    """The question of a column: "Class1" of "Class1.2" (Galaxy Zoo's names); "" without a dot."""
    return name.rpartition(".")[0]


def counted(values: np.ndarray, names: Sequence[str], rows: Sequence[str], bad: Bad) -> Votes:
    """Votes of columns whose names tell their questions; without, all are of one.

    Shares of the first question sum to 1, to within 0.01; whole numbers of votes are divided by
    their question's sum. The label is the answer of the first question that most chose.

    Args:
        values: float64 (n, k), NaN where there is no number. names: of the k columns.
        rows: what messages call each row.
        bad: told of rows whose votes mean nothing.
    """
    questions = [question(name) for name in names]
    first = [place for place, one in enumerate(questions) if one == questions[0]]
    if len(first) < 2:  # dots that say nothing
        questions, first = [""] * len(names), list(range(len(names)))
    words = [f"votes on {count(len(names), 'answer')}"]
    finite = np.isfinite(values).all(axis=1)
    known = values[finite]
    if known.size and known.max() > 1 and (known >= 0).all() and (known == np.round(known)).all():
        values = _shares(values, questions)
        words.append("numbers of votes divided by their question's sum")
        # a galaxy that nobody voted on has shares 0, which do not sum to 1
    for row in np.flatnonzero(~finite).tolist():
        bad.add(NO_VOTES, rows[row], row)
    odd = finite & ((values < 0) | (values > 1 + _OFF)).any(axis=1)
    for row in np.flatnonzero(odd).tolist():
        bad.add(NO_VOTES, rows[row], row)
    sums = values[:, first].sum(axis=1)
    for row in np.flatnonzero(finite & ~odd & (np.abs(sums - 1) > _OFF)).tolist():
        bad.add(NO_SUM, f"{rows[row]}: {sums[row]:.3g}", row)
    values = np.where(np.isfinite(values), values, 0)
    classes = tuple(names[place] for place in first)
    words.append(f"the label is what most chose of {', '.join(classes)}")
    labels = values[:, first].argmax(axis=1).astype(np.int64)
    return Votes(values.astype(np.float32), tuple(names), labels, classes, tuple(words))


def _shares(values: np.ndarray, questions: Sequence[str]) -> np.ndarray:
    shares = np.zeros_like(values)
    for one in dict.fromkeys(questions):
        places = [place for place, other in enumerate(questions) if other == one]
        sums = values[:, places].sum(axis=1, keepdims=True)
        shares[:, places] = values[:, places] / np.where(sums > 0, sums, 1)
    return shares
