"""The history of a metric as a figure: a panel for each series, its levels and the steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from report import chart
from report.chart import Chart, Rule
from report.section import Picture
from results.views.looks import looks
from results.words import count

_PANELS = 6  # of one figure; the table has them all
_TICKS = 5


@dataclass(frozen=True)
class Series:
    """One series as it is drawn.

    label, framework, machine_id: whose it is; values: its points, oldest first, and commits, one
    for each; steps: the index of the first point after each step, and the ratio of the levels.
    """

    label: str
    framework: str
    machine_id: str
    values: Sequence[float]
    commits: Sequence[str]
    steps: Sequence[tuple[int, float]]


def draw(found: Sequence[Series], name: str, title: str, unit: str, to: Path) -> Path:
    """Write the figure into a folder as PNG; returns the file."""
    from report.figures.writing import write

    (path,) = write([picture(found, name, title, unit)], to, endings=[".png"])
    return path


def picture(found: Sequence[Series], name: str, title: str, unit: str) -> Picture:
    """The figure of the series with the most points, at most 6.

    Args:
        name: of its files. title, unit: of what the points are.
    """
    longest = sorted(range(len(found)), key=lambda place: -len(found[place].values))
    shown = [found[place] for place in sorted(longest[:_PANELS])]
    drawn = looks(one.framework for one in shown)
    what = f"{title}{f' ({unit})' if unit else ''}"
    machines = ", ".join(sorted({one.machine_id[:8] for one in shown}))
    more = len(found) - len(shown)
    left_out = f" {count(more, 'further series', 'further series')} not drawn." if more else ""
    return Picture(
        name,
        f"History of {title}",
        Chart([_panel(one, drawn[one.framework].colour, what) for one in shown]),
        "A point is the median over the processes of runs that follow each other with one commit "
        "and the same versions; lines are levels between steps. Machine "
        f"{machines}.{left_out}",
    )


def _panel(one: Series, colour: str, what: str) -> chart.Panel:
    values = np.asarray(one.values)
    points = list(range(len(values)))
    series = [chart.Series("median of a commit", points, values.tolist(), "points", colour=colour)]
    bounds = [0, *(index for index, _ in one.steps), len(values)]
    for first, last in itertools.pairwise(bounds):
        level = float(np.median(values[first:last]))
        series.append(chart.Series("level", [first - 0.5, last - 0.5], [level, level], width=1.2))
    places = np.unique(np.linspace(0, len(values) - 1, _TICKS).round().astype(int)).tolist()
    return chart.Panel(
        one.label,
        "commit, oldest first",
        series,
        what,
        rules=[Rule("x", index - 0.5, f"{ratio - 1:+.0%}") for index, ratio in one.steps],
        ticks={place: one.commits[place][:8] for place in places},
    )
