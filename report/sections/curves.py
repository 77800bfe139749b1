"""Learning curves, and the epoch in which the validation loss turns."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from report import chart
from report.chart import Chart, Rule, Series
from report.endings import ending
from report.section import Picture, Section, Table
from results.views.naming import extras
from results.views.numbers import NONE, fixed, spread
from results.views.views import Frames, Panel, View

_READING = (
    "Solid lines are validation, dashed lines training. Accuracy should rise and loss should "
    "fall. When the dashed line improves while the solid one gets worse, the network learns its "
    "training galaxies by heart. The triangle marks the lowest validation loss (at the right "
    "edge: it has not turned yet). Training scores are taken while the network changes and with "
    "dropout on, so early in training they can be worse than validation."
)
_NESTED = (
    " Where the frameworks agree their lines lie on one another, so they are drawn with "
    "different widths: the wider shows around the narrower."
)
_ENDS = (
    "Runs stopped early: median and band reach as far as all runs of a framework do; from there "
    "each run is a thin line of its own. "
)
_WEIGHTED = (
    " Class weights: the training loss is weighted by class and the validation loss is not, so do "
    "not compare the two."
)


def learning(frames: Frames) -> Section | None:
    """Loss and accuracy against epoch, per framework, with the spread over seeds."""
    section = Section(
        "learning",
        "How the networks learned",
        "One epoch is one pass over all training galaxies. After each epoch the network is tried "
        "on validation galaxies, which it is never trained on. Under matched parity the "
        "frameworks begin with the same weights and see the same galaxies in the same order, so "
        "their curves should lie on one another.",
    )
    for view in frames.finished_views:
        epochs = frames.epochs[frames.epochs["execution_id"].isin(view.runs["execution_id"])]
        if epochs.empty:
            continue
        section.blocks.append(
            Picture(
                f"curves-{view.slug}",
                "Training and validation, epoch by epoch",
                curves_chart(view, epochs),
                caption=_caption(view),
                reading=_READING + (_NESTED if view.first["parity"] == "matched" else ""),
                demo=view.demo,
            )
        )
        section.blocks.append(turning_table(view, epochs))
    return section if section.blocks else None


def curves_chart(view: View, epochs: pd.DataFrame) -> Chart:
    """Accuracy and loss of each panel by epoch: median, range over seeds, where the loss turns."""
    return Chart(
        [
            chart.Panel(
                panel.title(measure),
                "epoch (0 = before training)",
                list(_lines(view, panel, epochs, measure)),
                measure,
                rules=_guess(panel) if measure == "accuracy" else (),
            )
            for panel in view.panels
            for measure in ("accuracy", "loss")
        ]
    )


def _lines(view: View, panel: Panel, epochs: pd.DataFrame, measure: str) -> Iterator[Series]:
    widths = _widths(len(panel.frameworks), nested=panel.parity == "matched")
    for framework, width in zip(panel.frameworks, widths, strict=True):
        look = view.looks[framework]
        for split in ("train", "validation"):
            name = f"{look.name}, {'training' if split == 'train' else split}"
            curve = series(epochs, panel.of(framework), split, measure)
            if curve.empty:
                continue
            dashed = split == "train"
            uneven = curve["n"].min() < curve["n"].max()
            for tail, ended in tails(epochs, panel.of(framework), split, measure) if uneven else ():
                if len(tail) > 1 or ended:
                    yield Series(
                        f"{name}, one run{' that stopped early' if ended else ''}",
                        tail.index.tolist(),
                        tail.tolist(),
                        colour=look.colour,
                        dashed=dashed,
                        faint=True,
                        width=0.7,
                    )
            curve = curve[curve["n"] == curve["n"].max()]
            several = curve["n"].max() > 1
            yield Series(
                name,
                curve.index.tolist(),
                curve["median"].tolist(),
                low=curve["low"].tolist() if several else (),
                high=curve["high"].tolist() if several else (),
                colour=look.colour,
                dashed=dashed,
                width=(0.7 if dashed else 1) * width,
                why="lowest to highest seed",
            )
            later = curve[curve.index >= 1]
            if measure == "loss" and split == "validation" and not later.empty:
                lowest = int(later["median"].argmin())
                yield Series(
                    f"{look.name}, lowest validation loss",
                    [int(later.index[lowest])],
                    [float(later["median"].iloc[lowest])],
                    "points",
                    colour=look.colour,
                    marker="v",
                )


def _widths(number: int, *, nested: bool) -> list[float]:
    """Widths of lines that may lie on one another: the first shows around the last."""
    if number == 1 or not nested:
        return [2.0] * number
    return [4.8 - 3.2 * index / (number - 1) for index in range(number)]


def _guess(panel: Panel) -> tuple[Rule, ...]:
    """Rule at the accuracy of always naming the most common class; empty if that is unknown."""
    share = majority(panel)
    return () if share is None else (Rule("y", share, f"most common class: {share:.2f}"),)


def majority(panel: Panel) -> float | None:
    """The share of the most common class; None where it is not known, or votes are given."""
    if panel.voted:
        return None
    counts = panel.ok["class_counts"].iloc[0]
    return max(counts) / sum(counts) if counts and sum(counts) else None


def series(epochs: pd.DataFrame, runs: pd.DataFrame, split: str, measure: str) -> pd.DataFrame:
    """Median, lowest and highest over runs by epoch.

    Returns:
        Columns median, low, high, n; index epoch. A run that stopped early counts as long as it
        ran: from there on n is smaller.
    """
    mine = epochs["execution_id"].isin(runs["execution_id"]) & (epochs["split"] == split)
    known = epochs.loc[mine & epochs[measure].notna(), ["epoch", measure]]
    values = known.groupby("epoch")[measure]
    return pd.DataFrame(
        {"median": values.median(), "low": values.min(), "high": values.max(), "n": values.size()}
    )


def tails(
    epochs: pd.DataFrame, runs: pd.DataFrame, split: str, measure: str
) -> list[tuple[pd.Series, bool]]:
    """Each run from the last epoch that all of them have, by epoch, and whether it ended early.

    From there on a median would be over fewer runs from epoch to epoch, and jump where one ends.
    """
    mine = epochs[epochs["execution_id"].isin(runs["execution_id"]) & (epochs["split"] == split)]
    mine = mine.dropna(subset=[measure])
    asked = runs.set_index("execution_id")["epochs"].fillna(0)
    ends = mine.groupby("execution_id")["epoch"].max()
    return [
        (
            run[run["epoch"] >= ends.min()].set_index("epoch")[measure].sort_index(),
            bool(ends[name] < asked[name]),
        )
        for name, run in mine.groupby("execution_id")
    ]


def _weighted(view: View) -> bool:
    return any(
        words.startswith("class weights")
        for panel in view.panels
        for words in extras(panel.settings)
    )


def stopped(view: View) -> bool:
    return any(
        "stopped" in ending(panel.of(name)) for panel in view.panels for name in panel.frameworks
    )


def _caption(view: View) -> str:
    band = (
        "Lines are medians over runs with different seeds, bands reach from the lowest to the "
        f"highest run ({view.sizes()})."
        if view.seeds > 1
        else f"One seed, so there is no band ({view.sizes()}): how far another seed would lie is "
        "not known."
    )
    return (
        f"Accuracy and loss by epoch. Data: {view.data}. {view.settings.capitalize()}; "
        f"{view.machine}. {band} {_ENDS if stopped(view) else ''}"
        f"The loss includes the L2 terms of the network.{_WEIGHTED if _weighted(view) else ''}"
    )


def turning_table(view: View, epochs: pd.DataFrame) -> Table:
    """Epoch of the lowest validation loss, by framework."""
    rows = []
    for panel in view.panels:
        for framework in panel.frameworks:
            turns = [turning(run) for run in _validation_losses(epochs, panel.of(framework))]
            if not turns:
                continue
            lowest = [turn[0] for turn in turns]
            last = spread([turn[3] for turn in turns], 0)
            open_end = sum(turn[0] == turn[3] for turn in turns)
            rise = float(np.median([turn[2] - turn[1] for turn in turns]))
            if open_end == len(turns):
                verdict = "still falling at the end: not reached"
            elif open_end:
                verdict = f"rose by {fixed(rise, 3)}; still falling in {open_end} of {len(turns)}"
            else:
                verdict = f"rose by {fixed(rise, 3)} until epoch {last}"
            rows.append(
                [
                    panel.name,
                    view.looks[framework].name,
                    str(len(turns)),
                    f"{np.median(lowest):g}",
                    spread(lowest, 0) if len(turns) > 1 else NONE,
                    fixed(float(np.median([turn[1] for turn in turns])), 4),
                    verdict,
                ]
            )
    return Table(
        ["network", "framework", "runs", "epoch", "range", "loss there", "after that"],
        rows,
        "llrrrrl",
        caption=f"{view.title}: the epoch of lowest validation loss in each run (median and range "
        "over runs). From there on, training longer makes the loss on new galaxies worse: the "
        "network has begun to overfit. The curves mark the lowest point of the median curve.",
        grouped=True,
    )


def turning(losses: pd.Series) -> tuple[int, float, float, int]:
    """Epoch and value of the lowest loss, last value and last epoch.

    Args:
        losses: by epoch, from 1 on, without NaN.
    """
    lowest = int(losses.argmin())
    epoch, last = int(losses.index[lowest]), int(losses.index[-1])
    return epoch, float(losses.iloc[lowest]), float(losses.iloc[-1]), last


def _validation_losses(epochs: pd.DataFrame, runs: pd.DataFrame) -> list[pd.Series]:
    mine = epochs["execution_id"].isin(runs["execution_id"]) & (epochs["split"] == "validation")
    mine &= (epochs["epoch"] >= 1) & epochs["loss"].notna()
    told = epochs.loc[mine, ["execution_id", "epoch", "loss"]].set_index("epoch")
    by_run = told.groupby("execution_id", observed=True)["loss"]
    return [losses.sort_index() for _, losses in by_run]
