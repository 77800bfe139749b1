"""Confusion matrices and recall drawn for a paper."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from report.figures import style
from report.sections.confusion import Confusion
from results.views.looks import ordered, plain
from results.views.views import Panel, View

_COLOURS = LinearSegmentedColormap.from_list("ink", ["#ffffff", "#c3d7ea", "#5b8db8", "#16365c"])


_MOST_ANNOTATED = 16  # beyond this many classes the cells are too small for numbers


def matrix_figure(
    view: View, panel: Panel, found: dict[str, Confusion], names: list[str]
) -> Figure:
    """A row for each framework: counts, row-normalised, column-normalised."""
    side = 2.75
    figure = style.figure(10.6, 1.1 + (side + 0.15) * len(found))
    grid = figure.subplots(len(found), 3, squeeze=False, sharex=False)
    for row, (framework, one) in zip(grid, found.items(), strict=True):
        rows = [
            name if one.galaxies[label] else f"{name} (none in test)"
            for label, name in enumerate(names)
        ]
        parts = (
            ("counts", one.counts.astype(np.float64), "{:.0f}"),
            ("% of the true class (recall)", 100 * one.by_true, "{:.0f}"),
            ("% of the predicted class (precision)", 100 * one.by_predicted, "{:.0f}"),
        )
        for axes, (what, values, form) in zip(row, parts, strict=True):
            draw_matrix(axes, values, form, rows, named=axes is row[0])
            axes.set_title(what, fontweight="normal", fontsize=8)
        row[0].set_title(
            f"{view.looks[framework].name}: counts",
            color=view.looks[framework].colour,
            fontsize=8.5,
        )
    for axes in grid[-1]:
        axes.set_xlabel("predicted as", fontsize=7)
    style.mark_refused(grid[0][1], panel.refusal)
    return style.finish(
        figure,
        f"{panel.name}: labelled as (rows), predicted as (columns)",
        view.footer,
        demo=view.demo,
    )


def draw_matrix(
    axes: Axes, values: npt.NDArray[np.float64], form: str, names: list[str], *, named: bool
) -> None:
    """Draw values (classes, classes) as shaded cells; `named` writes the rows' names."""
    top = np.nanmax(values) if np.isfinite(values).any() else 1.0
    # A root makes the small numbers visible, which are the confusions.
    norm = PowerNorm(0.6, 0, max(top, 1e-9))
    axes.imshow(np.nan_to_num(values), cmap=_COLOURS, norm=norm, aspect="equal")
    ticks = range(len(names))
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    labels = [f"{name}  {tick}" if named else str(tick) for tick, name in enumerate(names)]
    axes.set_yticks(ticks, [plain(label) for label in labels])
    axes.tick_params(length=0, labelsize=6.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=style.FAINT, lw=0.5)
    axes.tick_params(which="minor", length=0)
    if len(names) > _MOST_ANNOTATED:
        return
    size = 7.5 if len(names) <= 4 else 6
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value) or value == 0:
            continue
        text = "<1" if value < 0.5 and form == "{:.0f}" else form.format(value)
        dark = norm(value) > 0.55
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else style.INK,
            in_layout=False,  # inside its cell: measuring it would only take time
        )


def recall_figure(
    view: View, found: dict[str, tuple[Panel, dict[str, Confusion]]], names: list[str]
) -> Figure:
    """A column for each panel, two at most beside each other; a group of bars for each class."""
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    frameworks = max(len(confusions) for _, confusions in found.values())
    height = len(names) * max(0.3, 0.11 * frameworks + 0.08) + 0.5
    figure = style.figure(9.6 if columns == 2 else 7.0, 0.85 + height * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(found) :]:
        axes.set_visible(False)
    drawn: set[str] = set()
    for number, (name, (panel, confusions)) in enumerate(found.items()):
        axes = grid.flat[number]
        drawn |= set(confusions)
        thickness = 0.8 / len(confusions)
        for place, (framework, one) in enumerate(confusions.items()):
            look = view.looks[framework]
            for label in range(len(names)):
                height_at = label - 0.4 + (place + 0.5) * thickness
                recall = one.recall(label)
                if np.isnan(recall.value):
                    continue
                axes.barh(height_at, recall.value, thickness * 0.86, color=look.colour, alpha=0.4)
                axes.plot([recall.low, recall.high], [height_at] * 2, color=look.colour, lw=1)
                axes.plot(
                    recall.value, height_at, look.marker, color=look.colour, ms=2.6, clip_on=False
                )
        galaxies = np.max([one.galaxies for one in confusions.values()], axis=0)
        labels = [f"{text} (n = {n})" for text, n in zip(names, galaxies, strict=True)]
        if number % columns:
            labels = [f"n = {n}" for n in galaxies]
        axes.set_yticks(range(len(names)), [plain(label) for label in labels])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 1.02)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_title(plain(f"{name}: recall"))
        style.mark_refused(axes, panel.refusal)
    return style.finish(
        figure,
        "Recall by class",
        f"{view.footer}  ·  whiskers: 95 % Wilson intervals over distinct galaxies",
        demo=view.demo,
        legend=[
            Patch(color=view.looks[name].colour, label=view.looks[name].name)
            for name in ordered(drawn)
        ],
    )
