"""Learning curves drawn for a paper: accuracy and loss by epoch."""

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from report.figures import style
from report.sections.curves import LINES, majority, series, stopped, tails
from results.views.looks import Look, plain
from results.views.views import Panel, View


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


def _draw(axes: Axes, view: View, panel: Panel, epochs: pd.DataFrame, measure: str) -> None:
    widths = style.line_widths(len(panel.frameworks), nested=panel.parity == "matched")
    for framework, width in zip(panel.frameworks, widths, strict=True):
        look = view.looks[framework]
        for split, line in LINES.items():
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


def _draw_tails(
    axes: Axes, found: list[tuple[pd.Series, bool]], look: Look, line: str, width: float
) -> None:
    """Draw each run that outlasts others as a thinner line, with a square where it stopped."""
    for tail, ended in found:
        if len(tail) > 1:
            axes.plot(tail.index, tail, line, color=look.colour, lw=0.5 * width, alpha=0.7)
        if ended and line == LINES["validation"]:
            axes.plot(
                tail.index[-1:], tail[-1:], "s", ms=3.5, mfc="white", mec=look.colour, mew=0.9
            )


def _draw_guess(axes: Axes, panel: Panel) -> None:
    """Draw the accuracy of always naming the most common class."""
    share = majority(panel)
    if share is None:
        return
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
    if stopped(view):
        square = {"marker": "s", "ms": 5, "mfc": "white", "mec": style.INK, "ls": ""}
        handles.append(Line2D([], [], label="stopped early", **square))  # type: ignore[arg-type]
    if view.seeds > 1:
        handles.append(Patch(color=style.INK, alpha=0.15, lw=0, label="range over seeds"))
    return handles
