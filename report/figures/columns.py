"""Figures at the width of one or two columns of a journal, from the data of a chart alone.

Title and conditions are left to the caption, which is written beside the figure.
"""

import math
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from report.chart import Chart, Grid, Panel, Series
from report.figures import style
from report.section import Picture
from results.names import for_figure

WIDTHS = {1: 3.4, 2: 7.0}  # inches: a column and a page of MNRAS, ApJ or A&A
_RC: Any = style.RC | {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6,
}
_MARKERS = {"ring": "o"}
_MOST_NUMBERS = 12  # classes of a matrix whose cells have room for numbers


def column_figure(picture: Picture, columns: int) -> Figure | None:
    """The picture at the width of so many columns; None where it is no chart or matrix.

    Args:
        columns: 1 or 2.
    """
    if isinstance(picture.shown, Chart):
        parts: list[Panel | Grid] = list(picture.shown.panels)
    else:
        parts = list(getattr(picture.shown, "grids", ()))
    if not parts:
        return None
    with mpl.rc_context(_RC):
        across = min(columns, len(parts))
        rows = math.ceil(len(parts) / across)
        heights = [
            max(_height(one, columns / across) for one in parts[start : start + across])
            for start in range(0, len(parts), across)
        ]
        made = style.figure(WIDTHS[columns], sum(heights))
        grid = made.subplots(rows, across, squeeze=False, height_ratios=heights).ravel()
        for axes, one in zip(grid, parts, strict=False):
            if isinstance(one, Panel):
                _panel(axes, one)
            else:
                _matrix(axes, one)
        for axes in grid[len(parts) :]:
            axes.set_visible(False)
        return made


def _height(one: Panel | Grid, share: float) -> float:
    if isinstance(one, Grid):
        return min(3.4, 3.4 * share) + 0.2
    return 0.75 + 0.24 * len(one.rows) if one.rows else 2.3


def _panel(axes: Axes, panel: Panel) -> None:
    named: set[str] = set()
    for one in panel.series:
        label = "" if one.name in named or (one.faint and panel.rows) else for_figure(one.name)
        named.add(one.name)
        _series(axes, one, bool(panel.rows), label)
    for rule in panel.rules:
        line = axes.axvline if rule.axis == "x" else axes.axhline
        line(rule.value, color=style.MUTED, lw=0.7, ls=":", zorder=0)
    if panel.margin:
        axes.axvspan(*panel.margin, color=style.FAINT, alpha=0.6, lw=0, zorder=0)
    if "x" in panel.log:
        axes.set_xscale("log")
    if "y" in panel.log:
        axes.set_yscale("log")
    if panel.rows:
        axes.set_yticks(range(len(panel.rows)), [for_figure(name) for name in panel.rows])
        axes.set_ylim(len(panel.rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        if panel.zero:
            axes.set_xlim(left=0)
    axes.set_title(for_figure(panel.title))
    axes.set_xlabel(for_figure(panel.x))
    axes.set_ylabel(for_figure(panel.y))
    axes.grid(axis="x" if panel.rows else "y")
    if 1 < len(axes.get_legend_handles_labels()[1]) <= 8 and not panel.rows:
        axes.legend()


def _series(axes: Axes, one: Series, rows: bool, label: str) -> None:
    colour = one.colour or style.INK
    x, y = np.asarray(one.x, np.float64), np.asarray(one.y, np.float64)
    low, high = (np.asarray(ends, np.float64) for ends in (one.low, one.high))
    if one.kind == "bar":
        shown = one.colour or style.FAINT
        axes.barh(y, high - low, left=low, height=0.62, color=shown, label=label)
    elif one.kind == "line" and len(x) > 1:
        if len(low):
            axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
        form: Any = "--" if one.dashed else "-"
        axes.plot(x, y, form, color=colour, lw=0.6 * one.width, label=label)
    else:
        if len(low):
            ends = np.stack([low, high])
            places = np.stack([y, y]) if rows else np.stack([x, x])
            axes.plot(*((ends, places) if rows else (places, ends)), color=colour, lw=1)
        axes.plot(
            x,
            y,
            ls="none",
            marker=_MARKERS.get(one.marker, one.marker),
            ms=2 if one.faint else 3.5,
            mfc="none" if one.hollow or one.marker == "ring" else colour,
            mec=colour,
            mew=0.7,
            alpha=0.55 if one.faint else 1,
            label=label,
        )


def _matrix(axes: Axes, grid: Grid) -> None:
    values = np.asarray(grid.counts, np.float64)
    total = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(grid.columns)), [str(place) for place in range(len(grid.columns))])
    names = [for_figure(f"{name}  {place}") for place, name in enumerate(grid.rows)]
    axes.set_yticks(range(len(grid.rows)), names)
    axes.set_title(for_figure(grid.title))
    axes.set_xlabel("predicted as")
    if len(grid.rows) <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            if value:
                tone = "white" if shares[row, column] > 0.5 else style.INK
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=tone, size=5)
