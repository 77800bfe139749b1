"""Errors by rung and the divergence of trainings drawn for a paper."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Transform

from report.figures import style
from report.sections.fidelity import PRECISIONS, shares, so_far, titled
from results.views.looks import Look, looks


def ladder_figure(against: pd.DataFrame) -> Figure:
    """Error by rung, a panel for each precision, against the reference only."""
    precisions = [one for one in PRECISIONS if one in set(against["precision"])]
    labels = list(dict.fromkeys(zip(against["rung"], against["metric"], strict=True)))
    labels.sort()
    drawn = looks(against["framework"])
    made = style.figure(7.2, 1.7 + 0.27 * len(labels))
    panels = made.subplots(1, len(precisions), sharey=True, squeeze=False)[0]
    for axes, precision in zip(panels, precisions, strict=True):
        part = against[against["precision"] == precision]
        for place, (rung, metric) in enumerate(labels):
            rows = part[(part["rung"] == rung) & (part["metric"] == metric)]
            if rows.empty:
                continue
            for bound in rows.loc[rows["bound"] > 0, "bound"].unique():
                axes.plot([bound] * 2, [place - 0.36, place + 0.36], color=style.INK, linewidth=1.6)
            for position, (framework, look) in enumerate(drawn.items()):
                mine = rows[rows["framework"] == framework]
                if not mine.empty:
                    offset = (position - (len(drawn) - 1) / 2) * 0.13
                    _mark(axes, mine.loc[shares(mine).idxmax()], place + offset, look)
        axes.set_xscale("log")
        axes.set_title(precision)
        axes.set_xlabel("largest relative error")
        axes.grid(axis="x")
    panels[0].set_yticks(range(len(labels)), [f"{rung}  {metric}" for rung, metric in labels])
    panels[0].invert_yaxis()
    legend = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="none", label=look.name)
        for look in drawn.values()
    ]
    legend.append(Line2D([], [], color=style.INK, linewidth=1.6, label="bound"))
    if (against["status"] == "failed").any():
        legend.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker="o",
                markersize=8,
                markerfacecolor="none",
                markeredgecolor=style.WARNING,
                label="beyond its bound",
            )
        )
    footer = (
        "Against the float64 NumPy reference; of a rung's cases the error nearest to its bound."
    )
    return style.finish(made, "Error by rung", footer, legend=legend)


def _mark(axes: Axes, row: pd.Series, height: float, look: Look) -> None:
    """One error; ringed where it failed, an arrow at the edge where no axis has a place for it."""
    drawn = np.isfinite(row["value"]) and row["bound"] > 0
    place, transform = (row["value"], axes.transData) if drawn else (0.97, _edge(axes))
    options: dict[str, Any] = {"linestyle": "none", "transform": transform}
    marker = look.marker if drawn else ">"
    axes.plot(place, height, marker, color=look.colour, markersize=4, **options)
    if row["status"] == "failed":
        ring: dict[str, Any] = {
            "markerfacecolor": "none",
            "markeredgecolor": style.WARNING,
            "markersize": 8,
        }
        axes.plot(place, height, "o", gid="failed", **ring, **options)


def _edge(axes: Axes) -> Transform:
    """Along the axis as a share of the panel, upwards in data."""
    return axes.get_yaxis_transform()


def divergence_figure(curves: pd.DataFrame) -> Figure:
    """Relative loss difference by step: pairs of frameworks over the band of the controls."""
    cases = dict(zip(curves["case"], curves["architecture"], strict=True))
    networks = list(cases.values())
    columns = min(len(cases), 4)
    rows = -(-len(cases) // columns)
    made = style.figure(3.7 * columns + 0.4, 2.2 * rows + 0.8)
    panels = made.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for unused in panels.flat[len(cases) :]:
        unused.set_visible(False)
    for axes, (case, network) in zip(panels.flat, cases.items(), strict=False):
        part = curves[curves["case"] == case]
        exact = (part["kind"] == "control") & (part["label"] == "float64")
        control = (part["kind"] == "control") & ~exact
        own = np.stack(part.loc[control, "difference"].tolist())
        running = so_far(own)
        steps = np.arange(1, running.shape[1] + 1)
        axes.fill_between(steps, running.min(0), running.max(0), color=style.FAINT, linewidth=0)
        axes.plot(steps, np.median(running, axis=0), color=style.MUTED, linewidth=1)
        for row in part[part["kind"] == "cross"].itertuples():
            look = looks([row.framework])[row.framework]
            other = looks([row.label])[row.label]
            height = so_far(row.difference)
            axes.plot(steps, height, color=look.colour, linewidth=1.6)
            axes.plot(steps, height, color=other.colour, linewidth=1.6, linestyle=(0, (4, 4)))
        for row in part[exact].itertuples():
            colour = looks([row.framework])[row.framework].colour
            axes.plot(steps, so_far(row.difference), color=colour, linewidth=1.2, linestyle=":")
        axes.set_yscale("log")
        axes.set_title(network if networks.count(network) == 1 else titled(case, network))
    for axes in panels.flat[max(0, len(cases) - columns) : len(cases)]:
        axes.set_xlabel("training step")
        axes.tick_params(labelbottom=True)
    for axes in panels[:, 0]:
        axes.set_ylabel("largest loss difference")
    known = looks([*curves["framework"], *curves.loc[curves["kind"] == "cross", "label"]])
    legend = [Line2D([], [], color=look.colour, label=look.name) for look in known.values()]
    legend.append(Line2D([], [], color=style.FAINT, linewidth=6, label="each from itself"))
    legend.append(
        Line2D([], [], color=style.INK, linewidth=1.2, linestyle=":", label="from its own float64")
    )
    footer = "A line of two colours is the difference between these two frameworks."
    return style.finish(made, "When float32 trainings part", footer, legend=legend)
