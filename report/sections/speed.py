"""Epoch time, throughput, compile time and the phases of a run."""

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

from report import style
from report.section import Picture, Section
from results.stats.intervals import Interval, median_of_medians
from results.views.estimates import bar_words, epoch_time, interval_words, processes
from results.views.looks import plain
from results.views.numbers import listed, significant, with_interval
from results.views.views import Frames, View
from results.views.words import count, mostly

# The phases in the order in which they happen; greys and blues, so that no framework's colour is
# taken for a phase. What is left of the wall time is the harness's own: starting, looking, ending.
PHASES = {
    "import_seconds": ("import the framework", "#2f4b6e"),
    "stage_seconds": ("stage the data", "#5b8db8"),
    "build_seconds": ("build the network", "#9ec3e0"),
    "compile_seconds": ("compile", "#f0c75e"),
    "train_seconds": ("train", "#c9ced6"),
    "evaluate_seconds": ("evaluate", "#8e97a3"),
    "self_check_seconds": ("check itself", "#b7c9a8"),
    "other_seconds": ("the harness's own", "#eceff2"),
}


def throughput(frames: Frames) -> Section | None:
    """Seconds per epoch and images per second: every raw epoch, medians and intervals."""
    section = Section(
        "speed",
        "How fast they trained",
        "The clock runs over whole training epochs, after compiling, and is read only when the "
        "device has finished its work. Compile time and validation are not in it.",
    )
    for view in frames.finished_views:
        epochs = timed(frames.epochs, view)
        if epochs.empty:
            continue
        section.blocks.append(
            Picture(
                f"speed-{view.slug}",
                throughput_figure(view, epochs),
                caption=f"Epoch time and throughput. Data: {view.data}. "
                f"{view.settings.capitalize()}; {view.machine}. {_numbers(view, epochs)} "
                f"{interval_words(view)}",
                reading="Every small point is one training epoch, a row of points "
                "one process. Hollow points are the first epochs timed, often slower. The black "
                "mark below them is the median of the processes' medians, the bar its "
                f"{bar_words(view)}. Left figure: further left is faster. Right figure: further "
                "right is faster. Overlapping bars do not say which is faster. With fewer than "
                "five processes separate bars do not say it either.",
            )
        )
    return section if section.blocks else None


def phases(frames: Frames) -> Section | None:
    """Where the wall time of a run went, and compile time on its own."""
    section = Section(
        "phases",
        "Where the time went",
        "A run is more than its training: the framework is imported, the data are put in place, "
        "the network is built and compiled. In a short run these can outweigh the training.",
    )
    for view in frames.finished_views:
        section.blocks.append(
            Picture(
                f"phases-{view.slug}",
                phases_figure(view),
                caption=f"Phases of a run, and compile time alone. Data: {view.data}. "
                f"{view.settings.capitalize()}; {view.machine}. Phases: means over the runs of a "
                f"framework, so that they add up ({view.sizes()}). Compile: every run is a "
                f"point, with median and {bar_words(view)}.",
                reading="On the left each bar is one run from start to exit, cut "
                "into its phases. On the right is the yellow part alone, on a scale of its own. "
                "Compiling is one training step of each batch shape on the first batches and one "
                "prediction; weights, optimizer and random state are then put back as they were.",
            )
        )
    return section if section.blocks else None


def timed(epochs: pd.DataFrame, view: View) -> pd.DataFrame:
    """The epochs of the view's finished runs that carry a time."""
    ok = view.runs[view.runs["status"] == "ok"]
    mine = epochs[epochs["execution_id"].isin(ok["execution_id"])]
    return mine.dropna(subset=["epoch_seconds"])


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


def mean_phases(runs: pd.DataFrame) -> dict[str, float]:
    """Mean seconds of each phase over the runs; what the phases leave of the wall time is other.

    Means, because medians of phases do not add up to the median of the whole.
    """
    named = [name for name in PHASES if name != "other_seconds"]
    means = {name: float(runs[name].fillna(0).mean()) for name in named}
    wall = runs["wall_seconds"].dropna()
    rest = float(wall.mean()) - sum(means.values()) if len(wall) == len(runs) else 0.0
    means["other_seconds"] = max(0.0, rest)
    return means


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


def _numbers(view: View, epochs: pd.DataFrame) -> str:
    found = {}
    for panel in view.panels:
        for framework in panel.frameworks:
            times = processes(epochs, panel.of(framework))
            lengths = listed(sorted({str(len(t)) for t in times}, key=int))
            name = f"{panel.name} {view.looks[framework].name}"
            found[name] = f"{count(len(times), 'process')} of {lengths} epochs"
    return f"n = {mostly(found)}."
