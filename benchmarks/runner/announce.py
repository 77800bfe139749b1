"""Announcement before a session's first run: galaxies, machine, matrix, estimate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.config.runconfig import DataView
from benchmarks.data.staging import Galaxies
from benchmarks.runner.progress import clock
from results.output import say
from results.table import Cell, Column, Table, show
from results.words import count

if TYPE_CHECKING:
    from benchmarks.config.request import Asked
    from benchmarks.runner.prepare import Prepared

_CLASSES = 20  # that are told one by one


def announce(prepared: Sequence[Prepared]) -> None:
    """Print what is run on what: the galaxies by class and part, the machine, what is left out.

    Of several suites the galaxies are not told class by class.
    """
    first = prepared[0]
    if len(prepared) == 1:
        _announce_galaxies(first.galaxies)
    description = first.session.machine
    gpus = "".join(f", {gpu['name']}" for gpu in description["gpus"])
    say(f"{description['cpu']}, {description['cpus']} CPUs{gpus}")
    for note in dict.fromkeys(note for one in prepared for note in one.notes):
        say(note)
    for run in (run for one in prepared for run in one.done):
        say(f"already in the store: {run.label()}")


def _votes(view: DataView) -> str:
    return f", {count(view.votes, 'vote')} each" if view.votes else ""


def _announce_galaxies(galaxies: Galaxies) -> None:
    view = galaxies.view
    say(
        f"{view.dataset}: {count(sum(galaxies.class_counts), 'galaxy')} of "
        f"{view.height}x{view.width}x{view.image_channels}, {count(view.classes, 'class')} "
        f"({view.labels} labels){_votes(view)}. {galaxies.source}"
    )
    sizes = galaxies.sizes
    numbers = [Column(name, right=True) for name in ("train", "validation", "test")]
    table = Table([Column("class"), *numbers])
    for name, counts in list(galaxies.counts.items())[:_CLASSES]:
        table.add(name, *map(str, counts))
    if len(galaxies.counts) > _CLASSES:
        table.add(f"and {len(galaxies.counts) - _CLASSES} more", "", "", "")
    table.add("all", *map(str, (sizes.train, sizes.validation, sizes.test)))
    show(table)
    for note in galaxies.notes:
        say(note)


def plan_tables(prepared: Sequence[Prepared]) -> list[Table]:
    """Each matrix: what each run amounts to, with an estimate of its time."""
    return [_matrix(one) for one in prepared]


def time_needed(prepared: Sequence[Prepared]) -> str:
    """One line with the number of runs and their estimated time."""
    checks = any(one.suite.check_parity or one.suite.check_network for one in prepared)
    more = ", checks before the first run and the page apart" if checks else ""
    return f"{_needed(prepared)} in all{more}"


def _needed(prepared: Sequence[Prepared]) -> str:
    number = sum(len(one.runs) for one in prepared)
    seconds = sum(
        one.estimator.estimate(run).seconds for one in prepared for run in one.runs if not run.skip
    )
    return f"{count(number, 'run')}, about {clock(seconds)}"


def _matrix(prepared: Prepared) -> Table:
    """The runs of one suite."""
    part_of = next((run.part_of for run in prepared.runs), None)
    table = Table(_PLAN, title=f"{part_of.label()}: {_needed([prepared])}" if part_of else "")
    for run in prepared.runs:
        config = run.config
        estimate = prepared.estimator.estimate(run)
        table.add(
            config.framework,
            config.architecture.name,
            Cell(f"{run.network.parameters():,}", run.network.parameters()),
            config.parity,
            config.tuning
            + (f", {count(config.replicas, 'replica')}" if config.replicas > 1 else "")
            + (f", {config.side_by_side} side by side" if config.side_by_side > 1 else "")
            + (", A/A" if config.control else ""),
            config.precision,
            config.device,
            Cell(str(config.seed), config.seed),
            Cell(str(config.recipe.batch_size), config.recipe.batch_size),
            Cell(str(config.recipe.epochs), config.recipe.epochs),
            Cell(f"{run.steps:,}", run.steps),
            Cell(f"{run.flops / 1e12:,.1f}", run.flops),
            Cell("-") if run.skip else Cell(clock(estimate.seconds), estimate.seconds),
            f"skipped: {run.skip}" if run.skip else estimate.basis,
        )
    return table


_PLAN = (
    Column("framework"),
    Column("architecture"),
    Column("parameters", rank=4, right=True),
    Column("parity", rank=3),
    Column("tuning", rank=1),
    Column("precision", rank=2),
    Column("device", rank=3),
    Column("seed", right=True),
    Column("batch", rank=2, right=True, key="batch_size"),
    Column("epochs", rank=1, right=True),
    Column("steps", rank=4, right=True),
    Column("TFLOP", rank=4, right=True, key="flops"),
    Column("about", right=True, key="estimated_seconds"),
    Column("from", rank=5, key="estimated_from"),
)


def announce_each(asked: Sequence[Asked], prepared: Sequence[Prepared]) -> None:
    """A line for each experiment: what it is, and on how many galaxies of what."""
    for one, ready in zip(asked, prepared, strict=True):
        view, sizes = ready.galaxies.view, ready.galaxies.sizes
        assert one.part_of is not None
        say(f"{one.part_of.label()}: {one.title}")
        say(
            f"    {view.dataset}: {view.height}x{view.width}x{view.image_channels}, "
            f"{count(view.classes, 'class')} ({view.labels} labels){_votes(view)}; "
            f"{sizes.train:,} train, {sizes.validation:,} validation, {sizes.test:,} test; "
            f"{count(len(ready.runs), 'run')}"
        )
        for name, (was, now) in one.part_of.declared["changed"].items():
            say(f"    not as published: {name} is {_short(now)}, published {_short(was)}")


def _short(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(Path(str(item)).stem if "/" in str(item) else str(item) for item in value)
    return str(value)
