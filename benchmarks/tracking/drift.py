"""Drift between two sessions of one code, from the sessions of a cell in the store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.tracking.history import History, Rows, Series
from results.stats.drift import LAST, Drift
from results.stats.noise import OF_A_SESSION


def between_sessions(
    history: History,
    values: npt.NDArray[np.float64],
    baseline: Series,
    rows: Sequence[Rows],
) -> Drift:
    """The drift by all sessions of the baseline's cell but the candidate's own.

    Sessions count that have 3 processes, or as many as the compared ones have where these are
    fewer.

    Args:
        values: (n,) of a metric, NaN where it was not measured.
        rows: of the baseline and the candidate, those with a value.
    """
    if not all(side.size for side in rows):
        return Drift(0, float("nan"))
    codes, _ = history.codes("session_id")
    largest = min(int(np.bincount(codes[side]).max()) for side in rows)
    same = history.where("cell_id", baseline.cell_id)
    same &= history.where("machine_id", baseline.machine_id)
    others = np.setdiff1d(np.flatnonzero(same & ~np.isnan(values)), rows[1])
    names, first, counts = np.unique(codes[others], return_index=True, return_counts=True)
    order = np.argsort(first)
    order = order[counts[order] >= min(largest, OF_A_SESSION)]
    began = others[first[order]]
    before, after = rows if rows[0][0] <= rows[1][0] else rows[::-1]
    earlier, later = before[-1], after[0]
    apart = 1 + int(np.sum((began > earlier) & (began < later)))
    last = names[order][-LAST:]
    medians = [np.median(values[others[codes[others] == name]]) for name in last]
    return Drift.of(medians, apart)
