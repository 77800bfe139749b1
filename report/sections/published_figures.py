"""The figures of the published trainings, drawn again for each framework: the paper's, UNAM's."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from report import style
from report.section import Picture, Section
from report.sections.confusion import Confusion, confusion, draw_matrix
from report.sections.curves import series
from report.sections.published import Trial, trials
from results.studies.reported import METRICS
from results.views.looks import ordered
from results.views.views import Frames
from results.views.words import count

UNAM = "unam"
# The paper's colours; rows of the figure by labels, lines by network.
PAPER_COLOURS = {"c1": "#d62728", "c2": "#ff7f0e"}
PAPER = {ways: {net: f"phys449_{net}_{ways}" for net in PAPER_COLOURS} for ways in ("3way", "4way")}
_COLOURS = {"train": "#1f77b4", "validation": "#d55e00"}
_LINES = {"train": "--", "validation": "-"}


def figures(frames: Frames) -> Section | None:
    """The paper's two-by-two figure and UNAM's two; None where nothing is there to draw."""
    section = Section(
        "published-figures",
        "The published figures, drawn again",
        "The figures of the paper and of the notebook, from the runs of this store: one for each "
        "framework. What was scaled down, or trained on other galaxies, says so in its title.",
    )
    found = trials(frames)
    for number, group in enumerate(paper_groups(found), start=1):
        for framework in ordered(name for one in group.values() for name in one.frameworks):
            section.blocks.append(_paper_picture(frames, group, framework, number))
    unam = [trial for trial in found if trial.declared.name == UNAM]
    for number, trial in enumerate(unam, start=1):
        for framework in trial.frameworks:
            section.blocks.append(_curves_picture(frames, trial, framework, number))
            if (picture := _matrix_picture(frames, trial, framework, number)) is not None:
                section.blocks.append(picture)
    return section if section.blocks else None


def paper_groups(found: list[Trial]) -> list[dict[str, Trial]]:
    """Trials of C1 and C2 that were run alike, by experiment; groups of two at least."""
    names = {name for row in PAPER.values() for name in row.values()}
    groups: dict[tuple[str, ...], dict[str, Trial]] = {}
    for trial in found:
        if trial.declared.name in names and trial.frameworks:
            words = repr(sorted((key, now) for key, (_, now) in trial.declared.changed.items()))
            groups.setdefault((*trial.condition, words), {})[trial.declared.name] = trial
    return [group for group in groups.values() if len(group) > 1]


def paper_figure(frames: Frames, group: dict[str, Trial], framework: str) -> Figure:
    """Rows 3-way and 4-way, columns accuracy and loss; C1 red, C2 orange, training dashed."""
    first = next(iter(group.values()))
    made = style.figure(9.0, 6.2)
    grid = made.subplots(2, 2, squeeze=False)
    for axes_row, (ways, nets) in zip(grid, PAPER.items(), strict=True):
        for axes, measure in zip(axes_row, ("accuracy", "loss"), strict=True):
            for net, name in nets.items():
                if name in group:
                    runs = _finished(group[name], framework)
                    for split, line in _LINES.items():
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
    runs = _finished(trial, framework)
    made = style.figure(9.0, 3.6)
    for axes, measure in zip(made.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, colour in _COLOURS.items():
            _draw(axes, frames, runs, split, measure, colour, "-")
            if not trial.foreign:
                _draw_reported(axes, trial, runs, split, measure, colour)
        axes.set_title(measure)
        axes.set_xlabel("epoch")
    marks = f" — {trial.marks}" if trial.marks else ""
    legend: list[Artist] = [
        Line2D([], [], color=colour, lw=1.8, label="training" if split == "train" else split)
        for split, colour in _COLOURS.items()
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


def _paper_picture(frames: Frames, group: dict[str, Trial], framework: str, number: int) -> Picture:
    first = next(iter(group.values()))
    seeds = max(_finished(one, framework)["seed"].nunique() for one in group.values())
    return Picture(
        f"paper-{number}-{_slug(framework)}",
        paper_figure(frames, group, framework),
        caption=f"C1 (red) and C2 (orange) of Cavanagh et al. 2021 in "
        f"{frames.looks[framework].name}, as their figure has it: training dashed, validation "
        f"solid; {count(seeds, 'seed')}. {first.settings}.",
        reading="A solid line that falls behind its dashed one shows a network that learns its "
        "training galaxies by heart.",
    )


def _curves_picture(frames: Frames, trial: Trial, framework: str, number: int) -> Picture:
    seeds = _finished(trial, framework)["seed"].nunique()
    crosses = (
        " Crosses are what the notebook printed of its one run."
        if not trial.foreign
        else " The notebook's values are not drawn: this is not what it trained."
    )
    return Picture(
        f"unam-curves-{number}-{_slug(framework)}",
        curves_figure(frames, trial, framework),
        caption=f"Loss and accuracy by epoch of {trial.declared.name} in "
        f"{frames.looks[framework].name}, {count(seeds, 'seed')}. {trial.data}.{crosses}",
        reading="The loss includes the L2 terms, as Keras reports it. Where validation loss turns "
        "upwards the network overfits; the notebook's was lowest in epoch 56.",
    )


def _matrix_picture(frames: Frames, trial: Trial, framework: str, number: int) -> Picture | None:
    ok = _finished(trial, framework)
    predictions = frames.predictions
    if predictions.empty or ok["class_names"].iloc[0] is None:
        return None
    mine = predictions[predictions["execution_id"].isin(ok["execution_id"])]
    mine = mine[mine["split"] == "test"]
    if mine.empty:
        return None
    found = confusion(mine, int(ok["classes"].iloc[0]))
    return Picture(
        f"unam-confusion-{number}-{_slug(framework)}",
        matrix_figure(frames, trial, framework, found),
        caption=f"Test galaxies of {trial.declared.name} in {frames.looks[framework].name} by true "
        f"(x) and predicted (y) class, summed over {count(ok['seed'].nunique(), 'seed')}. "
        f"{trial.data}.",
        reading="As in the notebook each column is a true class: read down it to see what its "
        "galaxies were taken for. The diagonal on the right is the recall.",
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
    metric = f"{split}_{measure}"
    assert metric in METRICS
    for one in trial.declared.reported:
        if one.metric == metric and one.comparable:
            epoch = one.epoch if one.epoch is not None else int(runs["epochs"].iloc[0])
            axes.plot(epoch, one.value, "X", color=colour, mec="white", mew=0.6, ms=7, zorder=6)


def _line_legend(colour: str) -> list[Artist]:
    return [
        Line2D([], [], color=colour, ls="--", lw=1.4, label="training"),
        Line2D([], [], color=colour, ls="-", lw=1.4, label="validation"),
        Patch(color=colour, alpha=0.15, lw=0, label="range over seeds"),
    ]


def _finished(trial: Trial, framework: str) -> pd.DataFrame:
    runs = trial.of(framework)
    return runs[runs["status"] == "ok"]


def _slug(framework: str) -> str:
    return framework.replace("@", "-")
