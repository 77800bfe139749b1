"""The published figures drawn again for a paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from report.figures import style
from report.figures.confusion import draw_matrix
from report.sections.confusion import Confusion
from report.sections.curves import series
from report.sections.published import Trial
from report.sections.published_figures import (
    COLOURS,
    LINES,
    PAPER,
    PAPER_COLOURS,
    finished,
    reported_points,
)
from results.views.views import Frames


def paper_figure(frames: Frames, group: dict[str, Trial], framework: str) -> Figure:
    """Rows 3-way and 4-way, columns accuracy and loss; C1 red, C2 orange, training dashed."""
    first = next(iter(group.values()))
    made = style.figure(9.0, 6.2)
    grid = made.subplots(2, 2, squeeze=False)
    for axes_row, (ways, nets) in zip(grid, PAPER.items(), strict=True):
        for axes, measure in zip(axes_row, ("accuracy", "loss"), strict=True):
            for net, name in nets.items():
                if name in group:
                    runs = finished(group[name], framework)
                    for split, line in LINES.items():
                        _draw(axes, frames, runs, split, measure, PAPER_COLOURS[net], line)
            if not axes.lines:
                axes.text(
                    0.5, 0.5, "not run", transform=axes.transAxes, ha="center", color=style.MUTED
                )
            axes.set_title(f"{ways.removesuffix('way')}-way: {measure}")
            axes.set_xlabel("epoch")
    marks = f" — {first.marks}" if first.marks else ""
    legend: list[Artist] = [
        Line2D([], [], color=colour, lw=2, label=net.upper())
        for net, colour in PAPER_COLOURS.items()
        if any(row[net] in group for row in PAPER.values())
    ]
    return style.finish(
        made,
        f"C1 and C2 by epoch, {frames.looks[framework].name}{marks}",
        f"Data: {first.settings}  ·  line: median over seeds; band: lowest to highest",
        legend=[*legend, *_line_legend(style.INK)],
    )


def curves_figure(frames: Frames, trial: Trial, framework: str) -> Figure:
    """Loss and accuracy against epoch side by side, training and validation; crosses: reported."""
    runs = finished(trial, framework)
    made = style.figure(9.0, 3.6)
    for axes, measure in zip(made.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, colour in COLOURS.items():
            _draw(axes, frames, runs, split, measure, colour, "-")
            if not trial.foreign:
                _draw_reported(axes, trial, runs, split, measure, colour)
        axes.set_title(measure)
        axes.set_xlabel("epoch")
    marks = f" — {trial.marks}" if trial.marks else ""
    legend: list[Artist] = [
        Line2D([], [], color=colour, lw=1.8, label="training" if split == "train" else split)
        for split, colour in COLOURS.items()
    ]
    if not trial.foreign:
        legend.append(
            Line2D([], [], color=style.INK, marker="X", ls="", ms=6, label="reported of it")
        )
    return style.finish(
        made,
        f"{trial.declared.name}: {frames.looks[framework].name}{marks}",
        f"Data: {trial.data}  ·  line: median over seeds; band: lowest to highest",
        legend=legend,
    )


def matrix_figure(frames: Frames, trial: Trial, framework: str, found: Confusion) -> Figure:
    """Counts and column per cent; x is the true class, y the predicted one."""
    names = list(trial.runs["class_names"].iloc[0])
    side = 0.36 * len(names) + 1.0
    made = style.figure(2 * side + 1.8, side + 0.9)
    left, right = made.subplots(1, 2)
    draw_matrix(left, found.counts.T.astype(np.float64), "{:.0f}", names, named=True)
    draw_matrix(right, 100 * found.by_true.T, "{:.0f}", names, named=False)
    left.set_title("counts")
    right.set_title("% of the true class (columns add up to 100)")
    for axes in (left, right):
        axes.set_xlabel("true class")
    left.set_ylabel("predicted class")
    marks = f" — {trial.marks}" if trial.marks else ""
    return style.finish(
        made,
        f"{trial.declared.name}: confusion, {frames.looks[framework].name}{marks}",
        f"Data: {trial.data}",
    )


def _draw(
    axes: Axes,
    frames: Frames,
    runs: pd.DataFrame,
    split: str,
    measure: str,
    colour: str,
    line: str,
) -> None:
    curve = series(frames.epochs, runs, split, measure)
    curve = curve[curve.index >= 1]
    if curve.empty:
        return
    if curve["n"].max() > 1:
        axes.fill_between(curve.index, curve["low"], curve["high"], color=colour, alpha=0.13, lw=0)
    marker = "o" if len(curve) == 1 else ""
    axes.plot(curve.index, curve["median"], line, color=colour, lw=1.6, marker=marker, ms=4)
    axes.grid(True, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_reported(
    axes: Axes, trial: Trial, runs: pd.DataFrame, split: str, measure: str, colour: str
) -> None:
    """Crosses at the epochs that figures of this curve are reported of."""
    for epoch, value in reported_points(trial, runs, split, measure):
        axes.plot(epoch, value, "X", color=colour, mec="white", mew=0.6, ms=7, zorder=6)


def _line_legend(colour: str) -> list[Artist]:
    return [
        Line2D([], [], color=colour, ls="--", lw=1.4, label="training"),
        Line2D([], [], color=colour, ls="-", lw=1.4, label="validation"),
        Patch(color=colour, alpha=0.15, lw=0, label="range over seeds"),
    ]
