"""Epoch time, throughput, compile time and the phases of a run."""

from functools import partial
from operator import truediv

import numpy as np
import pandas as pd

from report import chart
from report.chart import MOST_POINTS, Chart, Series, interval_mark
from report.section import Picture, Section
from results.stats.intervals import median_of_medians
from results.views.estimates import (
    bar_words,
    by_process,
    epoch_time,
    interval_words,
    processes,
)
from results.views.numbers import listed, significant, with_interval
from results.views.views import Frames, Panel, View
from results.words import count, mostly, nouns

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
                "Epoch time and throughput",
                throughput_chart(view, epochs),
                caption=f"Epoch time and throughput. Data: {view.data}. "
                f"{view.settings.capitalize()}; {view.machine}. {_numbers(view, epochs)} "
                f"{interval_words(view)}",
                reading="Every small point is one training epoch, a row of points "
                "one process. Hollow points are the first epochs timed, often slower. The black "
                "mark below them is the median of the processes' medians, the bar its "
                f"{bar_words(view)}. Left figure: further left is faster. Right figure: further "
                "right is faster. Overlapping bars do not say which is faster. With fewer than "
                "five processes separate bars do not say it either.",
                demo=view.demo,
            )
        )
    return section if section.blocks else None


def phases(frames: Frames) -> Section | None:
    """Section on the phases of a run's wall time, and on compile time alone; None without views."""
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
                "Phases of a run, and compile time",
                phases_chart(view),
                caption=f"Phases of a run, and compile time alone. Data: {view.data}. "
                f"{view.settings.capitalize()}; {view.machine}. Phases: means over the runs of a "
                f"framework, so that they add up ({view.sizes()}). Compile: every run is a "
                f"point, with median and {bar_words(view)}.",
                reading="On the left each bar is one run from start to exit, cut "
                "into its phases. On the right is the yellow part alone, on a scale of its own. "
                "Compiling is one training step of each batch shape on the first batches and one "
                "prediction; weights, optimizer and random state are then put back as they were.",
                demo=view.demo,
            )
        )
    return section if section.blocks else None


def timed(epochs: pd.DataFrame, view: View) -> pd.DataFrame:
    """The epochs of the view's finished runs that carry a time."""
    ok = view.runs[view.runs["status"] == "ok"]
    mine = epochs[epochs["execution_id"].isin(ok["execution_id"])]
    return mine.dropna(subset=["epoch_seconds"])


def throughput_chart(view: View, epochs: pd.DataFrame) -> Chart:
    """Seconds per epoch and images per second, a row for each framework.

    Every epoch is a point; of more than can be told apart, every process.
    """
    every = len(epochs) <= MOST_POINTS / 2
    panels = []
    for panel in view.panels:
        for per_second in (False, True):
            series: list[Series] = []
            for place, framework in enumerate(panel.frameworks):
                series += _strip(view, panel, framework, place, epochs, per_second, every)
            what = "images per second" if per_second else "seconds per epoch"
            names = [view.looks[name].name for name in panel.frameworks]
            panels.append(chart.Panel(panel.title(what), what, series, rows=names, zero=True))
    return Chart(panels)


def _strip(
    view: View,
    panel: Panel,
    framework: str,
    place: int,
    epochs: pd.DataFrame,
    per_second: bool,
    every: bool,
) -> list[Series]:
    runs, look = panel.of(framework), view.looks[framework]
    found = by_process(epochs, runs)
    if not found:
        return []
    interval = epoch_time(runs, epochs)
    images = float(runs["train_images"].median())
    if per_second:
        interval = interval.through(partial(truediv, images))
    points = [
        (float(value), name, number, place + offset)
        for (name, times), offset in zip(found.items(), _offsets(len(found)), strict=True)
        for number, value in enumerate(times if every else [float(np.median(times))], start=1)
    ]
    raw = Series(
        f"{look.name}, {'an epoch' if every else 'a process'}",
        [images / value if per_second else value for value, *_ in points],
        [height for *_, height in points],
        "points",
        colour=look.colour,
        marker=look.marker,
        faint=True,
        text=[f"epoch {number} of those timed" for _, _, number, _ in points] if every else (),
        runs=[name for _, name, *_ in points],
    )
    text = with_interval(interval) + ("" if per_second else " s")
    return [raw, interval_mark("median", interval, place + 0.3, bar_words(view), text)]


def _offsets(number: int) -> list[float]:
    return np.linspace(-0.34, 0.1, number).tolist() if number > 1 else [-0.12]


def phases_chart(view: View) -> Chart:
    """Stacked phases, and the seconds to compile, a row for each framework."""
    panels = []
    for panel in view.panels:
        means = [mean_phases(panel.of(name)) for name in panel.frameworks]
        names = [view.looks[name].name for name in panel.frameworks]
        rows = list(range(len(means)))
        starts = [0.0] * len(means)
        stack = []
        for phase, (words, colour) in PHASES.items():
            ends = [start + one[phase] for start, one in zip(starts, means, strict=True)]
            text = [f"{words}: {significant(one[phase])} s" for one in means]
            stack.append(
                Series(words, ends, rows, "bar", starts, ends, colour=colour, faint=True, text=text)
            )
            starts = ends
        total = [f"in all: {significant(end)} s" for end in starts]
        stack.append(Series("in all", starts, rows, "points", marker="|", text=total))
        compiled: list[Series] = []
        for place, framework in enumerate(panel.frameworks):
            compiled += _compiled(view, panel, framework, place)
        for what, series in (("of a run", stack), ("to compile", compiled)):
            title = panel.title(f"seconds {what}")
            panels.append(chart.Panel(title, "seconds", series, rows=names, zero=True))
    return Chart(panels)


def _compiled(view: View, panel: Panel, framework: str, place: int) -> list[Series]:
    runs, look = panel.of(framework).dropna(subset=["compile_seconds"]), view.looks[framework]
    if runs.empty:
        return []
    values = runs["compile_seconds"].astype("float64").tolist()
    interval = median_of_medians([[value] for value in values])
    raw = Series(
        f"{look.name}, a run",
        values,
        [place + offset for offset in _offsets(len(values))],
        "points",
        colour=look.colour,
        marker=look.marker,
        faint=True,
        runs=runs["execution_id"].tolist(),
    )
    text = f"{with_interval(interval)} s"
    return [raw, interval_mark("median", interval, place + 0.3, bar_words(view), text)]


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


def _numbers(view: View, epochs: pd.DataFrame) -> str:
    found = {}
    for panel in view.panels:
        for framework in panel.frameworks:
            times = processes(epochs, panel.of(framework))
            lengths = sorted({len(t) for t in times})
            name = f"{panel.name} {view.looks[framework].name}"
            found[name] = (
                f"{count(len(times), 'process')} of {listed([str(n) for n in lengths])} "
                f"{nouns(max(lengths), 'epoch')}"
            )
    return f"n = {mostly(found)}."
