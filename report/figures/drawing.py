"""Figures of the report drawn with matplotlib, for papers: each from the data of its chart alone.

A wide figure has its title, a legend and the caption with it. One of a journal's column has none of
them: the caption is written beside it.
"""

import io
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from report.chart import Chart, Grid, Panel, Series, Tiles
from report.figures import style
from report.section import Picture
from results.names import for_figure
from results.views.looks import plain

WIDTHS = {1: 3.4, 2: 7.0}  # inches: a column and a page of MNRAS, ApJ or A&A
_WIDE = 9.6
_TILE = 1.85
_RC_OF_COLUMNS: Any = style.RC | {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6,
}
_MOST_NUMBERS = 16  # classes of a matrix whose cells have room for numbers
_MOST_NAMES = 8  # in the legend of a panel
_FEW_TICKS = 12  # places on a logarithmic axis that are each named
_EDGE = 0.98  # of the axis: where a value without a place on it is marked


def draw(picture: Picture, columns: int | None = None) -> Figure:
    """The figure of a picture.

    Args:
        columns: 1 or 2 for the width of a journal's column or page; None: wide, for a screen.
    """
    with mpl.rc_context(_RC_OF_COLUMNS if columns else style.RC):
        shown = picture.shown
        if isinstance(shown, Tiles):
            made = _tiles(shown)
        elif isinstance(shown, Chart):
            made = _panels(shown, columns)
        else:
            made = _matrices(shown.grids, columns)
        if columns and not isinstance(shown, Tiles):
            return made
        legend = _legend(made)
        return style.finish(made, picture.title, picture.caption, demo=picture.demo, legend=legend)


def _panels(shown: Chart, columns: int | None) -> Figure:
    panels = shown.panels
    across = min(columns or shown.across, len(panels))
    width = WIDTHS[columns] if columns else _WIDE
    starts = range(0, len(panels), across)
    heights = [max(map(_height, panels[start : start + across])) for start in starts]
    made = style.figure(width, sum(heights) + (0 if columns else 0.9))
    grid = made.subplots(len(heights), across, squeeze=False, height_ratios=heights).ravel()
    for place, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
        _panel(axes, panel)
        if place % across and panel.rows and panel.rows == panels[place - 1].rows:
            axes.set_yticklabels([])
        if columns and 1 < len(_named(axes)) <= _MOST_NAMES and not panel.rows:
            axes.legend()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return made


def _height(panel: Panel) -> float:
    return 0.75 + 0.3 * len(panel.rows) if panel.rows else 2.4


