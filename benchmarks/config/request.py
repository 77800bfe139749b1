"""The request of one call of the main command: a suite, or published experiments by name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.config import experiment as experiments
from benchmarks.config.options import requested
from benchmarks.config.plan import PartOf
from benchmarks.config.suite import Suite
from frameworks.spec.reading import SpecificationError
from results.names import in_line
from results.words import count


@dataclass(frozen=True)
class Asked:
    """A suite to run, and the experiment that it is, if it is one. `title` is for people."""

    suite: Suite
    part_of: PartOf | None = None
    title: str = ""


def asked_for(options: argparse.Namespace) -> list[Asked]:
    """The suites to run, by the options: one suite, or one for each experiment that they name.

    Raises:
        SpecificationError: an unknown suite, experiment or optimizer, a bad value.
    """
    if options.experiments is None:
        if options.scale is not None:
            raise SpecificationError("--scale is of --experiments; use --fraction and --epochs.")
        return [Asked(requested(options))]
    if options.suite is not None:
        raise SpecificationError("--suite and --experiments: name one of the two.")
    names = [
        one
        for name in options.experiments
        for one in (experiments.available() if name == experiments.ALL else [name])
    ]
    return [_experiment(name, options) for name in dict.fromkeys(names)]


def first_line(asked: Sequence[Asked]) -> str:
    """One line on the session to come, before anything heavy is imported."""
    if len(asked) > 1:
        return f"{count(len(asked), 'experiment')}: preparing galaxies and runs"
    suite = asked[0].suite
    networks = ", ".join(Path(name).stem for name in suite.architectures)
    what = f"{networks} in {', '.join(suite.frameworks)} on {Path(suite.dataset).stem} galaxies"
    return in_line(f"{what}: preparing galaxies and runs")


def _experiment(name: str, options: argparse.Namespace) -> Asked:
    """A published experiment, shipped or a file, with the options in place of its fields; what they
    state the scale leaves alone."""
    from datasets.catalog import PUBLISHED

    experiment = experiments.load(name)
    suite = requested(options, experiment.run)
    published = PUBLISHED.get(experiment.run.dataset)
    declared = experiment.declared(suite, published.file.sha256 if published else None)
    scale = 1.0 if options.scale is None else options.scale
    stated = {
        field.name
        for field in msgspec.structs.fields(Suite)
        if getattr(options, field.name, None) is not None
    }
    part_of = PartOf(experiment.name, scale, msgspec.to_builtins(declared))
    return Asked(experiments.scaled(suite, scale, but=frozenset(stated)), part_of, experiment.title)
