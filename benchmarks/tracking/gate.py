"""Baseline and candidate run here and now, interleaved, so that the machine's moods hit both.

Every run is a harness of its own in a process of its own: `python -m benchmarks.run` of that side's
checkout, by that side's interpreter. Blocks go A B, B A, A B, ...; in a block both are there at
once, and train an epoch each in turn. A framework whose every cell is decided is not run further.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from benchmarks.config.options import parser, requested
from benchmarks.process.alternate import Process, alternate
from benchmarks.process.spawn import Child
from benchmarks.system import machine
from benchmarks.tracking.metrics import Metric
from results.output import say
from results.words import count
from results.writer import scratch_directory

if TYPE_CHECKING:
    from results.store import Store

_FORBIDDEN = ("resume", "dry_run")
HARNESS_SECONDS = 4.0  # of a block, to start both harnesses and read the galaxies
_RAN = (0, 1)  # statuses of the main command after which rows were stored


@dataclass(frozen=True)
class Side:
    """One side of a gate on the spot: code, interpreter, and additions to its environment."""

    name: str
    checkout: Path = machine.ROOT
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)


def asked(options: argparse.Namespace) -> bool:
    """True if the options of `gate` name something to run."""
    return any(
        (
            options.baseline_checkout,
            options.candidate_checkout,
            options.baseline_python,
            options.candidate_python,
        )
    )


def gate(options: argparse.Namespace, metrics: Sequence[Metric], out: IO[str]) -> int:
    """Run both sides, keep every run in the store, print the verdicts; returns the exit status.

    Args:
        out: standard output, for the data that --csv and --json ask for.

    Raises:
        ValueError: no checkout or interpreter of that name, or run options that cannot be run.
        StoreError: the store cannot be written.
    """
    from benchmarks.tracking.compare import exit_status
    from benchmarks.tracking.console import tell_verdicts
    from benchmarks.tracking.identity import check_across
    from benchmarks.tracking.sequential import Sequential
    from results.stats.looks import looks
    from results.store import Store

    check_across(options.across)
    if options.baseline is not None:
        raise ValueError("--baseline NAME is of stored runs; leave it out to run on the spot")
    sides = (
        _side("baseline", options.baseline_checkout, options.baseline_python),
        _side("candidate", options.candidate_checkout, options.candidate_python),
    )
    store = Store(options.store)
    store.check_writable()
    with scratch_directory() as scratch:
        stores = tuple(Store(scratch / side.name) for side in sides)
        say(announced(options.run, options.processes, store), flush=True)
        verdicts = Sequential(
            stores,
            scratch / "both",
            metrics,
            () if options.all_processes else looks(options.processes),
            options.processes,
            options.across,
        )
        try:
            interleave(
                sides, stores, options.run, options.processes, print, decided=verdicts.decided
            )
        finally:
            for one in stores:
                if one.path.is_dir():
                    store.merge(one)
    judged = verdicts.judged
    tell_verdicts(judged, options, out)
    return exit_status(judged)


def announced(run_options: Sequence[str], processes: int, store: Store) -> str:
    """One line: the runs that a gate on the spot will make, and the time that they will take.

    The galaxies are prepared once here to estimate the time. Where only a side's own interpreter
    can prepare them, the line gives no time.
    """
    from benchmarks.config.request import Asked
    from benchmarks.data.cache import OneView
    from benchmarks.runner.prepare import Preparing
    from benchmarks.runner.progress import clock

    options = parser().parse_args(list(run_options))
    suite = requested(options)
    told = (
        f"gate: at most {count(processes, 'process')} of {', '.join(suite.frameworks)} on each "
        "of two sides"
    )
    try:
        with scratch_directory() as scratch:
            preparing = Preparing(store, OneView(scratch, None), dry_run=True)
            prepared = preparing.prepare(Asked(suite))
    except (ValueError, OSError):  # told by the side that meets it
        return told
    once = sum(prepared.estimator.estimate(run).seconds for run in prepared.runs if not run.skip)
    once += HARNESS_SECONDS * len(suite.frameworks)
    return f"{told}, two at a time in turns: about {clock(2 * processes * once)} for all"


def interleave(
    sides: Sequence[Side],
    stores: Sequence,
    run_options: Sequence[str],
    processes: int,
    report: Callable[[str], None] = lambda line: None,
    decided: Callable[[str, int], bool] = lambda framework, blocks: False,
) -> None:
    """Run every framework so many times on all sides, in turns, each side into its store.

    Args:
        sides, stores: baseline and candidate, or more; every other block goes backwards.
        run_options: of `benchmarks.run`; its frameworks are run one after another.
        processes: runs of each side and framework.
        report: called with a line for each run of a block that is done.
        decided: called with a framework and the number of its blocks when one is done; if it
            returns True, the framework is not run again.

    Raises:
        ValueError: what is asked for cannot be run; the message is the harness's own.
    """
    if processes < 1:
        raise ValueError(f"--processes {processes}: at least 1")
    options = parser().parse_args(list(run_options))
    for name in _FORBIDDEN:
        if getattr(options, name):
            raise ValueError(f"--{name.replace('_', '-')} makes no sense in a run on the spot")
    from benchmarks.runner.progress import clock

    left = dict.fromkeys(requested(options).frameworks, processes)  # blocks of each
    common = _without_interpreters(run_options)
    began, done = time.monotonic(), 0
    for block in range(1, processes + 1):
        for framework in [name for name in left if left[name]]:
            own = [text for text in options.python if text.partition("=")[0] == framework]
            chosen = [*common, "--frameworks", framework]
            chosen += [word for text in own for word in ("--python", text)]
            order = list(range(len(sides)))[:: 1 if block % 2 else -1]
            for which, seconds in _block(sides, stores, chosen, order).items():
                report(
                    f"block {block}/{processes} {framework} {sides[which].name}: {seconds:.1f} s"
                )
            done += 1
            left[framework] -= 1
            if decided(framework, block) and left[framework]:
                left[framework] = 0
                report(f"{framework} is decided after {block} of {count(processes, 'pair')}")
            if coming := sum(left.values()):
                report(f"about {clock((time.monotonic() - began) / done * coming)} left")


def _block(
    sides: Sequence[Side], stores: Sequence, run_options: Sequence[str], order: Sequence[int]
) -> dict[int, float]:
    """A run of every side, in turns: its rows are in its store afterwards. Seconds of each."""
    processes = {which: _process(sides[which], run_options, stores[which].path) for which in order}
    try:
        alternate(list(processes.values()))
        for which, process in processes.items():
            if process.child.status not in _RAN:
                lines = process.child.log.splitlines()
                errors = [line for line in lines if line.startswith("error: ")]
                said = errors[0] if errors else process.child.failure()
                raise ValueError(
                    f"the {sides[which].name} did not run: {said.removeprefix('error: ')}"
                )
        return {which: process.seconds for which, process in processes.items()}
    finally:
        for process in processes.values():
            process.close()


def _without_interpreters(run_options: Sequence[str]) -> list[str]:
    """The options but for `--python NAME=PATH`, which the harness takes of what it runs alone."""
    kept: list[str] = []
    words = iter(run_options)
    for word in words:
        if word == "--python":
            next(words, None)
        elif not word.startswith("--python="):
            kept.append(word)
    return kept


def _process(side: Side, run_options: Sequence[str], store: Path) -> Process:
    """One harness, not yet started."""
    path = [str(side.checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONSAFEPATH": "1",  # the working directory may be another checkout
        **side.environment,
    }
    arguments = [*run_options, "--processes", "1", "--store", str(store), "--no-report"]
    return Process(partial(Child, "benchmarks.run", arguments, python=side.python), variables)


def _side(name: str, checkout: Path | None, python: str | None) -> Side:
    directory = machine.ROOT if checkout is None else checkout.absolute()
    if not (directory / "benchmarks" / "run.py").is_file():
        raise ValueError(
            f"--{name}-checkout {checkout}: no benchmarks/run.py there; expected a checkout of "
            "this project, as made by: git worktree add DIR COMMIT"
        )
    if python is not None and not os.access(python, os.X_OK):
        raise ValueError(f"--{name}-python {python}: no such interpreter")
    # not resolved: a virtual environment's python is a link
    return Side(name, directory, os.path.abspath(python) if python else sys.executable)