def _panel(axes: Axes, panel: Panel) -> None:
    if "x" in panel.log:
        axes.set_xscale("log")
    if "y" in panel.log:
        axes.set_yscale("log")
    for one in panel.series:
        _series(axes, one, bool(panel.rows))
    for rule in panel.rules:
        line = axes.axvline if rule.axis == "x" else axes.axhline
        line(rule.value, color=style.MUTED, lw=0.7, ls=":", zorder=0)
        if rule.text and rule.axis == "y":
            _beside(axes, rule.text, (1, rule.value), ha="right", va="bottom", color=style.MUTED)
        elif rule.text:
            how: Any = {"xycoords": ("data", "axes fraction"), "fontsize": 6.5, "va": "top"}
            axes.annotate(f" {for_figure(rule.text)}", (rule.value, 1), color=style.WARNING, **how)
    if panel.margin:
        axes.axvspan(*panel.margin, color=style.FAINT, alpha=0.6, lw=0, zorder=0)
    if panel.rows:
        axes.set_yticks(range(len(panel.rows)), [for_figure(name) for name in panel.rows])
        axes.set_ylim(len(panel.rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        if panel.zero:
            axes.set_xlim(left=0)
    elif panel.zero:
        axes.set_ylim(bottom=0)
    places = sorted({x for one in panel.series for x in one.x})
    if "x" in panel.log and not panel.rows and len(places) <= _FEW_TICKS:
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
    if panel.ticks:
        axes.set_xticks(list(panel.ticks), [for_figure(name) for name in panel.ticks.values()])
    axes.set_title(for_figure(panel.title))
    axes.set_xlabel(for_figure(panel.x))
    axes.set_ylabel(for_figure(panel.y))
    axes.grid(axis="x" if panel.rows else "y")


def _series(axes: Axes, one: Series, rows: bool) -> None:
    colour, label = one.colour or style.INK, for_figure(one.name)
    x, y = np.asarray(one.x, np.float64), np.asarray(one.y, np.float64)
    low, high = (np.asarray(ends, np.float64) for ends in (one.low, one.high))
    if one.kind == "bar":
        shown = one.colour or style.FAINT
        axes.barh(y, high - low, left=low, height=0.62, color=shown, label=label)
    elif one.kind == "line" and len(x) > 1:
        if len(low):
            axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
        form: Any = "--" if one.dashed else "-"
        alpha = 0.7 if one.faint else 1
        axes.plot(x, y, form, color=colour, lw=0.8 * one.width, label=label, alpha=alpha)
        if one.second:
            axes.plot(x, y, color=one.second, lw=0.8 * one.width, ls=(0, (4, 4)))
    else:
        _points(axes, one, (x, y), (low, high), rows, label)


def _points(
    axes: Axes,
    one: Series,
    places: tuple[np.ndarray, np.ndarray],
    ends: tuple[np.ndarray, np.ndarray],
    rows: bool,
    label: str,
) -> None:
    x, y = places
    colour, ring = one.colour or style.INK, one.marker == "ring"
    if len(ends[0]):
        both = np.stack([y, y]) if rows else np.stack([x, x])
        axes.plot(*((ends, both) if rows else (both, ends)), color=colour, lw=1.4)
    marks: dict[str, Any] = {
        "ls": "none",
        "ms": 8 if ring else 2.6 if one.faint and one.marker != "|" else 4.5,
        "mfc": "none" if ring else "white" if one.hollow else colour,
        "mec": colour,
        "mew": 1.6 if one.marker == "|" else 0.8,
        "alpha": 0.6 if one.faint else 1,
    }
    marker = "o" if ring else one.marker
    axes.plot(x, y, marker=marker, label=label, **marks)
    if rows:
        lost = y[~np.isfinite(x)]
        edge = axes.get_yaxis_transform()
        arrow = marker if ring else ">"
        axes.plot(np.full(len(lost), _EDGE), lost, marker=arrow, transform=edge, **marks)
    if rows and one.marker == "|":
        for place, text in zip(y, one.text, strict=False):
            _beside(axes, text, (1.01, round(float(place))), va="center", color=style.INK)


def _beside(axes: Axes, text: str, place: tuple[float, float], **how: Any) -> None:
    """Words at a share of the axes' width and a value of y."""
    axes.annotate(
        for_figure(text), place, xycoords=("axes fraction", "data"), fontsize=6.5, zorder=6, **how
    )


def _matrices(grids: Sequence[Grid], columns: int | None) -> Figure:
    """A row for each matrix: counts, and on a wide figure shares of each row and of each column."""
    across = min(columns, len(grids)) if columns else 3
    side = WIDTHS[columns] / across if columns else _WIDE / across
    down = math.ceil(len(grids) / across) if columns else len(grids)
    made = style.figure(across * side, 0.94 * down * side + (0 if columns else 0.7))
    places = made.subplots(down, across, squeeze=False).ravel()
    for number, grid in enumerate(grids):
        counts = np.asarray(grid.counts, np.float64)
        by_row = _shares(counts, 1)
        if columns:
            _matrix(places[number], grid, counts, by_row, grid.title)
            continue
        mine = places[3 * number : 3 * number + 3]
        _matrix(mine[0], grid, counts, by_row, f"{grid.title}: counts")
        _matrix(mine[1], grid, 100 * by_row, by_row, f"% of a row ({grid.down})")
        by_column = _shares(counts, 0)
        _matrix(mine[2], grid, 100 * by_column, by_column, f"% of a column ({grid.across})")
        for axes in mine[1:]:
            axes.set_yticks(range(len(grid.rows)), [str(place) for place in range(len(grid.rows))])
    for axes in places[len(grids) if columns else 3 * len(grids) :]:
        axes.set_visible(False)
    return made


def _shares(counts: np.ndarray, axis: int) -> np.ndarray:
    total = counts.sum(axis=axis, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def _matrix(axes: Axes, grid: Grid, numbers: np.ndarray, shares: np.ndarray, title: str) -> None:
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # a root shows the confusions
    axes.set_xticks(range(len(grid.columns)), [str(place) for place in range(len(grid.columns))])
    names = [for_figure(f"{name}  {place}") for place, name in enumerate(grid.rows)]
    axes.set_yticks(range(len(grid.rows)), names)
    axes.tick_params(length=0)
    axes.set_title(for_figure(title))
    axes.set_xlabel(grid.across)
    if len(grid.rows) <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(numbers):
            if value:
                tone = "white" if shares[row, column] > 0.4 else style.INK
                text = "<1" if value < 0.5 else f"{value:.0f}"
                how: Any = {"ha": "center", "va": "center", "color": tone, "fontsize": 5.5}
                axes.text(column, row, text, in_layout=False, **how)


def _tiles(shown: Tiles) -> Figure:
    from PIL import Image

    across = min(5, max(1, len(shown.names)))
    down = max(1, math.ceil(len(shown.names) / across))
    made = style.figure(_TILE * across + 0.2, 1.16 * _TILE * down + 0.65)
    grid = made.subplots(down, across, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, name, png in zip(grid, shown.names, shown.pngs, strict=False):
        axes.imshow(Image.open(io.BytesIO(png)), cmap="gray", vmin=0, vmax=255)
        folded = plain("\n".join(textwrap.wrap(name, 22)))
        axes.set_title(folded, fontsize=7, fontweight="normal")
    return made


def _legend(made: Figure) -> list[Artist]:
    """A mark for each name of the figure, without raw values where there are many names."""
    found: dict[str, Any] = {}
    for axes in made.axes:
        found = found | {name: mark for name, mark in _named(axes).items() if name not in found}
    if len(found) > _MOST_NAMES:
        found = {name: mark for name, mark in found.items() if getattr(mark, "_alpha", 1) == 1}
    return list(found.values()) if len(found) > 1 else []


def _named(axes: Axes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mark, name in zip(*axes.get_legend_handles_labels(), strict=True):
        found.setdefault(name, mark)
    return found
