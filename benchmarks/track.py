# PYTHON_ARGCOMPLETE_OK
"""`python -m benchmarks.track`: did training get slower, and is that real?

Exit status of `compare` and `gate`: 0 unchanged or improved, 1 regressed, 3 no data, 4 a run
failed; 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import IO, TYPE_CHECKING

from benchmarks.tracking.options import parser
from results import cli
from results.forms import data_alone, write_rows
from results.output import say
from results.words import count

if TYPE_CHECKING:
    from benchmarks.tracking.history import History
    from benchmarks.tracking.metrics import Metric
    from results.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args(arguments)
    commands = {
        "history": _history,
        "baseline set": _baseline_set,
        "baseline list": _baseline_list,
        "compare": _compare,
        "gate": _gate,
        "import": _import,
        "export": _export,
        "selftest": _selftest,
    }
    return cli.run(partial(commands[options.command], options))


def _history(options: argparse.Namespace) -> int:
    with data_alone(options.form) as out:
        return _series(options, out)


def _series(options: argparse.Namespace, out: IO[str]) -> int:
    from benchmarks.tracking.console import levels_table, print_levels, print_trends, trends_table
    from benchmarks.tracking.levels import by_version
    from benchmarks.tracking.selection import select
    from benchmarks.tracking.trend import trends

    store, history = _open(options)
    rows = select(history, options.select, store) if options.select else None
    shown = 0
    tables = []
    for metric in _metrics(options):
        if options.by == "version":
            levels = by_version(history, metric, rows)
            shown += len(levels)
            tables.append(levels_table(levels, metric))
            if levels and not options.form:
                print_levels(levels, metric)
            continue
        found = trends(
            history,
            metric,
            rows,
            minimum_segment=options.minimum_segment,
            minimum_size=options.minimum_size,
        )
        shown += len(found)
        tables.append(trends_table(found, metric))
        if found and not options.form:
            print_trends(found, metric)
        if found and options.figure is not None:
            from frameworks.backend import without_version
            from report.history import Series, draw

            series = [
                Series(
                    trend.series.label,
                    without_version(trend.series.framework),
                    trend.series.machine_id,
                    [point.value for point in trend.points],
                    [point.commit for point in trend.points],
                    [(step.found.index, step.found.ratio) for step in trend.steps],
                )
                for trend in found
            ]
            name = f"history-{metric.name}"
            path = draw(series, name, metric.title, metric.unit, options.figure)
            say(f"figure: {path}")
    if not shown:
        what = options.select or options.store
        raise ValueError(f"no finished run of {what} has the metric {', '.join(options.metric)}")
    if options.form:
        write_rows(tables, options.form, out)
    return 0


def _baseline_set(options: argparse.Namespace) -> int:
    from benchmarks.tracking.selection import set_baseline

    store, history = _open(options)
    path, number = set_baseline(history, store, options.name, options.selection)
    say(f"baseline '{options.name}': {count(number, 'run')} of {options.selection}, in {path}")
    return 0


def _baseline_list(options: argparse.Namespace) -> int:
    from benchmarks.tracking.selection import baselines
    from results.store import Store

    for name in baselines(Store(options.store)):
        say(name)
    return 0


def _compare(options: argparse.Namespace) -> int:
    return _judge(options, options.baseline, options.candidate)


def _gate(options: argparse.Namespace) -> int:
    from benchmarks.tracking import gate

    if gate.asked(options):
        with data_alone(_form(options)) as out:
            return gate.gate(options, _metrics(options), out)
    if options.baseline is None:
        raise ValueError(
            "gate needs --baseline NAME, or something to run on the spot: --candidate-checkout DIR "
            "or --candidate-python PATH"
        )
    return _judge(options, options.baseline, options.candidate)


def _judge(options: argparse.Namespace, baseline: str, candidate: str) -> int:
    from benchmarks.tracking.compare import compare, exit_status
    from benchmarks.tracking.console import tell_verdicts
    from benchmarks.tracking.identity import check_across
    from benchmarks.tracking.selection import select

    check_across(options.across)
    metrics = _metrics(options)
    store, history = _open(options)
    rows = [select(history, text, store) for text in (baseline, candidate)]
    with data_alone(_form(options)) as out:
        sizes = " with ".join(count(len(one), "stored run") for one in rows)
        say(f"comparing {sizes}; nothing is run", flush=True)
        judged = compare(history, rows[0], rows[1], metrics, store, across=options.across)
        tell_verdicts(judged, options, out)
    return exit_status(judged)


def _form(options: argparse.Namespace) -> str:
    """The form, "json" or "csv", that alone goes to standard output; "" for none."""
    from benchmarks.tracking.options import TO_OUTPUT

    return "json" if options.json == TO_OUTPUT else "csv" if options.csv else ""


def _import(options: argparse.Namespace) -> int:
    from benchmarks.tracking.exchange.pytest_benchmark import import_file
    from results.store import Store

    for path in options.file:
        new, known = import_file(path, Store(options.store))
        say(f"{path}: {count(new, 'benchmark')} imported, {known} were there already")
    return 0


def _export(options: argparse.Namespace) -> int:
    from benchmarks.tracking.exchange.exports import export
    from benchmarks.tracking.selection import select

    store, history = _open(options)
    rows = select(history, options.select, store)
    written = export(options.format, history, rows, _metrics(options), store, options.output)
    if options.output is not None:
        say(f"{written} written to {options.output}", error=True)
    return 0


def _selftest(options: argparse.Namespace) -> int:
    if options.rows:
        from benchmarks.tracking.selftest.scale import measure

        return measure(options.rows)
    from benchmarks.tracking.selftest.simulated import selftest

    return selftest(options, _metrics(options))


def _open(options: argparse.Namespace) -> tuple[Store, History]:
    from benchmarks.tracking.history import History
    from results.store import MANY_FILES, Store

    store = Store(options.store)
    if len(store.files()) > MANY_FILES:
        say("hint: python -m results compact makes this quicker", error=True)
    return store, History.read(store)


def _metrics(options: argparse.Namespace) -> list[Metric]:
    from benchmarks.tracking.metrics import asked

    return asked(options.metric, getattr(options, "threshold", None) or ())


if __name__ == "__main__":
    sys.exit(main())
