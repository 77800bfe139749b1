"""A series over time: its points, and the steps in it with what changed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.tracking.history import History, Point, Rows, Series, changes
from benchmarks.tracking.metrics import Metric
from results.stats.changepoints import MINIMUM_SEGMENT, Step, steps
from results.stats.vocabulary import LEAST_RATIO


@dataclass(frozen=True)
class FoundStep:
    """A step with the first execution after it and what changed there."""

    found: Step
    execution: str
    changed: list[str]


@dataclass(frozen=True)
class Trend:
    """One series of one metric: its points, oldest first, and its steps."""

    series: Series
    points: list[Point]
    steps: list[FoundStep]


def trends(
    history: History,
    metric: Metric,
    rows: Rows | None = None,
    *,
    minimum_segment: int = MINIMUM_SEGMENT,
    minimum_size: float = LEAST_RATIO,
) -> list[Trend]:
    """Every series that has values of the metric.

    Args:
        rows: of the history; all by default.
        minimum_segment: points that a level has to last to be one.
        minimum_size: relative change below which a step is not reported.
    """
    values = history.metric(metric)
    found = []
    for series in history.series(rows):
        points = history.points(series, values)
        if points:
            found_steps = _steps(history, points, minimum_segment, minimum_size)
            found.append(Trend(series, points, found_steps))
    return found


def _steps(
    history: History, points: Sequence[Point], minimum_segment: int, minimum_size: float
) -> list[FoundStep]:
    levels = np.array([point.value for point in points])
    if levels.min() <= 0:  # an accuracy of 0 has no ratio
        return []
    found = []
    for step in steps(levels, minimum_segment=minimum_segment, minimum_size=minimum_size):
        first = int(points[step.index].rows[0])
        last_before = int(points[step.index - 1].rows[-1])
        execution = str(history.value("execution_id", first))
        found.append(FoundStep(step, execution, changes(history, last_before, first)))
    return found
