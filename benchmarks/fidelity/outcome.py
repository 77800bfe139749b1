"""R6: did whole trainings come to the same? Read from a store of finished runs; nothing is trained.

Groups are the report's panels (same data, network, recipe, parity, precision and machine), so that
the command and the page say the same of the same runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from results.stats.equivalence import Equivalence
    from results.store import Store
    from results.studies.outcome import Outcome

_NUMBERS = ("mean", "low", "high", "margin")  # of a test


@dataclass(frozen=True)
class Group:
    """Runs that differ in framework, seed and repeat only, and every pair of frameworks."""

    name: str
    outcomes: tuple[Outcome, ...]


def outcome(store: Store, margin: float = 0.01, cross_entropy_margin: float = 0.05) -> list[Group]:
    """Every pair of frameworks in every group of like runs that were tried in two of them.

    Args:
        margin: of the test accuracy, as a share: 0.01 is one point.
        cross_entropy_margin: of the test cross-entropy, nats.

    Raises:
        FileNotFoundError: the store has no runs.
        ValueError: a margin that is not above 0, or no two frameworks to compare.
    """
    from results.studies.outcome import between
    from results.views.looks import ordered
    from results.views.views import Frames

    for name, value in (("accuracy", margin), ("cross-entropy", cross_entropy_margin)):
        if not value > 0:
            raise ValueError(f"the margin of {name} is {value:g}; it must be above 0")
    frames = Frames.load(store)
    groups = [
        Group(
            f"{panel.name} ({view.title})",
            tuple(
                between(
                    panel.runs,
                    frames.predictions,
                    ordered(panel.runs["framework"]),  # one that never finished is told, too
                    accuracy_margin=margin,
                    cross_entropy_margin=cross_entropy_margin,
                )
            ),
        )
        for view in frames.finished_views
        for panel in view.panels
        if panel.runs["framework"].nunique() > 1
    ]
    if not groups:
        raise ValueError(
            f"no network in {store.path} has finished runs in two frameworks; "
            "run python -m benchmarks.run --seeds 0 1 2 3 4, or name a store with --store"
        )
    return groups


def all_equal(groups: Iterable[Group]) -> bool:
    """True if every pair of frameworks is equal within the margins, by accuracy and cross-entropy.

    False where a pair is different, undecided or refused.
    """
    from results.stats.vocabulary import EQUAL

    return all(found.verdict == EQUAL for group in groups for found in group.outcomes)


def told(groups: Iterable[Group]) -> list[dict[str, Any]]:
    """A row for each pair and measure, for programs; one that was not compared says why."""
    rows = []
    for group in groups:
        for found in group.outcomes:
            pair = {"group": group.name, "a": found.a, "b": found.b, "seeds": len(found.seeds)}
            if found.refusal:
                rows.append(pair | {"verdict": "not compared", "reason": found.refusal})
            tests = {"accuracy": found.accuracy, "cross_entropy": found.cross_entropy}
            for measure, test in tests.items():
                if test is not None:
                    numbers = {name: getattr(test, name) for name in _NUMBERS}
                    rows.append(pair | {"measure": measure, "verdict": test.verdict} | numbers)
    return rows


def render(groups: Iterable[Group], console: Console | None = None) -> None:
    """Print a table and sentences for each group."""
    from results.studies.outcome_words import sentences
    from results.table import Column, Table, show, width_of
    from results.terminal import Terminal

    console = console or Terminal(width=width_of(sys.stdout))
    ranks = {"mean": 0, "90 % interval": 0, "BCa": 2, "margin": 1, "seeds": 1, "needed": 3}
    columns = [Column(name, rank, right=True) for name, rank in ranks.items()]
    for group in groups:
        console.print(f"\n{group.name}", style="bold", highlight=False, markup=False)
        table = Table([Column(""), Column("of"), *columns, Column("verdict")])
        for found in group.outcomes:
            for row in _rows(found):
                table.add(*row)
        show(table, console=console)
        for found in group.outcomes:
            for sentence in sentences(found, {found.a: found.a, found.b: found.b}):
                console.print(f"- {sentence}", highlight=False, markup=False)


def _rows(found: Outcome) -> list[list[str]]:
    measures = (
        ("accuracy, points", found.accuracy, found.accuracy_bootstrap, 100, 2),
        ("cross-entropy, nats", found.cross_entropy, found.cross_entropy_bootstrap, 1, 4),
    )
    pair = f"{found.a} less {found.b}"
    if found.refusal:
        return [[pair, "", "", "", "", "", str(len(found.seeds)), "", "not compared"]]
    return [
        [
            pair,
            what,
            _number(scale * test.mean, decimals),
            _interval((scale * test.low, scale * test.high), decimals),
            _interval((scale * interval[0], scale * interval[1]), decimals),
            f"±{scale * test.margin:g}",
            str(test.n),
            _needed(test),
            test.verdict,
        ]
        for what, test, interval, scale, decimals in measures
        if test is not None
    ]


def _needed(test: Equivalence) -> str:
    return "5 or more" if test.fewest is None else str(test.fewest)


def _number(value: float, decimals: int) -> str:
    from results.studies.outcome_words import number

    return number(value, decimals)


def _interval(interval: tuple[float, float], decimals: int) -> str:
    low, high = interval
    if low != low:  # NaN
        return "-"
    return f"{_number(low, decimals)} to {_number(high, decimals)}"
