"""Confusion of classes: matrices, the most confused pairs, recall by class."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from report import chart
from report.chart import Chart, Grid, Grids, Series
from report.section import Note, Picture, Section, Table
from results.schema import COPY
from results.stats.intervals import Interval, wilson
from results.views.numbers import NONE
from results.views.views import Frames, Panel, View
from results.words import count

_PAIRS = 8


@dataclass(frozen=True)
class Confusion:
    """Predictions of one framework, over its seeds.

    Attributes:
        counts: (classes, classes), true by predicted, summed over runs.
        galaxies: (classes,), distinct galaxies of each true class. The same galaxy is in the test
            set of several runs, and tells no more for being counted again.
    """

    counts: npt.NDArray[np.int64]
    galaxies: npt.NDArray[np.int64]

    @property
    def by_true(self) -> npt.NDArray[np.float64]:
        """Rows sum to 1; NaN where a class has no test galaxy."""
        return _shares(self.counts, self.counts.sum(axis=1, keepdims=True))

    @property
    def by_predicted(self) -> npt.NDArray[np.float64]:
        """Columns sum to 1; NaN where a class is never predicted."""
        return _shares(self.counts, self.counts.sum(axis=0, keepdims=True))

    def recall(self, label: int) -> Interval:
        """The share of a class that is recognised, Wilson's interval over distinct galaxies."""
        total = self.counts[label].sum()
        if not total:
            return Interval(float("nan"))
        distinct = int(self.galaxies[label])
        return wilson(self.counts[label, label] / total * distinct, distinct)


def confusion(predictions: pd.DataFrame, classes: int) -> Confusion:
    """Counted from rows with the columns label, predicted and index."""
    label = predictions["label"].to_numpy(dtype=np.int64)
    predicted = predictions["predicted"].to_numpy(dtype=np.int64)
    counts = np.bincount(label * classes + predicted, minlength=classes**2)
    # copies of one galaxy tell no more than it does
    distinct = ~(predictions["index"] % COPY).duplicated().to_numpy(dtype=bool)
    return Confusion(
        counts.reshape(classes, classes), np.bincount(label[distinct], minlength=classes)
    )


def matrices(frames: Frames) -> Section | None:
    """Confusion matrices, the most confused pairs and recall by class."""
    section = Section(
        "confusion",
        "Which classes were confused",
        "What each network said of galaxies that it had never seen, class by class.",
    )
    for view in frames.finished_views:
        names = class_names(view)
        for number, panel in enumerate(view.panels):
            found = of_panel(panel, frames.predictions, len(names))
            if not found:
                continue
            section.blocks.append(_matrix_picture(view, panel, number, found, names))
            section.blocks.append(_pairs_table(view, panel, found, names))
        picture = _recall_picture(view, frames.predictions, names)
        if picture is not None:
            section.blocks.append(picture)
            section.blocks.append(
                Note(
                    "Recall by class is what a single accuracy hides: a network can be right for "
                    "most galaxies and still never find a rare class. Few test galaxies of a "
                    "class make its interval wide; then a difference between frameworks says "
                    "little."
                )
            )
    return section if section.blocks else None


def class_names(view: View) -> list[str]:
    """The names of the view's classes; numbers where they were not recorded."""
    names = view.first["class_names"]
    if names:
        return list(names)
    classes = view.first["classes"]
    return [] if pd.isna(classes) else [f"class {label}" for label in range(int(classes))]


def of_panel(panel: Panel, predictions: pd.DataFrame, classes: int) -> dict[str, Confusion]:
    """The confusion of each framework that has predictions of classes, not of votes."""
    found = {}
    for framework in panel.frameworks:
        mine = predictions[
            predictions["execution_id"].isin(panel.of(framework)["execution_id"])
            & (predictions["split"] == "test")
            & predictions["label"].between(0, classes - 1)
            & predictions["predicted"].between(0, classes - 1)
        ]
        if len(mine):
            found[framework] = confusion(mine, classes)
    return found


def _shares(counts: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)


