"""Did whole trainings come to the same: intervals over the margin, and a verdict for each pair."""

import pandas as pd

from report.chart import Chart, Panel, Rule, Series
from report.section import Block, Note, Picture, Section, Table
from results.stats.equivalence import Equivalence
from results.stats.intervals import Interval
from results.stats.vocabulary import DIFFERENT, EQUAL, UNDECIDED, explained
from results.studies.outcome import ACCURACY_MARGIN, CROSS_ENTROPY_MARGIN, Outcome, between
from results.studies.outcome_words import sentences
from results.views.numbers import NONE, fixed, with_interval
from results.views.views import Frames, View
from results.words import count, nouns

_LEAD = (
    "A network that is trained twice from other starting weights comes out a little better or "
    "worse, by luck. So one training in each framework says nothing. Here each framework trained "
    "from the same sets of starting weights (seeds), the difference was taken seed by seed, and "
    "the question is whether the mean difference is too small to matter: less than "
    f"{100 * ACCURACY_MARGIN:g} point of accuracy, less than {CROSS_ENTROPY_MARGIN:g} nats of "
    "cross-entropy. These margins were written down before anything was measured."
)
_READING = (
    "The grey band is the margin: differences in it are taken for none. Each small dot is one "
    "seed, the filled mark the mean over the seeds, the bar its 90 % interval. A bar that lies "
    "inside the band shows that the two are equal within the margin. A bar that reaches out of it "
    "does not show that they differ: only that these seeds cannot tell (one that ends at the edge "
    "of the figure goes on beyond it). More seeds make the bar shorter. The verdict stays "
    f"{UNDECIDED} below the number of seeds in the table, whatever the bar looks like, because "
    "with few seeds the spread itself is only guessed. All of it is about one test set; other "
    "galaxies would add a spread of their own."
)
COLOURS = {EQUAL: "#0072B2", DIFFERENT: "#D55E00"}
_MOST_SEEDS = 200  # of a row drawn one by one
# name, unit, scale, decimals, margin
MEASURES = (
    ("accuracy", "points", 100, 2, ACCURACY_MARGIN),
    ("cross_entropy", "nats", 1, 4, CROSS_ENTROPY_MARGIN),
)


MOST_COMPARED = 8  # frameworks of a panel, each with each


def equivalence(frames: Frames) -> Section | None:
    """Views with two frameworks that share two seeds or more; None where there is none.

    Under matched parity only: under native parity equal seeds are no pairs.
    """
    section = Section("outcome", "Did they come to the same?", _LEAD)
    for view in frames.finished_views:
        found = _outcomes(view, frames) if view.first["parity"] == "matched" else []
        if not any(len(outcome.seeds) > 1 for _, outcome in found):
            continue
        compared = [(name, one) for name, one in found if not one.refusal and len(one.seeds) > 1]
        if compared:
            section.blocks.append(
                Picture(
                    f"outcome-{view.slug}",
                    "Equal within the margin? Mean difference with its 90 % interval",
                    outcome_chart(view, compared),
                    caption=_caption(view, compared),
                    reading=_READING,
                    demo=view.demo,
                )
            )
            section.blocks.append(verdict_table(view, compared))
        section.blocks.extend(_notes(view, found))
    return section if section.blocks else None


def outcome_chart(view: View, compared: list[tuple[str, Outcome]]) -> Chart:
    """A row for each pair, a panel for each measure: seeds, mean and interval over the margin."""
    names = [
        f"{name}: {view.looks[one.a].name} less {view.looks[one.b].name}" for name, one in compared
    ]
    panels = []
    for name, unit, scale, _, margin in measured(compared):
        series = []
        for place, (_, outcome) in enumerate(compared):
            test = test_of(outcome, name)
            if test is None:
                continue
            values = [scale * value for value in getattr(outcome, f"{name}_differences")]
            if len(values) <= _MOST_SEEDS:
                series.append(
                    Series(
                        "a seed",
                        values,
                        [place + 0.22] * len(values),
                        "points",
                        faint=True,
                        text=[f"seed {seed}" for seed in outcome.seeds],
                    )
                )
            series.append(
                Series(
                    test.verdict,
                    [scale * test.mean],
                    [place],
                    "points",
                    [scale * test.low],
                    [scale * test.high],
                    colour=COLOURS.get(test.verdict, ""),
                    hollow=test.verdict not in COLOURS,
                    why="90 %",
                )
            )
        panels.append(
            Panel(
                f"test {name.replace('_', '-')}",
                f"difference, {unit}",
                series,
                rows=names,
                margin=(-scale * margin, scale * margin),
                rules=(Rule("x", 0),),
            )
        )
    return Chart(panels)


