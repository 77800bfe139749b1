"""The command line of benchmarks.track."""

from __future__ import annotations

import argparse
from pathlib import Path

from results import cli
from results.cli import natural, output, output_directory, positive, share
from results.forms import add_forms

METRICS = (
    "epoch-time",
    "images-per-second",
    "compile-time",
    "peak-memory",
    "accuracy",
    "call-time",
)
TO_OUTPUT = Path("-")  # of --json without a file
GATED = ("epoch-time", "call-time")
DIRECTORIES = ("asv", "tensorboard", "mlflow", "wandb")  # formats that are one
FORMATS = ("github", "bencher", *DIRECTORIES)
PROCESSES = 12  # of the selftest's table: see `python -m benchmarks.track selftest`

_EPILOG = """\
SELECTION is a baseline's name, `latest` (the last session), a commit or session by its first
letters, or FIELD=VALUE[,FIELD=VALUE...], as in framework=torch,commit=1a2b3c.

exit status of compare and gate: 0 unchanged or improved, 1 regressed, 2 bad input, 3 no data,
4 a run failed

examples:
  python -m benchmarks.track history --metric epoch-time compile-time --figure report-out
  python -m benchmarks.track baseline set main
  python -m benchmarks.track gate --baseline main
  python -m benchmarks.track compare framework=torch framework=torch@2.12 --across framework
  git worktree add ../before v1.0
  python -m benchmarks.track gate --baseline-checkout ../before --candidate-checkout . \\
      -- --frameworks torch --architectures c2
"""


