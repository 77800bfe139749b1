"""Throughput, scaling and energy of a bench drawn for a paper."""

from collections.abc import Callable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from report.figures import style
from report.sections.benches import interval_words
from results.stats.intervals import Interval
from results.views.cells import Bench, Cell
from results.views.looks import plain
from results.views.numbers import with_interval


def rows_figure(
    bench: Bench,
    value: Callable[[Cell], Interval],
    points: Callable[[Cell], np.ndarray],
    title: str,
    unit: str,
    roofline: bool = False,
) -> Figure:
    """A panel for each batch size, a row for each cell: processes, median, interval, limit."""
    panels = [
        [cell for cell in bench.cells if cell.batch_size == size] for size in bench.batch_sizes
    ]
    heights = [0.34 * len(cells) + 0.5 for cells in panels]
    figure = style.figure(8.6, 1.05 + sum(heights) + 0.1 * len(heights))
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, cells, size in zip(grid, panels, bench.batch_sizes, strict=True):
        for place, cell in enumerate(cells):
            text = with_interval(value(cell))
            if roofline and cell.median("roofline_share") > 0:
                text += f" · {100 * cell.median('roofline_share'):.0f} % of roofline"
            _row(axes, place, cell, value(cell), points(cell), text)
            if roofline:
                _limit(axes, place, cell)
        _frame(axes, cells)
        axes.set_title(plain(f"batch {size}: {unit}"))
        style.mark_refused(axes, cells[0].refusal)
    return style.finish(
        figure,
        title,
        f"{bench.conditions}  ·  points: processes; mark and bar: median and "
        f"{interval_words(bench)}",
        legend=_legend(bench, roofline),
    )


def _row(
    axes: Axes, place: int, cell: Cell, interval: Interval, points: np.ndarray, text: str
) -> None:
    look = cell.look
    filled = look.colour if cell.tuning == "tuned" else "white"
    axes.scatter(
        points,
        np.full(len(points), place - 0.18),
        marker=look.marker,
        s=15,
        fc=filled,
        ec=look.colour,
        lw=0.8,
        zorder=3,
    )
    if not np.isnan(interval.low):
        ends = [interval.low, interval.high]
        axes.plot(ends, [place + 0.16] * 2, color=style.INK, lw=1.6, zorder=4)
    mark = [place + 0.04, place + 0.28]
    axes.plot([interval.value] * 2, mark, color=style.INK, lw=2, zorder=4)
    axes.annotate(
        text,
        (1.01, place),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=7,
        color=style.INK,
    )


def _limit(axes: Axes, place: int, cell: Cell) -> None:
    """The roofline of the row: the images per second that no layer-wise step exceeds."""
    seconds = cell.median("roofline_seconds")
    if not seconds > 0:
        return
    most = cell.batch_size / seconds
    axes.barh(place, most, height=0.8, color=style.FAINT, alpha=0.35, zorder=0)
    axes.plot([most] * 2, [place - 0.4, place + 0.4], color=style.MUTED, lw=1.4, zorder=1)


def _frame(axes: Axes, cells: list[Cell]) -> None:
    labels = [f"{cell.look.name}, {cell.tuning}, {cell.precision}" for cell in cells]
    axes.set_yticks(range(len(cells)), [plain(label) for label in labels])
    for label, cell in zip(axes.get_yticklabels(), cells, strict=True):
        label.set_color(cell.look.colour)
        label.set_fontweight("bold" if cell.tuning == "tuned" else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(cells) - 0.45, -0.55)
    axes.set_xlim(left=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


def _legend(bench: Bench, roofline: bool) -> list[Artist]:
    tunings = {cell.tuning for cell in bench.cells}
    marks: list[Artist] = [
        Line2D(
            [],
            [],
            marker="o",
            ls="",
            ms=4,
            mec=style.MUTED,
            mfc=style.MUTED if tuning == "tuned" else "white",
            label=f"a process, {tuning}",
        )
        for tuning in ("idiomatic", "tuned")
        if tuning in tunings
    ]
    marks.append(Line2D([], [], color=style.INK, lw=2, label="median"))
    if roofline:
        marks.append(Line2D([], [], color=style.MUTED, lw=1.4, label="roofline"))
    return marks


def scaling_figure(bench: Bench) -> Figure:
    """A panel for each precision, a line for each framework and tuning."""
    precisions = list(dict.fromkeys(cell.precision for cell in bench.cells))
    figure = style.figure(max(4.6, 3.6 * len(precisions)), 3.6)
    grid = figure.subplots(1, len(precisions), squeeze=False, sharey=True)[0]
    sizes = bench.batch_sizes
    for axes, precision in zip(grid, precisions, strict=True):
        cells = [cell for cell in bench.cells if cell.precision == precision]
        for framework, tuning in dict.fromkeys((cell.framework, cell.tuning) for cell in cells):
            mine = [cell for cell in cells if (cell.framework, cell.tuning) == (framework, tuning)]
            _line(axes, mine)
        limits = {
            cell.batch_size: cell.batch_size / cell.median("roofline_seconds")
            for cell in cells
            if cell.median("roofline_seconds") > 0
        }
        if limits:
            axes.plot(list(limits), list(limits.values()), color=style.MUTED, lw=1.2, zorder=1)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.grid()
        axes.set_xlabel("images in a batch")
        axes.set_title(precision)
    grid[0].set_ylabel("images per second")
    return style.finish(
        figure,
        f"{bench.name}: throughput over the batch size",
        f"{bench.conditions}  ·  bars: {interval_words(bench)}",
        legend=[
            *_scaling_legend(bench),
            Line2D([], [], color=style.MUTED, lw=1.2, label="roofline"),
        ],
    )


def _line(axes: Axes, cells: list[Cell]) -> None:
    look, tuned = cells[0].look, cells[0].tuning == "tuned"
    found = [cell.images_per_second for cell in cells]
    values = [interval.value for interval in found]
    lows = [0 if np.isnan(one.low) else one.value - one.low for one in found]
    highs = [0 if np.isnan(one.high) else one.high - one.value for one in found]
    axes.errorbar(
        [cell.batch_size for cell in cells],
        values,
        yerr=[lows, highs],
        color=look.colour,
        marker=look.marker,
        ms=4.5,
        mfc=look.colour if tuned else "white",
        ls="-" if tuned else "--",
        lw=1.3,
        capsize=2,
        zorder=3,
    )


def _scaling_legend(bench: Bench) -> list[Artist]:
    shown = dict.fromkeys((cell.look, cell.tuning) for cell in bench.cells)
    return [
        Line2D(
            [],
            [],
            color=look.colour,
            marker=look.marker,
            ms=4,
            mfc=look.colour if tuning == "tuned" else "white",
            ls="-" if tuning == "tuned" else "--",
            label=f"{look.name}, {tuning}",
        )
        for look, tuning in shown
    ]