def _outcomes(view: View, frames: Frames) -> list[tuple[str, Outcome]]:
    """Every pair of a panel's first frameworks, with its name; of fifty there are 1,225 pairs."""
    return [
        (panel.name, outcome)
        for panel in view.panels
        for outcome in between(panel.runs, frames.predictions, panel.frameworks[:MOST_COMPARED])
    ]


def measured(compared: list[tuple[str, Outcome]]) -> list[tuple[str, str, float, int, float]]:
    """The `MEASURES` that any pair has: squared errors have no cross-entropy."""
    return [one for one in MEASURES if any(test_of(outcome, one[0]) for _, outcome in compared)]


def test_of(outcome: Outcome, name: str) -> Equivalence | None:
    """The test of a measure, where there is one."""
    found = getattr(outcome, name)
    assert found is None or isinstance(found, Equivalence)
    return found


def verdict_table(view: View, compared: list[tuple[str, Outcome]]) -> Table:
    """A row for each pair and measure."""
    rows = []
    for panel, outcome in compared:
        for name, unit, scale, decimals, margin in MEASURES:
            test = test_of(outcome, name)
            if test is None:
                continue
            interval = Interval(scale * test.mean, scale * test.low, scale * test.high)
            low, high = (scale * bound for bound in getattr(outcome, f"{name}_bootstrap"))
            bootstrap = f"[{fixed(low, decimals)}, {fixed(high, decimals)}]"
            rows.append(
                [
                    f"{panel}: {view.looks[outcome.a].name} less {view.looks[outcome.b].name}",
                    f"{name.replace('_', '-')}, {unit}",
                    with_interval(interval, decimals),
                    NONE if low != low else bootstrap,
                    f"±{scale * margin:g}",
                    str(test.n),
                    str(test.fewest),
                    test.verdict,
                ]
            )
    return Table(
        ["pair", "of", "mean [90 %]", "BCa", "margin", "seeds", "needed", "verdict"],
        rows,
        "lllllrrl",
        "Needed: paired seeds for a chance of 0.9 to show equality if there is no difference, by "
        "the spread seen; at least 5. BCa: the same interval by the bootstrap, which does not "
        "take the differences for normal ones; from 5 seeds. "
        f"{explained((EQUAL, DIFFERENT, UNDECIDED))}.",
        grouped=True,
    )


def _notes(view: View, found: list[tuple[str, Outcome]]) -> list[Block]:
    names = {name: look.name for name, look in view.looks.items()}
    told: list[Block] = [
        Note(
            f"{panel.name}: of {count(len(panel.frameworks), 'framework')} the first "
            f"{MOST_COMPARED} are compared here, each with each."
        )
        for panel in view.panels
        if len(panel.frameworks) > MOST_COMPARED
    ]
    told += [
        Note(f"{panel}: {' '.join(sentences(outcome, names))}", _kind(outcome))
        for panel, outcome in found
    ]
    return told


def _kind(outcome: Outcome) -> str:
    return "warning" if outcome.refusal else "text"


def _caption(view: View, compared: list[tuple[str, Outcome]]) -> str:
    sizes = sorted({len(outcome.seeds) for _, outcome in compared})
    pairs = " to ".join(str(size) for size in dict.fromkeys((sizes[0], sizes[-1])))
    images = view.runs["test_images"].max()
    tested = "" if pd.isna(images) else f"{count(int(images), 'test image')}; "
    return (
        f"Differences of test accuracy and cross-entropy between frameworks. Data: {view.data}. "
        f"{view.settings.capitalize()}; {view.machine}. n = {pairs} paired "
        f"{nouns(sizes[-1], 'seed')} each; {tested}two one-sided t tests."
    )
