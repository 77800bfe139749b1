"""The history of a metric as a figure: a panel for each series, its levels and the steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from report import style
from results.views.looks import looks, plain
from results.writer import whole_file

_PANELS = 6  # of one figure; the table has them all
_COLUMNS = 2
_TICKS = 5


@dataclass(frozen=True)
class Panel:
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


def draw(panels: Sequence[Panel], title: str, unit: str, path: Path) -> None:
    """Draw the series with the most points, at most 6, and write the figure as a PNG.

    Args:
        panels: the series.
        title, unit: of what the points are.
        path: of the PNG; its directory is made.

    Raises:
        OSError: the file cannot be written; the message names it.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    longest = sorted(range(len(panels)), key=lambda place: -len(panels[place].values))
    shown = [panels[place] for place in sorted(longest[:_PANELS])]
    label = f"{title}{f' ({unit})' if unit else ''}"
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    drawn = looks(panel.framework for panel in shown)
    with mpl.rc_context(style.RC):
        figure = style.figure(4.6 * columns, 0.7 + 1.75 * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for place, panel in zip(axes, shown, strict=False):
            _draw(place, panel, drawn[panel.framework].colour, label)
        for place in axes[len(shown) :]:
            place.set_visible(False)
        machines = sorted({panel.machine_id[:8] for panel in shown})
        more = len(panels) - len(shown)
        left_out = f" {more} further series not drawn." if more else ""
        style.finish(
            figure,
            f"History of {title}",
            "A point is the median over the processes of runs that follow each other with one "
            "commit and the same versions; lines are levels between steps. Machine "
            f"{', '.join(machines)}.{left_out}",
            demo=False,
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            FigureCanvasAgg(figure)
            with whole_file(path) as file:
                figure.savefig(file, format=path.suffix[1:], dpi=110)
        except OSError as error:
            raise OSError(f"cannot write {path}: {error.strerror or error}") from error


def _draw(axes: Axes, panel: Panel, colour: str, label: str) -> None:
    values = np.asarray(panel.values)
    size = 9 if len(values) <= 100 else 2
    axes.scatter(np.arange(len(values)), values, s=size, color=colour, linewidths=0)
    bounds = [0, *(index for index, _ in panel.steps), len(values)]
    for first, last in itertools.pairwise(bounds):
        level = float(np.median(values[first:last]))
        axes.plot([first - 0.5, last - 0.5], [level, level], color=style.INK, linewidth=1)
    for index, ratio in panel.steps:
        axes.axvline(index - 0.5, color=style.WARNING, linewidth=0.8)
        axes.annotate(
            f"{ratio - 1:+.0%}",
            (index - 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, -1),
            textcoords="offset points",
            va="top",
            fontsize=6.5,
            color=style.WARNING,
        )
    axes.set_title(plain(panel.label), fontsize=7.5)
    axes.set_ylabel(label)
    places = np.unique(np.linspace(0, len(values) - 1, _TICKS).round().astype(int))
    axes.set_xticks(places, [plain(panel.commits[place][:8]) for place in places])
    axes.set_xlabel("commit, oldest first")
    axes.grid(axis="y")
    span = max(float(np.ptp(values)), 0.02 * float(np.median(values)))
    axes.set_ylim(values.min() - 0.15 * span, values.max() + 0.25 * span)
