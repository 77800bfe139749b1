"""What a session prints before its first run: galaxies, machine, matrix, estimate."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.data.staging import Galaxies
from benchmarks.runner.progress import clock

if TYPE_CHECKING:
    from benchmarks.config.request import Asked
    from benchmarks.runner.prepare import Prepared


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


def announce_each(asked: Sequence[Asked], prepared: Sequence[Prepared]) -> None:
    """A line for each experiment: what it is, and on how many galaxies of what."""
    for one, ready in zip(asked, prepared, strict=True):
        view, sizes = ready.galaxies.view, ready.galaxies.sizes
        assert one.part_of is not None
        print(f"{one.part_of.label()}: {one.title}")
        print(
            f"    {view.dataset}: {view.height}x{view.width}x{view.image_channels}, "
            f"{view.classes} classes ({view.labels} labels); {sizes.train:,} train, "
            f"{sizes.validation:,} validation, {sizes.test:,} test; {len(ready.runs)} runs"
        )
        for name, (was, now) in one.part_of.declared["changed"].items():
            print(f"    not as published: {name} is {_short(now)}, published {_short(was)}")


def _short(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(Path(str(item)).stem if "/" in str(item) else str(item) for item in value)
    return str(value)
