"""Epoch times, throughput and phases drawn for a paper."""

from functools import partial
from operator import truediv
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from report.figures import style
from report.sections.speed import PHASES, mean_phases
from results.stats.intervals import Interval, median_of_medians
from results.views.estimates import bar_words, epoch_time, processes
from results.views.looks import plain
from results.views.numbers import significant, with_interval
from results.views.views import View


def throughput_figure(view: View, epochs: pd.DataFrame) -> Figure:
    """A row for each panel: seconds per epoch, images per second."""
    heights = [0.42 * len(panel.frameworks) + 0.45 for panel in view.panels]
    figure = style.figure(9.6, 1.05 + sum(heights) + 0.12 * len(heights))
    grid = figure.subplots(len(view.panels), 2, squeeze=False, height_ratios=heights)
    for row, panel in enumerate(view.panels):
        for axes, per_second in zip(grid[row], (False, True), strict=True):
            for place, framework in enumerate(panel.frameworks):
                runs = panel.of(framework)
                times = processes(epochs, runs)
                if not times:
                    continue
                interval = epoch_time(runs, epochs)
                if per_second:
                    images = float(runs["train_images"].median())
                    times = [images / time for time in times]
                    interval = interval.through(partial(truediv, images))
                strip(axes, place, view, framework, times, interval, "" if per_second else " s")
            frame_strips(axes, panel.frameworks, view, named=not per_second)
            style.mark_refused(axes, panel.refusal)
            what = "images per second" if per_second else "seconds per epoch"
            axes.set_title(plain(f"{panel.name}: {what}"))
    return style.finish(
        figure,
        "Epoch time and throughput",
        f"{view.footer}  ·  every point is an epoch, a row of points a process; mark and bar: "
        f"median of medians with {bar_words(view)}",
        legend=_epoch_legend(bar_words(view)),
    )


def strip(
    axes: Axes,
    place: int,
    view: View,
    framework: str,
    groups: list[npt.NDArray[np.float64]],
    interval: Interval,
    unit: str,
    *,
    first_hollow: bool = True,
) -> None:
    """Raw values as points, a row for each group, with the median and its interval as text too."""
    look = view.looks[framework]
    offsets = np.linspace(-0.34, 0.1, len(groups)) if len(groups) > 1 else [-0.12]
    for offset, values in zip(offsets, groups, strict=True):
        heights = np.full(len(values), place + offset)
        hollow = 1 if first_hollow else 0
        marks: dict[str, Any] = {"marker": look.marker, "s": 13, "lw": 0.7, "zorder": 3}
        axes.scatter(values[hollow:], heights[hollow:], color=look.colour, alpha=0.55, **marks)
        axes.scatter(values[:hollow], heights[:hollow], fc="white", ec=look.colour, **marks)
    below = place + 0.32
    if not np.isnan(interval.low):
        axes.plot([interval.low, interval.high], [below] * 2, color=style.INK, lw=1.6, zorder=4)
    axes.plot([interval.value] * 2, [below - 0.09, below + 0.09], color=style.INK, lw=2, zorder=4)
    axes.annotate(
        with_interval(interval) + unit,
        (1.01, place),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=7,
        color=style.INK,
    )


def frame_strips(axes: Axes, frameworks: list[str], view: View, *, named: bool) -> None:
    """Names at the left in the frameworks' colours, from zero, first at the top."""
    names = [view.looks[name].name if named else "" for name in frameworks]
    axes.set_yticks(range(len(frameworks)), names)
    for label, name in zip(axes.get_yticklabels(), frameworks, strict=True):
        label.set_color(view.looks[name].colour)
        label.set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(frameworks) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


def phases_figure(view: View) -> Figure:
    """A row for each panel: stacked phases, compile seconds."""
    heights = [0.4 * len(panel.frameworks) + 0.45 for panel in view.panels]
    figure = style.figure(9.6, 1.1 + sum(heights) + 0.12 * len(heights))
    grid = figure.subplots(
        len(view.panels), 2, squeeze=False, height_ratios=heights, width_ratios=[1.6, 1]
    )
    for (left, right), panel in zip(grid, view.panels, strict=True):
        for place, framework in enumerate(panel.frameworks):
            _stack(left, place, mean_phases(panel.of(framework)))
            compiled = panel.of(framework)["compile_seconds"].dropna().to_numpy(dtype=np.float64)
            if compiled.size:
                groups = [np.array([value]) for value in compiled]
                interval = median_of_medians(groups)
                strip(right, place, view, framework, groups, interval, " s", first_hollow=False)
        for axes, what in ((left, "seconds of a run"), (right, "seconds to compile")):
            frame_strips(axes, panel.frameworks, view, named=axes is left)
            style.mark_refused(axes, panel.refusal)
            axes.set_title(plain(f"{panel.name}: {what}"))
    return style.finish(
        figure,
        "Phases of a run, and compile time",
        f"{view.footer}  ·  left: means over runs; right: every run, median and {bar_words(view)}",
        legend=[Patch(color=colour, label=name) for name, colour in PHASES.values()],
    )


def _stack(axes: Axes, place: int, seconds: dict[str, float]) -> None:
    start = 0.0
    for name, (_, colour) in PHASES.items():
        axes.barh(place, seconds[name], left=start, height=0.62, color=colour, ec="white", lw=0.4)
        start += seconds[name]
    axes.annotate(
        f"{significant(start)} s",
        (start, place),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
    )
    axes.set_xlim(0, max(axes.get_xlim()[1], start * 1.12))


def _epoch_legend(bar: str) -> list[Artist]:
    grey = style.MUTED
    return [
        Line2D([], [], marker="o", ls="", color=grey, ms=4, label="one epoch"),
        Line2D(
            [], [], marker="o", ls="", mfc="white", mec=grey, ms=4, label="the first epoch timed"
        ),
        Line2D([], [], color=style.INK, lw=2, label=f"median and {bar}"),
    ]
