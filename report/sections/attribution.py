"""Which native default is to blame: a ranked chart of what each is worth, and the rest."""

from math import ceil, floor, log10

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from report import style
from report.section import Block, Note, Picture, Section, Table
from results.stats.means import Mean
from results.studies.attribution import EARLY_STEPS, Attribution, attribute, sentences
from results.views.looks import looks, plain
from results.views.numbers import NONE, fixed, significant
from results.views.views import Frames
from results.views.words import count

_LEAD = (
    "A network that is copied layer by layer to another framework still trains differently, "
    "because whatever is not written down takes the framework's own default: how the first "
    "weights are drawn, how fast batch norm forgets, a constant in the optimizer. Here one "
    "framework trains with both sets of defaults, and with each default switched alone. The "
    "difference that a default makes is its share."
)
_READING = (
    "Left: points of test accuracy that one default is worth, with the 95 % interval over the "
    "seeds. A bar that crosses zero could be chance. The filled mark is the mean of two "
    "measurements: the default switched on while all else is the first framework's (open triangle "
    "right), and switched off while all else is the second's (open triangle left). Where the two "
    "lie far apart, the default depends on the others; the row 'only together' says how much "
    f"cannot be given to any one default. Right: how far the loss of the first {EARLY_STEPS} steps "
    "moves. Later steps are chaotic and show the size of nothing."
)


def defaults(frames: Frames) -> Section | None:
    """The latest attribution of each network, pair and optimizer; None when there is none."""
    blocks: list[Block] = []
    keys = ["architecture", "optimizer", "origin", "target", "inside", "dataset", "image_height"]
    if frames.trainings.empty:
        return None
    for number, (_, group) in enumerate(frames.trainings.groupby(keys, sort=True), start=1):
        last = group[group["started_at"] == group["started_at"].max()]
        first = last.iloc[0]
        try:
            found = attribute(last)
        except ValueError as error:
            blocks.append(Note(f"{first['architecture']}: {error}.", "warning"))
            continue
        names = [looks([n])[n].name if n != "matched" else n for n in _names(first)]
        title = f"{first['architecture']}, {first['optimizer']}: from {names[0]} to {names[1]}"
        blocks.append(
            Picture(
                f"attribution-{number}",
                attribution_figure(found, title, _footer(first), demo=first["dataset"] == "demo"),
                _caption(first, found),
                reading=_READING,
            )
        )
        blocks.append(worth_table(found, names[0], names[1]))
        blocks.extend(Note(text) for text in sentences(found, names[0], names[1], names[2]))
    return Section("defaults", "Which default is to blame?", _LEAD, blocks)


def attribution_figure(found: Attribution, title: str, footer: str, *, demo: bool) -> Figure:
    """A row for each default by its worth, then what they do together, in all, and the rest."""
    rows = [(factor.name, factor.worth) for factor in found.factors]
    rows += [(found.rest, found.together), ("all of them", found.total)]
    if found.own is not None and found.unexplained is not None:
        rows += [("the frameworks' own runs", found.own), ("not explained", found.unexplained)]
    made = style.figure(7.6, 1.6 + 0.26 * len(rows))
    left, right = made.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    left.axvline(0, color=style.MUTED, linewidth=0.7)
    for place, (_, worth) in enumerate(rows):
        single = place < len(found.factors)
        colour = "#0072B2" if single else style.INK
        left.plot([100 * worth.low, 100 * worth.high], [place] * 2, color=colour, linewidth=1.8)
        left.plot(100 * worth.mean, place, "o", color=colour, markersize=4.5)
    for place, factor in enumerate(found.factors):
        for worth, marker in ((factor.on, ">"), (factor.off, "<")):
            left.plot(
                100 * worth.mean,
                place,
                marker,
                markerfacecolor="white",
                markeredgecolor="#0072B2",
                markersize=4.5,
                zorder=3 if marker == ">" else 4,
            )
        if factor.early > 0:
            right.plot(factor.early, place, "s", color="#0072B2", markersize=4.5)
        else:
            right.annotate(
                "not at all",
                (0.03, place),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
                color=style.MUTED,
            )
    left.axhline(len(found.factors) - 0.5, color=style.FAINT, linewidth=0.8)
    left.set_yticks(range(len(rows)), [plain(name) for name, _ in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    left.set_xlabel("worth, points of test accuracy")
    moved = [factor.early for factor in found.factors if factor.early > 0]
    right.set_xscale("log")
    right.xaxis.set_minor_formatter(NullFormatter())
    if moved:  # whole decades: their labels do not run into each other
        low = floor(log10(min(moved)))
        right.set_xlim(10**low, 10 ** max(ceil(log10(max(moved))), low + 1))
    right.set_xlabel(f"loss moved, first {EARLY_STEPS} steps")
    for axes in (left, right):
        axes.grid(axis="x")
    legend = [
        Line2D([], [], color="#0072B2", marker="o", label="mean of both, 95 %"),
        Line2D([], [], ls="none", color="#0072B2", marker=">", mfc="white", label="switched on"),
        Line2D([], [], ls="none", color="#0072B2", marker="<", mfc="white", label="switched off"),
    ]
    return style.finish(made, title, footer, legend=legend, demo=demo)


def worth_table(found: Attribution, origin: str, target: str) -> Table:
    """What is in the figure, in numbers."""
    rows = [
        [
            factor.name,
            *_cells(factor.worth),
            _points(factor.on.mean),
            _points(factor.off.mean),
            significant(factor.early, 2) if factor.early >= 1e-4 else f"{factor.early:.0e}",
            significant(factor.worth.p_holm, 2),
        ]
        for factor in found.factors
    ]
    rows.append([found.rest, *_cells(found.together), NONE, NONE, NONE, NONE])
    rows.append(["all of them", *_cells(found.total), NONE, NONE, NONE, NONE])
    if found.own is not None and found.unexplained is not None:
        name = f"{target} less {origin}, own runs"
        rows.append([name, *_cells(found.own), NONE, NONE, NONE, NONE])
        rows.append(["not explained", *_cells(found.unexplained), NONE, NONE, NONE, NONE])
    return Table(
        ["default", "worth, points", "95 %", "on", "off", "early loss", "p (Holm)"],
        rows,
        "lrlrrrr",
        f"Points of test accuracy, {target} less {origin}, over {count(len(found.seeds), 'seed')}. "
        "p: of the t test against nothing, corrected for the number of defaults.",
    )


def _cells(worth: Mean) -> tuple[str, str]:
    interval = NONE if pd.isna(worth.low) else f"[{_points(worth.low)}, {_points(worth.high)}]"
    return _points(worth.mean), interval


def _points(value: float) -> str:
    text = fixed(100 * value, 2)
    return text if text.startswith(("−", NONE)) else f"+{text}"


def _names(first: pd.Series) -> tuple[str, str, str]:
    return str(first["origin"]), str(first["target"]), str(first["inside"])


def _footer(first: pd.Series) -> str:
    size = int(first["image_height"])
    return (
        f"Data: {first['dataset']}, {size}x{size}, {int(first['train_images']):,} training and "
        f"{int(first['test_images']):,} test images  ·  {count(int(first['epochs']), 'epoch')}, "
        f"batch {int(first['batch_size'])}, float32  ·  switched inside {first['inside']}"
    )


def _caption(first: pd.Series, found: Attribution) -> str:
    return (
        f"What each default is worth over {count(len(found.seeds), 'seed')}; batch order, dropout "
        "masks and the random numbers behind the first weights are the same in every variant. "
        f"Command: {first['command']}"
    )
