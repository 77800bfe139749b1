"""Learning curves, and the epoch in which the validation loss turns."""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from report import style
from report.endings import ending
from report.section import Picture, Section, Table
from results.views.looks import Look, plain
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
_LINES = {"train": "--", "validation": "-"}


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
                curves_figure(view, epochs),
                caption=_caption(view),
                reading=_READING + (_NESTED if view.first["parity"] == "matched" else ""),
            )
        )
        section.blocks.append(turning_table(view, epochs))
    return section if section.blocks else None


def curves_figure(view: View, epochs: pd.DataFrame) -> Figure:
    """A row for each panel: accuracy, loss."""
    rows = len(view.panels)
    figure = style.figure(9.6, 0.9 + 2.5 * rows)
    grid = figure.subplots(rows, 2, squeeze=False)
    for row, panel in enumerate(view.panels):
        for axes, measure in zip(grid[row], ("accuracy", "loss"), strict=True):
            _draw(axes, view, panel, epochs, measure)
            style.mark_refused(axes, panel.refusal)
            axes.set_title(plain(f"{panel.name}: {measure}"))
            if row == rows - 1:
                axes.set_xlabel("epoch (0 = before training)")
    return style.finish(
        figure,
        "Training and validation, epoch by epoch",
        f"{view.footer}  ·  line: median over seeds; band: lowest to highest seed",
        demo=view.demo,
        legend=_legend(view),
    )


def series(epochs: pd.DataFrame, runs: pd.DataFrame, split: str, measure: str) -> pd.DataFrame:
    """Median, lowest and highest over runs by epoch.

    Returns:
        Columns median, low, high, n; index epoch. A run that stopped early counts as long as it
        ran: from there on n is smaller.
    """
    mine = epochs[epochs["execution_id"].isin(runs["execution_id"]) & (epochs["split"] == split)]
    values = mine.dropna(subset=[measure]).groupby("epoch")[measure]
    return pd.DataFrame(
        {"median": values.median(), "low": values.min(), "high": values.max(), "n": values.size()}
    )


def _draw(axes: Axes, view: View, panel: Panel, epochs: pd.DataFrame, measure: str) -> None:
    widths = style.line_widths(len(panel.frameworks), nested=panel.parity == "matched")
    for framework, width in zip(panel.frameworks, widths, strict=True):
        look = view.looks[framework]
        for split, line in _LINES.items():
            curve = series(epochs, panel.of(framework), split, measure)
            if curve.empty:
                continue
            thin = width * (1 if split == "validation" else 0.7)
            _draw_tails(axes, tails(epochs, panel.of(framework), split, measure), look, line, thin)
            curve = curve[curve["n"] == curve["n"].max()]
            if curve["n"].max() > 1:
                axes.fill_between(
                    curve.index, curve["low"], curve["high"], color=look.colour, alpha=0.13, lw=0
                )
            axes.plot(
                curve.index,
                curve["median"],
                line,
                color=look.colour,
                lw=thin,
                marker="o" if len(curve) == 1 else "",
                ms=4,
                solid_capstyle="round",
            )
            later = curve[curve.index >= 1]
            if measure == "loss" and split == "validation" and not later.empty:
                lowest = int(later["median"].argmin())
                axes.plot(
                    [later.index[lowest]],
                    [later["median"].iloc[lowest]],
                    marker="v",
                    ms=3.5 + 2.2 * width,
                    mfc=look.colour,
                    mec="white",
                    mew=0.6,
                    zorder=5,
                )
    if measure == "accuracy":
        _draw_guess(axes, panel)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)


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


def _draw_tails(
    axes: Axes, found: list[tuple[pd.Series, bool]], look: Look, line: str, width: float
) -> None:
    """What is left of each run where others have ended, thinner; a square where it stopped."""
    for tail, stopped in found:
        if len(tail) > 1:
            axes.plot(tail.index, tail, line, color=look.colour, lw=0.5 * width, alpha=0.7)
        if stopped and line == _LINES["validation"]:
            axes.plot(
                tail.index[-1:], tail[-1:], "s", ms=3.5, mfc="white", mec=look.colour, mew=0.9
            )


def _weighted(view: View) -> bool:
    return any(
        words.startswith("class weights")
        for panel in view.panels
        for words in extras(panel.settings)
    )


def _stopped(view: View) -> bool:
    return any(
        "stopped" in ending(panel.of(name)) for panel in view.panels for name in panel.frameworks
    )


def _draw_guess(axes: Axes, panel: Panel) -> None:
    """What always naming the most common class would reach."""
    counts = panel.ok["class_counts"].iloc[0]
    if not counts:
        return
    share = max(counts) / sum(counts)
    axes.axhline(share, color=style.MUTED, lw=0.8, ls=":")
    axes.annotate(
        f"always naming the most common class: {share:.2f}",
        (1, share),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=6.5,
        color=style.MUTED,
        zorder=6,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.5},
    )


def _legend(view: View) -> list[Artist]:
    handles: list[Artist] = [
        Line2D([], [], color=view.looks[name].colour, lw=2.5, label=view.looks[name].name)
        for name in view.frameworks
    ]
    handles += [
        Line2D([], [], color=style.INK, ls="-", lw=1.5, label="validation"),
        Line2D([], [], color=style.INK, ls="--", lw=1.1, label="training"),
        Line2D([], [], color=style.INK, marker="v", ls="", ms=6, label="lowest validation loss"),
    ]
    if _stopped(view):
        square = {"marker": "s", "ms": 5, "mfc": "white", "mec": style.INK, "ls": ""}
        handles.append(Line2D([], [], label="stopped early", **square))  # type: ignore[arg-type]
    if view.seeds > 1:
        handles.append(Patch(color=style.INK, alpha=0.15, lw=0, label="range over seeds"))
    return handles


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
        f"{view.machine}. {band} {_ENDS if _stopped(view) else ''}"
        f"The loss includes the L2 terms of the network.{_WEIGHTED if _weighted(view) else ''}"
    )


def turning_table(view: View, epochs: pd.DataFrame) -> Table:
    """Where the validation loss of each run is lowest, by framework."""
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
    mine = epochs[
        epochs["execution_id"].isin(runs["execution_id"])
        & (epochs["split"] == "validation")
        & (epochs["epoch"] >= 1)
    ].dropna(subset=["loss"])
    return [run.set_index("epoch")["loss"].sort_index() for _, run in mine.groupby("execution_id")]
