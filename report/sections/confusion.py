"""Which classes are taken for which: matrices, the most confused pairs, recall by class."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from report import style
from report.section import Note, Picture, Section, Table
from results.schema import COPY
from results.stats.intervals import Interval, wilson
from results.views.looks import ordered, plain
from results.views.numbers import NONE
from results.views.views import Frames, Panel, View
from results.views.words import count

_COLOURS = LinearSegmentedColormap.from_list("ink", ["#ffffff", "#c3d7ea", "#5b8db8", "#16365c"])
_MOST_ANNOTATED = 16  # beyond this many classes the cells are too small for numbers
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
    """The confusion of each framework that has predictions."""
    found = {}
    for framework in panel.frameworks:
        mine = predictions[
            predictions["execution_id"].isin(panel.of(framework)["execution_id"])
            & (predictions["split"] == "test")
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
        matrix_figure(view, panel, found, names),
        caption=f"Confusion matrices of {panel.name}. Data: {view.data}; {view.settings}. "
        f"{count(galaxies, 'test galaxy', 'test galaxies')}; counts are sums over the runs "
        f"({view.sizes(panel)}).",
        reading="A row is what a galaxy is labelled as, a column what the network "
        "said; the diagonal is right. Left: counts. Middle: of the galaxies of a class, the share "
        "that went to each answer (rows add up to 100 %; the diagonal is recall). Right: of the "
        "galaxies that were given an answer, the share that truly are of each class (columns add "
        "up to 100 %; the diagonal is precision). Empty cells are zero.",
    )


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
        recall_figure(view, found, names),
        caption=f"Recall by class: the share of a class's test galaxies that were recognised. "
        f"Data: {view.data}; {view.settings}; {view.sizes()}. Whiskers: 95 % intervals (Wilson), "
        "in which a galaxy counts once however many runs were tested on it; n is the number of "
        "distinct test galaxies.",
        reading="Longer is better; 1 means that every galaxy of the class was "
        "found. Where whiskers of two frameworks overlap widely, they may well be equally good.",
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
