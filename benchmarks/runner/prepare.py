"""All that comes before the first run: checks, cheap ones first, then the data and the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from benchmarks.config.matrix import matrix
from benchmarks.config.plan import PartOf, PlannedRun
from benchmarks.config.request import Asked
from benchmarks.config.suite import Suite
from benchmarks.data.cache import OneView
from benchmarks.data.staging import Galaxies
from benchmarks.process import device
from benchmarks.process.failures import message
from benchmarks.process.slowdown import VARIABLE, injected
from benchmarks.runner import interpreters
from benchmarks.runner.context import Session, describe_session
from benchmarks.runner.estimate import Estimator
from benchmarks.system import machine
from frameworks.spec.architecture import load
from frameworks.spec.reading import SpecificationError

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
    pythons = interpreters.parse(python, suite.frameworks)
    interpreters.check(suite.frameworks, pythons)
    missing = interpreters.missing(name for name in suite.frameworks if name not in pythons)
    if missing and (named or len(missing) == len(set(suite.frameworks))):
        raise interpreters.InterpreterError(interpreters.how_to_install(missing))
    threads = _threads(suite.threads)
    if not dry_run:
        store.check_writable()
    installed = [name for name in suite.frameworks if name not in missing]
    gpus = machine.gpus()
    devices, notes = device.resolve(suite.device, installed, gpus=gpus, interpreters=pythons)
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
        missing={name: interpreters.how_to_install({name: missing[name]}) for name in missing},
        interpreters=pythons,
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


def _threads(asked: int) -> int:
    usable = len(machine.usable_cpus())
    if asked > usable:
        raise ValueError(f"--threads {asked}: this process may use {usable} CPUs; ask for fewer.")
    return asked or usable


class UnservedError(ValueError):
    """Experiments that cannot be run as asked; the message names each with the reason."""


def prepare_each(asked: Sequence[Asked], prepare: Callable[..., Prepared]) -> list[Prepared]:
    """Prepare all before any runs, so that bad input is told before hours are spent.

    Args:
        prepare: `prepare.prepare` with all but suite, part_of and before.

    Raises:
        ValueError, OSError: of a suite that is no experiment, as it is.
        UnservedError: which experiments cannot be run, and why, each reason once.
    """
    prepared: list[Prepared] = []
    refused: dict[str, list[str]] = {}
    absent: dict[str, str] = {}  # data sets that could not be read, with the reason
    for one in asked:
        dataset = one.suite.dataset
        if one.part_of and dataset in absent:
            refused[absent[dataset]].append(one.part_of.name)
            continue
        try:
            before = prepared[-1] if prepared else None
            prepared.append(prepare(one.suite, part_of=one.part_of, before=before))
        except (ValueError, OSError) as error:
            if one.part_of is None:
                raise
            reason = message(error).rstrip(".") + "." + _remedy(one, error)
            refused.setdefault(reason, []).append(one.part_of.name)
            if isinstance(error, OSError):  # a download that fails is not tried thirty times
                absent[dataset] = reason
    if refused:
        raise UnservedError(
            "\n".join(f"{_named(names)}: {reason}" for reason, names in refused.items())
        )
    return prepared


def _named(names: list[str]) -> str:
    if len(names) <= 4:
        return ("experiment " if len(names) == 1 else "experiments ") + ", ".join(names)
    return f"experiments {', '.join(names[:3])} and {len(names) - 3} more"


def _remedy(one: Asked, error: Exception) -> str:
    """What would serve, where the message of the error cannot know it."""
    if one.part_of is None or isinstance(error, SpecificationError):
        return ""
    declared = one.part_of.declared
    serves = []
    if one.suite.dataset != declared["dataset"] and not declared["changed"]:
        serves.append(f"{declared['dataset']}, its own galaxies")
    if one.part_of.scale < 1 and not isinstance(error, OSError):
        serves.append(f"a scale above {one.part_of.scale:g}")
    return f" What serves: {'; or '.join(serves)}." if serves else ""
