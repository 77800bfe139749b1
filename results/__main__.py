# PYTHON_ARGCOMPLETE_OK
"""python -m results: show, export, merge, compact; columns prints what each column means."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from results import cli
from results.export import FORMATS, PAGE_COLUMNS
from results.forms import add_forms
from results.output import say
from results.store import Store
from results.vocabulary import near_miss
from results.words import count
from results.writer import write

if TYPE_CHECKING:
    import pandas as pd

_FRAMES = tuple(PAGE_COLUMNS)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 after a message that says what is wrong."""
    options = _parser().parse_args(arguments)
    return cli.run(partial(options.command, options))


def _parser() -> cli.Parser:
    parser = cli.parser("results", "The results table.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=run)
        return added

    def add_all(to: argparse.ArgumentParser) -> None:
        to.add_argument(
            "--all",
            action="store_true",
            help="every execution, not only the latest (ok before failed) of each run and machine",
        )

    show = command("show", _show, "Print the runs as a table, or all that is known of one run.")
    show.add_argument("run", nargs="?", help="a run_id or execution_id, or its first letters")
    add_all(show)
    cli.add_store(show)
    add_forms(show)

    export = command("export", _export, "Write a frame as CSV, Parquet, Markdown or LaTeX.")
    export.add_argument("--format", choices=FORMATS, default="csv")
    export.add_argument("--frame", choices=_FRAMES, default="runs")
    export.add_argument(
        "--columns",
        metavar="NAME,NAME",
        help="only these (default: all for CSV and Parquet, the main ones for text)",
    )
    export.add_argument(
        "--output", type=cli.output, metavar="FILE", help="default: standard output"
    )
    add_all(export)
    cli.add_store(export)

    merge = command("merge", _merge, "Take over the runs of other stores.")
    merge.add_argument("other", nargs="+", type=Path, metavar="OTHER")
    cli.add_store(merge)

    cli.add_store(command("compact", _compact, "Pack the store's files into few."))
    command("columns", _columns, "Print what each column means.")
    return parser


def _show(options: argparse.Namespace) -> None:
    from results.console import print_run, run_table, runs_table
    from results.forms import data_alone, write_rows
    from results.parquet import findings
    from results.table import show
    from results.views.answers import answers
    from results.views.console import print_answers
    from results.views.views import Frames, latest

    with data_alone(options.form) as out:
        if options.run is not None:
            run = _one(options)
            if options.form:
                write_rows([run_table(run)], options.form, out)
            else:
                print_run(run)
            return
        runs = _some(_filled(options.store).runs(), options.store)
        table = runs_table(runs if options.all else latest(runs))
        if options.form:
            write_rows([table], options.form, out)
        else:
            print_answers(answers(Frames.of_runs(runs, findings.read(options.store))))
            show(table)


def _some(runs: "pd.DataFrame", path: Path) -> "pd.DataFrame":
    """The runs, of which there must be one: a store may hold damaged files alone."""
    if runs.empty:
        raise ValueError(f"no file of the results store {path} could be read; the warnings say why")
    return runs


def _one(options: argparse.Namespace) -> "pd.Series":
    """The latest execution of the run that the options name."""
    runs = _filled(options.store).runs()
    of_run = runs["run_id"].str.startswith(options.run, na=False)
    found = runs[of_run | runs["execution_id"].str.startswith(options.run, na=False)]
    ids = set(found["run_id"])
    if len(ids) != 1:
        what = count(len(ids), "run") if ids else "no run"
        raise ValueError(f"{what} in {options.store} with an id that starts with {options.run!r}")
    return found.iloc[-1]


def _export(options: argparse.Namespace) -> None:
    from results.export import exported

    frame = _frame(options)
    if options.columns is not None:
        frame = _selected(frame, options.columns.split(","), options.frame)
    elif options.format in ("markdown", "latex"):
        frame = frame[list(PAGE_COLUMNS[options.frame])]
    content = exported(frame, options.format)
    if options.output is not None:
        try:
            write(options.output, content)
        except OSError as error:
            raise OSError(f"cannot write {options.output}: {error.strerror}") from error
        say(
            f"{count(len(frame), 'row')} of {options.frame} written to {options.output}", error=True
        )
    elif options.format == "parquet" and sys.stdout.isatty():
        raise ValueError("Parquet is not text: name a file with --output")
    else:
        sys.stdout.buffer.write(content)


def _frame(options: argparse.Namespace) -> "pd.DataFrame":
    """The runs or what belongs to them; what the fidelity commands found needs no run."""
    from results.parquet import findings

    found = {
        "findings": findings.read,
        "curves": findings.read_curves,
        "attribution": findings.read_trainings,
    }
    if options.frame not in found:
        store = _filled(options.store)
        reads = {"runs": store.runs, "epochs": store.epochs, "predictions": store.predictions}
        return reads[options.frame](latest=not options.all)
    frame = found[options.frame](options.store)
    if frame.empty:
        raise ValueError(
            f"the results store {options.store} has no {options.frame}; run "
            "python -m benchmarks.fidelity first, or name a store with --store"
        )
    return frame


def _selected(frame: "pd.DataFrame", names: list[str], table: str) -> "pd.DataFrame":
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--columns: '{name}' is stated twice")
        if name not in frame.columns:
            hint = near_miss(name, frame.columns)
            raise ValueError(f"{table} has no column '{name}'{hint}; see python -m results columns")
    return frame[names]


def _merge(options: argparse.Namespace) -> None:
    from results.parquet import findings

    store = Store(options.store)
    for other in options.other:
        before = len(findings.files(store.path))
        new = count(store.merge(other), "new execution")
        if climbed := len(findings.files(store.path)) - before:
            new += f" and {count(climbed, 'new file')} of what the ladder found"
        say(f"{new} from {other} in {options.store}")


def _compact(options: argparse.Namespace) -> None:
    store = _filled(options.store)
    packed = store.compact()
    say(f"{count(packed, 'file')} packed; {options.store} now has {len(store.files())}")


def _columns(options: argparse.Namespace) -> None:
    from results import schema
    from results.parquet import findings
    from results.table import Column, Table, show

    tables = {
        "runs": schema.RUN_COLUMNS,
        "runs, computed on reading": schema.DERIVED_COLUMNS,
        "epochs (with execution_id and run_id)": schema.EPOCH_COLUMNS,
        "predictions (with execution_id and run_id)": schema.PREDICTION_COLUMNS,
    }
    rows = {
        title: [(one.name, "JSON" if one.json else one.type, one.meaning) for one in columns]
        for title, columns in tables.items()
    }
    fidelity = {
        "findings of the ladder": findings.COLUMNS,
        "curves of R5c": findings.CURVE_COLUMNS,
        "attribution, a training a row": findings.TRAINING_COLUMNS,
    }
    for title, fields in fidelity.items():
        rows[title] = [(name, str(kind), meaning) for name, (kind, meaning) in fields.items()]
    heads = [Column("column"), Column("type"), Column("meaning", prose=True)]
    for title, cells in rows.items():
        say()
        show(Table(heads, [*cells], title))


def _filled(path: Path) -> Store:
    store = Store(path)
    if not store.files():
        what = "is empty" if path.is_dir() else "is not there"
        raise FileNotFoundError(
            f"the results store {path} {what}; run python -m benchmarks.run first, "
            "or name a store with --store"
        )
    return store


if __name__ == "__main__":
    sys.exit(main())
