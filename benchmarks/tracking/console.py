"""Verdicts and histories as text on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import isfinite, isnan
from typing import TYPE_CHECKING

from benchmarks.tracking.compare import Judged
from benchmarks.tracking.metrics import Metric
from results.stats.vocabulary import ERROR, IMPROVED, NO_DATA, REGRESSED

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from benchmarks.tracking.levels import Level
    from benchmarks.tracking.trend import Trend

_COLOURS = {REGRESSED: "red", ERROR: "red", NO_DATA: "yellow", IMPROVED: "green"}
_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARK = 24  # characters of a series' picture
_LOG_WIDTH = 400  # characters: a log is as wide as a table needs


def print_verdicts(judged: Sequence[Judged], console: Console | None = None) -> None:
    """A line for each cell and metric, and below what the numbers are."""
    from rich.text import Text

    table = _table(
        ["verdict", "cell", "metric"],
        ["baseline", "candidate", "ratio", "interval", "noise floor", "p", "n"],
    )
    table.add_column("why")
    for one in judged:
        found = one.verdict
        table.add_row(
            Text(found.verdict, style=_COLOURS.get(found.verdict, "")),
            Text(one.label),
            one.metric.title,
            _value(found.baseline, one.metric),
            _value(found.candidate, one.metric),
            _number(found.ratio, ".3f"),
            found.interval.words(".3f"),
            f"{found.floor:.1%}" if isfinite(found.floor) else "",
            f"{found.p:.2g} {_SHORT.get(found.test, '')}" if not isnan(found.p) else "",
            f"{found.n_baseline}/{found.n_candidate}{' pairs' if found.paired else ''}"
            if found.n_baseline
            else "",
            Text(found.reason),
        )
    out = console or _console()
    out.print(table)
    if any(one.verdict.test for one in judged):
        out.print(
            "ratio: candidate / baseline, with its 95 % interval, or the range of fewer than 6 "
            "pairs. MW: exact Mann-Whitney test; SR: exact signed-rank test of the pairs (the "
            "smaller of both, doubled). Noise floor: what the baseline differs from itself by; "
            "between sessions, what sessions differ by.",
            soft_wrap=True,
        )


def print_trends(trends: Sequence[Trend], metric: Metric, console: Console | None = None) -> None:
    """The series of one metric: a line each, and the steps found in them."""
    from rich.text import Text

    out = console or _console()
    table = _table(
        [f"{metric.title}{f' ({metric.unit})' if metric.unit else ''}", "machine"],
        ["runs", "points", "first", "last", "lowest", "highest"],
    )
    table.add_column("", no_wrap=True)
    table.add_column("last commit", no_wrap=True)
    table.add_column("versions")
    for trend in trends:
        values = [point.value for point in trend.points]
        table.add_row(
            Text(trend.series.label),
            trend.series.machine_id[:8],
            str(sum(len(point.rows) for point in trend.points)),
            str(len(values)),
            *(f"{value:.4g}" for value in (values[0], values[-1], min(values), max(values))),
            sparkline(values),
            trend.points[-1].commit,
            trend.points[-1].version,
        )
    out.print(table)
    for trend in trends:
        for step in trend.steps:
            worse = (step.found.ratio > 1) != metric.larger_is_better
            point = trend.points[step.found.index]
            out.print(
                Text.assemble(
                    (f"{'worse' if worse else 'better'}: ", "red" if worse else "green"),
                    f"{trend.series.label}, {metric.title} {step.found.before:.4g} -> "
                    f"{step.found.after:.4g} {metric.unit} ({step.found.ratio - 1:+.1%}; drift "
                    f"floor {step.found.floor:.1%}), first run {step.execution} "
                    f"of {point.started_at:%Y-%m-%d %H:%M}; "
                    f"changed there: {', '.join(step.changed) or 'neither commit nor versions'}",
                ),
                soft_wrap=True,
            )


def print_levels(levels: Sequence[Level], metric: Metric, console: Console | None = None) -> None:
    """One metric by framework version."""
    from rich.text import Text

    table = _table(["cell", "machine", "versions"], [f"{metric.title}", "interval", "runs"])
    for level in levels:
        table.add_row(
            Text(level.series.label),
            level.series.machine_id[:8],
            level.version,
            _value(level.interval.value, metric),
            level.interval.words(),
            str(level.runs),
        )
    (console or _console()).print(table)


def sparkline(values: Sequence[float], width: int = _SPARK) -> str:
    """A series as blocks from its lowest to its highest value, the last `width` points of it."""
    shown = list(values)[-width:]
    low, high = min(shown), max(shown)
    if high == low:
        return _BLOCKS[3] * len(shown)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round((value - low) / (high - low) * top)] for value in shown)


_SHORT = {"Mann-Whitney": "MW", "signed rank": "SR"}


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _LOG_WIDTH, highlight=False)


def _value(value: float, metric: Metric) -> str:
    return "" if isnan(value) else f"{value:.4g} {metric.unit}".rstrip()


def _number(value: float, form: str) -> str:
    return "" if isnan(value) else format(value, form)
