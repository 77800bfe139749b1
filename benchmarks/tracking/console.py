"""Verdicts and histories as text on a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import isfinite, isnan, log
from typing import IO, TYPE_CHECKING

from benchmarks.tracking.compare import Judged
from benchmarks.tracking.metrics import Metric
from benchmarks.tracking.options import TO_OUTPUT
from results.forms import write_rows
from results.names import in_line
from results.stats.vocabulary import CHANGES, ERROR, IMPROVED, NO_DATA, REGRESSED, UNCHANGED
from results.table import Cell, Column, Table, show, width_of
from results.views.numbers import significant
from results.words import count

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.tracking.levels import Level
    from benchmarks.tracking.trend import Trend

_COLOURS = {REGRESSED: "red", ERROR: "red", NO_DATA: "yellow", IMPROVED: "green"}
_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARK = 24  # characters of a series' picture


def verdicts_table(judged: Sequence[Judged]) -> Table:
    """A row for each cell and metric."""
    table = Table(
        [
            Column("verdict"),
            Column("cell"),
            Column("metric", rank=1),
            Column("baseline", rank=2, right=True),
            Column("candidate", rank=2, right=True),
            Column("ratio", right=True),
            Column("interval", rank=1, right=True),
            Column("noise floor", rank=3, right=True, key="floor"),
            Column("p", rank=4, right=True),
            Column("n", rank=3, right=True, key="processes"),
            Column("why", prose=True, key="reason"),
        ]
    )
    for one in judged:
        found = one.verdict
        counts = f"{found.n_baseline}/{found.n_candidate}{' pairs' if found.paired else ''}"
        table.add(
            Cell(found.verdict, style=_COLOURS.get(found.verdict, "")),
            one.label,
            Cell(one.metric.title, one.metric.name),
            Cell(_value(found.baseline, one.metric), found.baseline),
            Cell(_value(found.candidate, one.metric), found.candidate),
            Cell(_number(found.ratio, ".3f"), found.ratio),
            Cell(found.interval.words(".3f")),
            Cell(f"{found.floor:.1%}" if isfinite(found.floor) else "", found.floor),
            Cell(
                f"{found.p:.2g} {_SHORT.get(found.test, '')}" if not isnan(found.p) else "",
                found.p,
            ),
            counts if found.n_baseline else "",
            found.reason,
        )
    return table


def print_verdicts(judged: Sequence[Judged], console: Console | None = None) -> None:
    """A line for each cell and metric, what the numbers are, and the sentence that sums them up."""
    out = console or _console()
    show(verdicts_table(judged), console=out)
    if any(one.verdict.test for one in judged):
        out.print(
            "ratio: candidate / baseline, with its 95 % interval, or the range of fewer than 6 "
            "pairs. MW: exact Mann-Whitney test; SR: exact signed-rank test of the pairs (the "
            "smaller of both, doubled). Noise floor: what the baseline differs from itself by; "
            "between sessions, what sessions differ by.",
            soft_wrap=not out.is_terminal,
        )
    out.print(in_line(sentence(judged)), markup=False, soft_wrap=not out.is_terminal)


def tell_verdicts(judged: Sequence[Judged], options: argparse.Namespace, out: IO[str]) -> None:
    """Print the verdicts as the options ask: for people, as CSV or JSON, to a file as well."""
    from benchmarks.tracking.compare import json_text, write_json

    if options.json == TO_OUTPUT:
        out.write(json_text(judged))
    elif options.csv:
        write_rows([verdicts_table(judged)], "csv", out)
    else:
        print_verdicts(judged)
    if options.json not in (None, TO_OUTPUT):
        write_json(judged, options.json)


def sentence(judged: Sequence[Judged]) -> str:
    """All verdicts in a sentence, the one that decides the exit status first."""
    if not judged:
        return "No verdict: no cell of the baseline has a value of these metrics."
    worst = next(word for word in CHANGES if any(one.verdict.verdict == word for one in judged))
    mine = [one for one in judged if one.verdict.verdict == worst]
    told = f"{_SAID[worst]} in {len(mine)} of {count(len(judged), 'comparison')}: "
    one = max(mine, key=lambda one: abs(log(one.verdict.ratio)) if one.verdict.ratio > 0 else 0.0)
    told += f"{one.label}, {one.metric.title}"
    if not isnan(one.verdict.ratio):
        interval = one.verdict.interval.words(".2f")
        told += f" {one.verdict.ratio:.2f} times the baseline's"
        told += f" ({interval})" if interval else ""
    if len(mine) > 1:
        told += f", and {len(mine) - 1} more"
    told += f". {one.verdict.reason[:1].upper()}{one.verdict.reason[1:]}."
    return f"{told}{_decided_after(judged)}"


def _decided_after(judged: Sequence[Judged]) -> str:
    """A sentence: after how many pairs the looks decided; "" for what was judged once."""
    taken = [one.look for one in judged if one.look is not None]
    if not taken:
        return ""
    planned = max(look.planned for look in taken)
    if any(one.verdict.verdict == NO_DATA for one in judged):
        return f" All {count(planned, 'pair')} were run."
    pairs = sorted({look.pairs for look in taken})
    counts = f"{pairs[0]} to {pairs[-1]}" if len(pairs) > 1 else f"{pairs[0]}"
    return f" Decided after {counts} of {count(planned, 'pair')}."


def print_trends(trends: Sequence[Trend], metric: Metric, console: Console | None = None) -> None:
    """The series of one metric: a line each, and the steps found in them."""
    from rich.text import Text

    out = console or _console()
    show(trends_table(trends, metric), console=out)
    for trend in trends:
        for step in trend.steps:
            worse = (step.found.ratio > 1) != metric.larger_is_better
            point = trend.points[step.found.index]
            out.print(
                Text.assemble(
                    (f"{'worse' if worse else 'better'}: ", "red" if worse else "green"),
                    f"{in_line(trend.series.label)}, {metric.title} "
                    f"{significant(step.found.before, 4)} -> "
                    f"{significant(step.found.after, 4)} {metric.unit} "
                    f"({step.found.ratio - 1:+.1%}; drift floor {step.found.floor:.1%}), first run "
                    f"{step.execution} of "
                    f"{point.started_at:%Y-%m-%d %H:%M}; "
                    f"changed there: {', '.join(step.changed) or 'neither commit nor versions'}",
                ),
                soft_wrap=not out.is_terminal,
            )


def trends_table(trends: Sequence[Trend], metric: Metric) -> Table:
    """A row for each series."""
    numbers = ("first", "last", "lowest", "highest")
    table = Table(
        [
            Column(_headed(metric), key="cell"),
            Column("machine", rank=3),
            Column("runs", rank=3, right=True),
            Column("points", rank=2, right=True),
            *(Column(name, rank=2 if name in numbers[2:] else 0, right=True) for name in numbers),
            Column("history", rank=1),
            Column("last commit", rank=4),
            Column("versions", rank=5),
        ],
        common={"metric": metric.name},
    )
    for trend in trends:
        values = [point.value for point in trend.points]
        table.add(
            trend.series.label,
            Cell(trend.series.machine_id[:8], trend.series.machine_id),
            str(sum(len(point.rows) for point in trend.points)),
            str(len(values)),
            *(
                Cell(significant(value, 4), value)
                for value in (values[0], values[-1], min(values), max(values))
            ),
            sparkline(values),
            trend.points[-1].commit,
            trend.points[-1].version,
        )
    return table


def print_levels(levels: Sequence[Level], metric: Metric, console: Console | None = None) -> None:
    """One metric by framework version."""
    show(levels_table(levels, metric), console=console or _console())


def levels_table(levels: Sequence[Level], metric: Metric) -> Table:
    """A row for each cell and version."""
    table = Table(
        [
            Column("cell"),
            Column("machine", rank=2),
            Column("versions", key="version"),
            Column(metric.title, right=True, key="value"),
            Column("interval", rank=1, right=True),
            Column("runs", rank=3, right=True),
        ],
        common={"metric": metric.name},
    )
    for level in levels:
        table.add(
            level.series.label,
            Cell(level.series.machine_id[:8], level.series.machine_id),
            level.version,
            Cell(_value(level.interval.value, metric), level.interval.value),
            level.interval.words(),
            str(level.runs),
        )
    return table


def _headed(metric: Metric) -> str:
    return f"{metric.title}{f' ({metric.unit})' if metric.unit else ''}"


def sparkline(values: Sequence[float], width: int = _SPARK) -> str:
    """A series as blocks from its lowest to its highest value, the last `width` points of it."""
    shown = list(values)[-width:]
    low, high = min(shown), max(shown)
    if high == low:
        return _BLOCKS[3] * len(shown)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round((value - low) / (high - low) * top)] for value in shown)


_SHORT = {"Mann-Whitney": "MW", "signed rank": "SR"}
_SAID: dict[str, str] = {
    REGRESSED: "Regressed",
    ERROR: "A run failed",
    NO_DATA: "No verdict",
    IMPROVED: "Improved",
    UNCHANGED: "Unchanged",
}


def _console() -> Console:
    from results.terminal import Terminal

    return Terminal(width=width_of(sys.stdout), highlight=False)


def _value(value: float, metric: Metric) -> str:
    return "" if isnan(value) else f"{significant(value, 4)} {metric.unit}".rstrip()


def _number(value: float, form: str) -> str:
    return "" if isnan(value) else format(value, form)
