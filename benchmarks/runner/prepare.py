"""All that comes before the first run: checks, cheap ones first, then the data and the plan."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from benchmarks.config.matrix import matrix
from benchmarks.config.plan import PartOf, PlannedRun
from benchmarks.config.suite import Suite
from benchmarks.data.cache import OneView
from benchmarks.data.staging import Galaxies
from benchmarks.process import device
from benchmarks.process.slowdown import VARIABLE, injected
from benchmarks.runner.estimate import Estimator
from benchmarks.runner.interpreters import check as check_interpreters
from benchmarks.runner.interpreters import parse as parse_interpreters
from benchmarks.runner.progress import clock
from benchmarks.runner.row import Session
from benchmarks.runner.session import describe_session
from benchmarks.system import machine
from frameworks.backend import framework
from frameworks.spec.architecture import load

if TYPE_CHECKING:
    from results.store import Store


@dataclass(frozen=True)
class Prepared:
    """What a session needs of one suite.

    `done` are runs that `--resume` leaves out; `notes` are to be told. The galaxies are on disk
    until the next suite's are (`OneView`).
    """

    suite: Suite
    runs: list[PlannedRun]
    done: list[PlannedRun]
    galaxies: Galaxies
    session: Session
    estimator: Estimator
    notes: list[str]


def prepare(
    suite: Suite,
    *,
    store: Store,
    views: OneView,
    named: bool,
    resume: bool,
    dry_run: bool,
    python: Sequence[str] = (),
    part_of: PartOf | None = None,
    before: Prepared | None = None,
) -> Prepared:
    """Check what is asked for, stage the galaxies, and plan the runs.

    Args:
        views: stages the galaxies; of several suites, one after another.
        named: the frameworks were named by the user, not by the suite: all must be installed.
        resume: leave out what the store holds of this machine with status ok.
        dry_run: write nothing to the store.
        python: `NAME=PATH`, interpreters of frameworks that do not run in this one.
        part_of: the experiment that the suite is.
        before: another suite of the same session.

    Raises:
        ValueError, OSError: what is asked for cannot be run; the message says what to do.
    """
    for name in suite.architectures:
        load(name)
    interpreters = parse_interpreters(python, suite.frameworks)
    check_interpreters(suite.frameworks, interpreters)
    missing = missing_frameworks(name for name in suite.frameworks if name not in interpreters)
    if missing and (named or len(missing) == len(set(suite.frameworks))):
        raise ModuleError(_how_to_install(missing))
    threads = _threads(suite.threads)
    if not dry_run:
        store.check_writable()
    installed = [name for name in suite.frameworks if name not in missing]
    gpus = machine.gpus()
    devices, notes = device.resolve(suite.device, installed, gpus=gpus, interpreters=interpreters)
    if share := injected():
        notes.append(f"{VARIABLE} is set: every epoch takes {share:.0%} longer, on purpose")
    device.check_precision(suite.precision, devices, gpus)

    galaxies = views.galaxies(suite)
    if part_of and part_of.scale < 1:
        suite = _batches_that_fit(suite, galaxies.sizes.train)
    runs = matrix(
        suite,
        galaxies.view,
        galaxies.sizes,
        devices=devices,
        threads=threads,
        missing={name: _how_to_install({name: missing[name]}) for name in missing},
        interpreters=interpreters,
        train_counts={name: counts[0] for name, counts in galaxies.counts.items()},
    )
    session = before.session if before else describe_session()
    estimator = before.estimator if before else Estimator.from_store(store, session.machine_id)
    finished = finished_runs(store, session.machine_id, part_of) if resume else set()
    runs = [replace(run, part_of=part_of) for run in runs]
    return Prepared(
        suite=suite,
        runs=[run for run in runs if run.run_id not in finished],
        done=[run for run in runs if run.run_id in finished],
        galaxies=galaxies,
        session=session,
        estimator=estimator,
        notes=notes,
    )


def finished_runs(store: Store, machine_id: str, part_of: PartOf | None) -> set[str]:
    """The run_ids that this machine has finished; of an experiment, those that bear its name.

    A run of the same configuration under no name does not carry what was reported.
    """
    if part_of is None:
        return store.finished(machine_id)
    runs = store.runs(columns=("run_id", "machine_id", "status", "experiment", "scale"))
    mine = (runs["machine_id"] == machine_id) & (runs["status"] == "ok")
    same = (runs["experiment"] == part_of.name) & (runs["scale"] == part_of.scale)
    return set(runs.loc[mine & same, "run_id"])


def _batches_that_fit(suite: Suite, images: int) -> Suite:
    """Of a scaled experiment: a batch larger than what is left to train on is all of it."""
    sizes = tuple(dict.fromkeys(min(size, images) for size in suite.batch_size))
    return msgspec.structs.replace(suite, batch_size=sizes)


class ModuleError(ValueError):
    """A framework is not installed; the message says how to install it."""


def missing_frameworks(names: Iterable[str]) -> dict[str, list[str]]:
    """The frameworks that are not installed, each with the distributions it lacks.

    Raises:
        SpecificationError: an unknown framework.
    """
    lacking = {name: framework(name).missing_packages() for name in names}
    return {name: packages for name, packages in lacking.items() if packages}


def _how_to_install(missing: dict[str, list[str]]) -> str:
    lacking = "; ".join(f"{name} needs {', '.join(missing[name])}" for name in missing)
    packages = dict.fromkeys(package for packages in missing.values() for package in packages)
    return (
        f"not installed: {lacking}. Install with: "
        f"python -m pip install -c constraints.txt {' '.join(packages)}"
    )


def _threads(asked: int) -> int:
    usable = len(machine.usable_cpus())
    if asked > usable:
        raise ValueError(f"--threads {asked}: this process may use {usable} CPUs; ask for fewer.")
    return asked or usable


def announce(prepared: Sequence[Prepared]) -> None:
    """Print what is run on what: the galaxies by class and part, the machine, what is left out.

    Of several suites the galaxies are not told class by class.
    """
    first = prepared[0]
    if len(prepared) == 1:
        _announce_galaxies(first.galaxies)
    description = first.session.machine
    gpus = "".join(f", {gpu['name']}" for gpu in description["gpus"])
    print(f"{description['cpu']}, {description['cpus']} CPUs{gpus}")
    for note in dict.fromkeys(note for one in prepared for note in one.notes):
        print(note)
    for run in (run for one in prepared for run in one.done):
        print(f"already in the store: {run.label()}")


def _announce_galaxies(galaxies: Galaxies) -> None:
    view = galaxies.view
    print(
        f"{view.dataset}: {sum(galaxies.class_counts):,} galaxies of "
        f"{view.height}x{view.width}x{view.image_channels}, {view.classes} classes "
        f"({view.labels} labels). {galaxies.source}"
    )
    sizes = galaxies.sizes
    rows: list[Sequence[object]] = [(name, *counts) for name, counts in galaxies.counts.items()]
    rows.append(("all", sizes.train, sizes.validation, sizes.test))
    _print_table(["class", "train", "validation", "test"], rows)
    for note in galaxies.notes:
        print(note)


def print_plan(prepared: Sequence[Prepared]) -> None:
    """Print each matrix with what each run amounts to, and an estimate of the time."""
    number = sum(len(one.runs) for one in prepared)
    seconds = 0.0
    for one in prepared:
        part_of = next((run.part_of for run in one.runs), None)
        if part_of:
            print(part_of.label())
        own = _print_matrix(one)
        seconds += own
        if len(prepared) > 1:
            print(f"{len(one.runs)} runs, about {clock(own)}\n")
    print(f"{number} runs, about {clock(seconds)} in all")


def _print_matrix(prepared: Prepared) -> float:
    """Print the runs of one suite; returns the estimated seconds of all."""
    rows: list[Sequence[object]] = []
    seconds = 0.0
    for run in prepared.runs:
        config = run.config
        estimate = prepared.estimator.estimate(run)
        seconds += 0 if run.skip else estimate.seconds
        rows.append(
            [
                config.framework,
                config.architecture.name,
                f"{run.network.parameters():,}",
                config.parity,
                config.tuning + (", A/A" if config.control else ""),
                config.precision,
                config.device,
                config.seed,
                config.recipe.batch_size,
                config.recipe.epochs,
                f"{run.steps:,}",
                f"{run.flops / 1e12:,.1f}",
                "-" if run.skip else clock(estimate.seconds),
                f"skipped: {run.skip}" if run.skip else estimate.basis,
            ]
        )
    header = ["framework", "architecture", "parameters", "parity", "tuning", "precision"]
    header += ["device", "seed"]
    header += ["batch", "epochs", "steps", "TFLOP", "about", "from"]
    _print_table(header, rows)
    return seconds


def _print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as they need to be; numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    cells = [[str(cell) for cell in row] for row in rows]
    for column, name in enumerate(header):
        numeric = all(row[column][:1].isdigit() for row in cells) and column > 0
        table.add_column(name, justify="right" if numeric else "left")
    for row in cells:
        table.add_row(*row)
    # A log is as wide as it has to be; a terminal is as wide as it is.
    Console(width=None if sys.stdout.isatty() else 180, highlight=False, markup=False).print(table)
