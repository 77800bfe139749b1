"""The figures of the published trainings, drawn again for each framework: the paper's, UNAM's."""

from __future__ import annotations

import pandas as pd

from report.chart import Chart, Grid, Grids, Panel, Series
from report.section import Picture, Section
from report.sections.confusion import Confusion, confusion
from report.sections.curves import series
from report.sections.published import Trial, trials
from results.studies.reported import METRICS
from results.views.looks import ordered
from results.views.views import Frames
from results.words import count

UNAM = "unam"
# The paper's colours; rows of the figure by labels, lines by network.
PAPER_COLOURS = {"c1": "#d62728", "c2": "#ff7f0e"}
PAPER = {ways: {net: f"phys449_{net}_{ways}" for net in PAPER_COLOURS} for ways in ("3way", "4way")}
COLOURS = {"train": "#1f77b4", "validation": "#d55e00"}
LINES = {"train": "--", "validation": "-"}


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


def _paper_picture(frames: Frames, group: dict[str, Trial], framework: str, number: int) -> Picture:
    first = next(iter(group.values()))
    seeds = max(finished(one, framework)["seed"].nunique() for one in group.values())
    return Picture(
        f"paper-{number}-{_slug(framework)}",
        f"C1 and C2 by epoch, {frames.looks[framework].name}{_marks(first)}",
        paper_chart(frames, group, framework),
        caption=f"C1 (red) and C2 (orange) of Cavanagh et al. 2021 in "
        f"{frames.looks[framework].name}, as their figure has it: training dashed, validation "
        f"solid; {count(seeds, 'seed')}. {first.settings}.",
        reading="A solid line that falls behind its dashed one shows a network that learns its "
        "training galaxies by heart.",
    )


def _curves_picture(frames: Frames, trial: Trial, framework: str, number: int) -> Picture:
    seeds = finished(trial, framework)["seed"].nunique()
    crosses = (
        " Crosses are what the notebook printed of its one run."
        if not trial.foreign
        else " The notebook's values are not drawn: this is not what it trained."
    )
    return Picture(
        f"unam-curves-{number}-{_slug(framework)}",
        f"{trial.declared.name}: {frames.looks[framework].name}{_marks(trial)}",
        curves_chart(frames, trial, framework),
        caption=f"Loss and accuracy by epoch of {trial.declared.name} in "
        f"{frames.looks[framework].name}, {count(seeds, 'seed')}. {trial.data}.{crosses}",
        reading="The loss includes the L2 terms, as Keras reports it. Where validation loss turns "
        "upwards the network overfits; the notebook's was lowest in epoch 56.",
    )


def _matrix_picture(frames: Frames, trial: Trial, framework: str, number: int) -> Picture | None:
    ok = finished(trial, framework)
    predictions = frames.predictions
    if predictions.empty or ok["class_names"].iloc[0] is None:
        return None
    mine = predictions[predictions["execution_id"].isin(ok["execution_id"])]
    mine = mine[(mine["split"] == "test") & (mine["predicted"] >= 0)]
    if mine.empty:
        return None
    found = confusion(mine, int(ok["classes"].iloc[0]))
    return Picture(
        f"unam-confusion-{number}-{_slug(framework)}",
        f"{trial.declared.name}: confusion, {frames.looks[framework].name}{_marks(trial)}",
        Grids([_grid(trial, frames.looks[framework].name, found)]),
        caption=f"Test galaxies of {trial.declared.name} in {frames.looks[framework].name} by true "
        f"(x) and predicted (y) class, summed over {count(ok['seed'].nunique(), 'seed')}. "
        f"{trial.data}.",
        reading="As in the notebook each column is a true class: read down it to see what its "
        "galaxies were taken for.",
    )


def paper_chart(frames: Frames, group: dict[str, Trial], framework: str) -> Chart:
    """3-way and 4-way, accuracy and loss; C1 red, C2 orange, training dashed."""
    panels = []
    for ways, nets in PAPER.items():
        for measure in ("accuracy", "loss"):
            lines = []
            for net, name in nets.items():
                for split in LINES if name in group else ():
                    runs = finished(group[name], framework)
                    whose = f"{net.upper()}, "
                    lines += _line(frames, runs, split, measure, PAPER_COLOURS[net], whose)
            title = f"{ways.removesuffix('way')}-way: {measure}"
            panels.append(Panel(title + ("" if lines else " (not run)"), "epoch", lines, measure))
    return Chart(panels)


def curves_chart(frames: Frames, trial: Trial, framework: str) -> Chart:
    """Loss and accuracy against epoch, training and validation; crosses: reported."""
    runs = finished(trial, framework)
    panels = []
    for measure in ("loss", "accuracy"):
        lines = []
        for split, colour in COLOURS.items():
            lines += _line(frames, runs, split, measure, colour)
            points = [] if trial.foreign else reported_points(trial, runs, split, measure)
            if points:
                epochs, values = zip(*points, strict=True)
                name = f"reported of {split}"
                lines.append(Series(name, epochs, values, "points", colour=colour, marker="X"))
        panels.append(Panel(measure, "epoch", lines, measure))
    return Chart(panels)


def _line(
    frames: Frames, runs: pd.DataFrame, split: str, measure: str, colour: str, whose: str = ""
) -> list[Series]:
    curve = series(frames.epochs, runs, split, measure)
    curve = curve[curve.index >= 1]
    if curve.empty:
        return []
    several = curve["n"].max() > 1
    return [
        Series(
            whose + ("training" if split == "train" else split),
            curve.index.tolist(),
            curve["median"].tolist(),
            low=curve["low"].tolist() if several else (),
            high=curve["high"].tolist() if several else (),
            colour=colour,
            dashed=bool(whose) and split == "train",
            why="lowest to highest seed",
        )
    ]


def reported_points(
    trial: Trial, runs: pd.DataFrame, split: str, measure: str
) -> list[tuple[int, float]]:
    """Epoch and value of the figures that are reported of this curve."""
    metric = f"{split}_{measure}"
    assert metric in METRICS
    return [
        (one.epoch if one.epoch is not None else int(runs["epochs"].iloc[0]), one.value)
        for one in trial.declared.reported
        if one.metric == metric and one.comparable
    ]


def _grid(trial: Trial, title: str, found: Confusion) -> Grid:
    names = list(trial.runs["class_names"].iloc[0])
    return Grid(title, names, names, found.counts.T.tolist(), "predicted as", "labelled as")


def finished(trial: Trial, framework: str) -> pd.DataFrame:
    runs = trial.of(framework)
    return runs[runs["status"] == "ok"]


def _marks(trial: Trial) -> str:
    return f" — {trial.marks}" if trial.marks else ""


def _slug(framework: str) -> str:
    return framework.replace("@", "-")
