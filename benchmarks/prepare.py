"""All that comes before the first run: checks, cheap ones first, then the data and the plan."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import device, machine, staging
from benchmarks.estimate import Estimator
from benchmarks.interpreters import check as check_interpreters
from benchmarks.interpreters import parse as parse_interpreters
from benchmarks.plan import PlannedRun, matrix
from benchmarks.progress import clock
from benchmarks.row import Session
from benchmarks.session import describe_session
from benchmarks.slowdown import VARIABLE, injected
from benchmarks.staging import Galaxies
from benchmarks.suite import Suite
from frameworks.architecture import load
from frameworks.backend import framework

if TYPE_CHECKING:
    from results.store import Store


@dataclass(frozen=True)
class Prepared:
    """What a session needs. `done` are runs that `--resume` leaves out; `notes` are to be told."""

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
    scratch: Path,
    named: bool,
    resume: bool,
    dry_run: bool,
    python: Sequence[str] = (),
) -> Prepared:
    """Check what is asked for, stage the galaxies, and plan the runs.

    Args:
        named: the frameworks were named by the user, not by the suite: all must be installed.
        resume: leave out what the store holds of this machine with status ok.
        dry_run: write nothing to the store.
        python: `NAME=PATH`, interpreters of frameworks that do not run in this one.

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

    dataset = staging.load(suite)
    galaxies = staging.stage(dataset, suite, scratch / "data")
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
    if not dry_run:
        staging.save_examples(dataset, store)
    session = describe_session()
    finished = store.finished(session.machine_id) if resume else set()
    return Prepared(
        runs=[run for run in runs if run.run_id not in finished],
        done=[run for run in runs if run.run_id in finished],
        galaxies=galaxies,
        session=session,
        estimator=Estimator.from_store(store, session.machine_id),
        notes=notes,
    )


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


def announce(prepared: Prepared) -> None:
    """Print what is run on what: the galaxies by class and part, the machine, what is left out."""
    galaxies, view = prepared.galaxies, prepared.galaxies.view
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
    description = prepared.session.machine
    gpus = "".join(f", {gpu['name']}" for gpu in description["gpus"])
    print(f"{description['cpu']}, {description['cpus']} CPUs{gpus}")
    for note in prepared.notes:
        print(note)
    for run in prepared.done:
        print(f"already in the store: {run.config.label()}")


def print_plan(prepared: Prepared) -> None:
    """Print the matrix with what each run amounts to, and an estimate of the time."""
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
    print(f"{len(rows)} runs, about {clock(seconds)} in all")


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
