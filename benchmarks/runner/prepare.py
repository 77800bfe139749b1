"""Preparation of the runs asked for: check, load the galaxies, plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.config.matrix import matrix
from benchmarks.config.plan import PartOf, PlannedRun
from benchmarks.config.request import Asked
from benchmarks.config.suite import Suite
from benchmarks.data.cache import OneView
from benchmarks.data.staging import Galaxies
from benchmarks.data.statistics import statistics
from benchmarks.runner.check import Checked, Elsewhere, check
from benchmarks.runner.context import Session, describe_session
from benchmarks.runner.estimate import Estimator
from frameworks.spec import given_weights
from frameworks.spec.reading import SpecificationError
from results import cli

if TYPE_CHECKING:
    from results.store import Store


@dataclass(frozen=True)
class Prepared:
    """One suite, ready to run.

    `done` are runs that `--resume` leaves out; `notes` are sentences for the user. The galaxies
    stay on disk until the next suite replaces them (`OneView`).
    """

    suite: Suite
    runs: list[PlannedRun]
    done: list[PlannedRun]
    galaxies: Galaxies
    session: Session
    estimator: Estimator
    notes: Sequence[str]


@dataclass
class Preparing:
    """Preparation of the suites of one call: check each, load its galaxies, plan its runs.

    Args:
        views: stages the galaxies; of several suites, one after another.
        named: the user named the frameworks, not the suite: all must be installed.
        resume: leave out what the store holds of this machine with status ok.
        dry_run: write nothing to the store.
        python: `NAME=PATH`, interpreters of frameworks that do not run in this one.
        elsewhere: the nodes that run them, if not this machine.
    """

    store: Store
    views: OneView
    named: bool = False
    resume: bool = False
    dry_run: bool = False
    python: Sequence[str] = ()
    elsewhere: Elsewhere | None = None

    def prepare(self, asked: Asked) -> Prepared:
        """Prepare one suite.

        Raises:
            ValueError, OSError: what is asked for cannot be run; the message says what to do.
        """
        checked = check(asked.suite, named=self.named, python=self.python, elsewhere=self.elsewhere)
        if not self.dry_run:
            self.store.check_writable()
        galaxies = self.views.galaxies(asked.suite)
        suite = fitted(asked, galaxies.sizes.train)
        runs = plan(suite, checked, galaxies, asked.part_of)
        machine_id = self.session.machine_id
        finished = finished_runs(self.store, machine_id, asked.part_of) if self.resume else set()
        return Prepared(
            suite=suite,
            runs=[run for run in runs if run.run_id not in finished],
            done=[run for run in runs if run.run_id in finished],
            galaxies=galaxies,
            session=self.session,
            estimator=self.estimator,
            notes=[
                *checked.notes,
                *(note for run in runs for note in run.notes),
                *_accounts(suite, runs),
            ],
        )

    @cached_property
    def session(self) -> Session:
        """The session of this call."""
        return describe_session()

    @cached_property
    def estimator(self) -> Estimator:
        """Estimator of run times, from this machine's runs in the store."""
        return Estimator.from_store(self.store, self.session.machine_id)


def plan(
    suite: Suite, checked: Checked, galaxies: Galaxies, part_of: PartOf | None = None
) -> list[PlannedRun]:
    """The runs of a checked suite on its galaxies.

    Raises:
        SpecificationError, ValueError: as `matrix`.
    """
    runs = matrix(
        suite,
        galaxies.view,
        galaxies.sizes,
        devices=checked.devices,
        threads=checked.threads,
        missing=checked.missing,
        interpreters=checked.interpreters,
        train_counts={name: counts[0] for name, counts in galaxies.counts.items()},
        statistics=partial(statistics, galaxies),
    )
    return [replace(run, part_of=part_of) for run in runs]


def _accounts(suite: Suite, runs: Sequence[PlannedRun]) -> list[str]:
    """Sentences, one for each network: which of its weights the given file fills.

    Raises:
        SpecificationError: it fills nothing of one.
    """
    if suite.initial_weights is None:
        return []
    given = given_weights.read(Path(suite.initial_weights))
    networks = {run.config.architecture.name: run.network for run in runs}
    return [given_weights.fill(given, one).sentence(given, one) for one in networks.values()]


def fitted(asked: Asked, images: int) -> Suite:
    """The suite; in a scaled experiment no batch is larger than the images left to train on."""
    if asked.part_of is None or asked.part_of.scale >= 1:
        return asked.suite
    sizes = tuple(dict.fromkeys(min(size, images) for size in asked.suite.batch_size))
    return msgspec.structs.replace(asked.suite, batch_size=sizes)


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


class UnservedError(ValueError):
    """Experiments that cannot be run as asked; the message names each with the reason."""


def prepare_each(asked: Sequence[Asked], preparing: Preparing) -> list[Prepared]:
    """Prepare all before any runs, so that bad input is told before hours are spent.

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
            prepared.append(preparing.prepare(one))
        except (ValueError, OSError) as error:
            if one.part_of is None:
                raise
            reason = cli.message(error).rstrip(".") + "." + _remedy(one, error)
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
    """A sentence on what to run instead, where the error's own message cannot know it; else ""."""
    if one.part_of is None or isinstance(error, SpecificationError):
        return ""
    declared = one.part_of.declared
    serves = []
    if one.suite.dataset != declared["dataset"] and not declared["changed"]:
        serves.append(f"{declared['dataset']}, its own galaxies")
    if one.part_of.scale < 1 and not isinstance(error, OSError):
        serves.append(f"a scale above {one.part_of.scale:g}")
    return f" What serves: {'; or '.join(serves)}." if serves else ""