def _matrix_picture(
    view: View, panel: Panel, number: int, found: dict[str, Confusion], names: list[str]
) -> Picture:
    galaxies = max(int(one.galaxies.sum()) for one in found.values())
    return Picture(
        f"confusion-{view.slug}-{number + 1}-{panel.name.split(',')[0]}",
        panel.title("labelled as (rows), predicted as (columns)"),
        Grids([grid(view.looks[name].name, one, names) for name, one in found.items()]),
        caption=f"Confusion matrices of {panel.name}. Data: {view.data}; {view.settings}. "
        f"{count(galaxies, 'test galaxy')}; counts are sums over the runs "
        f"({view.sizes(panel)}).",
        reading="A row is what a galaxy is labelled as, a column what the network "
        "said; the diagonal is right. Empty cells are zero. In a figure for a paper the middle has "
        "the shares of each row (the diagonal is recall), the right those of each column (the "
        "diagonal is precision).",
        demo=view.demo,
    )


def grid(title: str, found: Confusion, names: list[str]) -> Grid:
    """The counts as a table: labelled as (rows), predicted as (columns)."""
    rows = [
        name if found.galaxies[label] else f"{name} (none in test)"
        for label, name in enumerate(names)
    ]
    return Grid(title, rows, names, found.counts.tolist())


def recall_chart(
    view: View, found: dict[str, tuple[Panel, dict[str, Confusion]]], names: list[str]
) -> Chart:
    """A row for each class, a mark with its interval for each framework."""
    panels = []
    for panel, confusions in found.values():
        galaxies = np.max([one.galaxies for one in confusions.values()], axis=0)
        thickness = 0.7 / len(confusions)
        series = []
        for place, (framework, one) in enumerate(confusions.items()):
            recalls = [one.recall(label) for label in range(len(names))]
            offset = (place + 0.5) * thickness - 0.35
            series.append(
                Series(
                    view.looks[framework].name,
                    [recall.value for recall in recalls],
                    [label + offset for label in range(len(names))],
                    "points",
                    [recall.low for recall in recalls],
                    [recall.high for recall in recalls],
                    colour=view.looks[framework].colour,
                    marker=view.looks[framework].marker,
                    why="95 %",
                )
            )
        rows = [f"{text} (n = {n})" for text, n in zip(names, galaxies, strict=True)]
        panels.append(chart.Panel(panel.title("recall"), "recall", series, rows=rows, zero=True))
    return Chart(panels)


def most_confused(found: dict[str, Confusion]) -> list[tuple[int, int]]:
    """(true, predicted) pairs off the diagonal, by galaxies over all frameworks, most first."""
    total = np.sum([one.counts for one in found.values()], axis=0)
    np.fill_diagonal(total, 0)
    order = np.argsort(-total, axis=None, kind="stable")
    pairs = [divmod(int(flat), len(total)) for flat in order[:_PAIRS]]
    return [pair for pair in pairs if total[pair] > 0]


def _pairs_table(view: View, panel: Panel, found: dict[str, Confusion], names: list[str]) -> Table:
    rows = []
    for true, predicted in most_confused(found):
        row = [names[true], names[predicted]]
        for one in found.values():
            of_class = one.counts[true].sum()
            galaxies = one.counts[true, predicted]
            row.append(f"{galaxies} ({100 * galaxies / of_class:.0f} %)" if of_class else NONE)
        rows.append(row)
    return Table(
        ["labelled as", "taken for", *(view.looks[name].name for name in found)],
        rows,
        "ll" + "r" * len(found),
        caption=f"{panel.name}, {view.title}: the pairs most often confused: test galaxies summed "
        "over runs, and their share of the true class.",
    )


def _recall_picture(view: View, predictions: pd.DataFrame, names: list[str]) -> Picture | None:
    found = {
        panel.name: (panel, confusions)
        for panel in view.panels
        if (confusions := of_panel(panel, predictions, len(names)))
    }
    if not found:
        return None
    return Picture(
        f"recall-{view.slug}",
        "Recall by class",
        recall_chart(view, found, names),
        demo=view.demo,
        caption=f"Recall by class: the share of a class's test galaxies that were recognised. "
        f"Data: {view.data}; {view.settings}; {view.sizes()}. Whiskers: 95 % intervals (Wilson), "
        "in which a galaxy counts once however many runs were tested on it; n is the number of "
        "distinct test galaxies.",
        reading="Longer is better; 1 means that every galaxy of the class was "
        "found. Where whiskers of two frameworks overlap widely, they may well be equally good.",
    )
