"""Section on native defaults: a ranked chart of the worth of each, and the rest."""

import pandas as pd

from report.chart import Chart, Panel, Rule, Series
from report.section import Block, Note, Picture, Section, Table
from results.stats.means import Mean
from results.studies.attribution import EARLY_STEPS, Attribution, attribute, sentences
from results.views.looks import looks
from results.views.numbers import NONE, fixed, significant
from results.views.views import Frames
from results.words import count

COLOUR = "#0072B2"
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
                title,
                attribution_chart(found),
                _caption(first, found),
                reading=_READING,
                demo=bool(first["dataset"] == "demo"),
            )
        )
        blocks.append(worth_table(found, names[0], names[1]))
        blocks.extend(Note(text) for text in sentences(found, names[0], names[1], names[2]))
    return Section("defaults", "Which default is to blame?", _LEAD, blocks)


def attribution_chart(found: Attribution) -> Chart:
    """A row for each default by its worth, then what they do together, in all, and the rest."""
    rows = worths(found)
    single = len(found.factors)
    worth = [
        Series(
            name,
            [100 * rows[place][1].mean for place in places],
            list(places),
            "points",
            [100 * rows[place][1].low for place in places],
            [100 * rows[place][1].high for place in places],
            colour=colour,
            why="95 %",
        )
        for name, places, colour in (
            ("mean of both", range(single), COLOUR),
            ("together", range(single, len(rows)), ""),
        )
    ]
    ways = [
        Series(
            name,
            [100 * getattr(factor, way).mean for factor in found.factors],
            list(range(single)),
            "points",
            colour=COLOUR,
            marker=marker,
            hollow=True,
            faint=True,
        )
        for name, way, marker in (("switched on", "on", ">"), ("switched off", "off", "<"))
    ]
    moved = [(place, one.early) for place, one in enumerate(found.factors) if one.early > 0]
    early = Series(
        "loss moved", [v for _, v in moved], [p for p, _ in moved], "points", colour=COLOUR
    )
    names = [name for name, _ in rows]
    zero = (Rule("x", 0),)
    panels = [
        Panel("worth", "points of test accuracy", [*worth, *ways], rows=names, rules=zero),
        Panel(f"loss of the first {EARLY_STEPS} steps", "moved by", [early], rows=names, log="x"),
    ]
    return Chart(panels)


def worths(found: Attribution) -> list[tuple[str, Mean]]:
    """Each default with its worth, then what they do together, in all, and what is left."""
    rows = [(factor.name, factor.worth) for factor in found.factors]
    rows += [(found.rest, found.together), ("all of them", found.total)]
    if found.own is not None and found.unexplained is not None:
        rows += [("the frameworks' own runs", found.own), ("not explained", found.unexplained)]
    return rows


def worth_table(found: Attribution, origin: str, target: str) -> Table:
    """Numbers of the figure, as a table."""
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


def _caption(first: pd.Series, found: Attribution) -> str:
    size = int(first["image_height"])
    return (
        f"Data: {first['dataset']}, {size}x{size}, {int(first['train_images']):,} training and "
        f"{count(int(first['test_images']), 'test image')}; "
        f"{count(int(first['epochs']), 'epoch')}, batch {int(first['batch_size'])}, float32, "
        f"switched inside {first['inside']}. "
        f"What each default is worth over {count(len(found.seeds), 'seed')}; batch order, dropout "
        "masks and the random numbers behind the first weights are the same in every variant. "
        f"Command: {first['command']}"
    )