def parser() -> argparse.ArgumentParser:
    """The command line; `command` is the subcommand's name."""
    made = cli.parser(
        "benchmarks.track", "Did training get slower, and is that real?", epilog=_EPILOG
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, text: str, to: argparse._SubParsersAction | None = None, prefix: str = ""
    ) -> argparse.ArgumentParser:
        added = (to or commands).add_parser(name, help=text, description=text)
        added.set_defaults(command=f"{prefix}{name}")
        cli.add_store(added)
        return added

    history = command("history", "Print and draw the series of every cell, and the steps in them.")
    _add_metric(history, ("epoch-time", "call-time"))
    history.add_argument("--select", metavar="SELECTION", help="only these runs (default: all)")
    history.add_argument(
        "--by", choices=("commit", "version"), default="commit", help="default: %(default)s"
    )
    history.add_argument(
        "--figure",
        type=output_directory,
        nargs="?",
        const=Path("report-out"),
        default=Path("report-out"),
        metavar="DIR",
        help="where the figures go (default: %(default)s)",
    )
    add_forms(history)
    history.add_argument(
        "--no-figure", dest="figure", action="store_const", const=None, help="print only"
    )
    history.add_argument(
        "--minimum-segment",
        type=positive,
        default=6,
        metavar="POINTS",
        help="points that a level has to last, at least 4 (default: %(default)s)",
    )
    history.add_argument(
        "--minimum-size",
        type=float,
        default=0.03,
        metavar="SHARE",
        help="relative size of a step from which it is reported (default: %(default)s)",
    )

    baseline = commands.add_parser("baseline", help="Keep runs under a name, or list the names.")
    named = baseline.add_subparsers(required=True, metavar="set|list")
    set_ = command("set", "Keep the finished runs of a selection under a name.", named, "baseline ")
    set_.add_argument("name", metavar="NAME")
    set_.add_argument("selection", nargs="?", default="latest", metavar="SELECTION")
    command("list", "List the baselines of the store.", named, "baseline ")

    compare = command("compare", "A verdict for every cell of two selections.")
    compare.add_argument("baseline", metavar="BASELINE")
    compare.add_argument("candidate", metavar="CANDIDATE")
    _add_judging(compare)

    gate = command("gate", "The verdict as an exit status: stored runs, or runs made on the spot.")
    gate.add_argument(
        "--baseline",
        metavar="SELECTION",
        help="stored runs; of another session they say something from 30 sessions in the store on",
    )
    gate.add_argument(
        "--candidate", default="latest", metavar="SELECTION", help="default: %(default)s"
    )
    _add_judging(gate)
    spot = gate.add_argument_group("run both on the spot, interleaved")
    spot.add_argument("--baseline-checkout", type=Path, metavar="DIR")
    spot.add_argument("--candidate-checkout", type=Path, metavar="DIR", help="default: this one")
    spot.add_argument("--baseline-python", metavar="PATH", help="default: this interpreter")
    spot.add_argument("--candidate-python", metavar="PATH")
    spot.add_argument(
        "--processes",
        type=positive,
        default=PROCESSES,
        metavar="N",
        help="runs of each side, at most: it ends as soon as every verdict is sure "
        "(default: %(default)s)",
    )
    spot.add_argument(
        "--all-processes",
        action="store_true",
        help="make all the runs, and judge once, after the last",
    )
    spot.add_argument(
        "run", nargs="*", metavar="-- RUN-OPTION", help="options of benchmarks.run: what to run"
    )

    importing = command("import", "Take pytest-benchmark's JSON files into the history.")
    importing.add_argument("file", nargs="+", type=Path, metavar="FILE.json")

    export = command("export", "Write a selection for other people's tools.")
    export.add_argument("--format", choices=FORMATS, required=True)
    export.add_argument("--select", default="latest", metavar="SELECTION")
    export.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help=f"a file; of {' '.join(DIRECTORIES)} a directory",
    )
    _add_metric(export, GATED)

    selftest = command("selftest", "How often it cries wolf, and how often it sleeps.")
    _add_judging(selftest)
    selftest.add_argument(
        "--simulate",
        type=natural,
        default=0,
        metavar="N",
        help="so many simulated comparisons each",
    )
    selftest.add_argument(
        "--real", type=natural, default=0, metavar="N", help="so many real ones each: hours"
    )
    selftest.add_argument(
        "--keep",
        type=output,
        metavar="FILE.jsonl",
        help="of --real: add each comparison to this file, and do not repeat those it holds",
    )
    selftest.add_argument(
        "--processes",
        type=positive,
        default=PROCESSES,
        metavar="N",
        help="default: %(default)s",
    )
    selftest.add_argument(
        "--noise",
        metavar="SELECTION",
        help="of --simulate: take the noise from these runs of the store; or all: every kind of "
        "noise there may be, and the worst of each",
    )
    selftest.add_argument(
        "--drift",
        type=share,
        metavar="SHARE",
        help="of --simulate: the machine's level moves by so much from one process to the next "
        "(default: that of the noise)",
    )
    selftest.add_argument(
        "--rows",
        type=natural,
        default=0,
        metavar="N",
        help="instead: time a store of so many runs",
    )
    selftest.add_argument("run", nargs="*", metavar="-- RUN-OPTION", help="of --real: what to run")
    return made


def _add_metric(to: argparse.ArgumentParser, default: tuple[str, ...]) -> None:
    to.add_argument(
        "--metric",
        nargs="+",
        default=list(default),
        metavar="NAME",
        help=f"{', '.join(METRICS)} (default: {' '.join(default)})",
    )


def _add_judging(to: argparse.ArgumentParser) -> None:
    _add_metric(to, GATED)
    to.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="METRIC=RELATIVE[,ABSOLUTE]",
        help="what counts as a change, as in epoch-time=5%% or peak-memory=3%%,16",
    )
    to.add_argument(
        "--json",
        type=output,
        nargs="?",
        const=TO_OUTPUT,
        metavar="FILE",
        help="the verdicts as JSON, for programs: in a file as well, or alone on standard output",
    )
    to.add_argument(
        "--csv", action="store_true", help="the verdicts as CSV, alone on standard output"
    )
    to.add_argument(
        "--across",
        nargs="+",
        default=[],
        metavar="FIELD",
        help="compare although these differ: machine data spec parity tuning precision device "
        "threads framework",
    )
