"""A metric by framework version: what a version changed, commits apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.tracking.history import History, Rows, Series
from benchmarks.tracking.metrics import Metric
from results.stats.intervals import Interval, median_of_medians


@dataclass(frozen=True)
class Level:
    """The runs of one series with the same versions of its framework."""

    series: Series
    version: str
    interval: Interval
    runs: int


def by_version(history: History, metric: Metric, rows: Rows | None = None) -> list[Level]:
    """The median of every series and version with its interval, in the order of first use."""
    values = history.metric(metric)
    codes, _ = history.codes("versions")
    found = []
    for series in history.series(rows):
        mine = series.rows[~np.isnan(values[series.rows])]
        groups: dict[str, list[Rows]] = {}
        for code in dict.fromkeys(codes[mine].tolist()):
            group = mine[codes[mine] == code]
            groups.setdefault(history.version(int(group[0])), []).append(group)
        for version, parts in groups.items():
            group = np.concatenate(parts)
            interval = median_of_medians([[value] for value in values[group]])
            found.append(Level(series, version, interval, len(group)))
    return found
