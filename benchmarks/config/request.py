"""What a call of the main command asks for: a suite, or published experiments by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from benchmarks.config.experiment import ALL, available, load, scaled
from benchmarks.config.plan import PartOf
from benchmarks.config.suite import Suite


@dataclass(frozen=True)
class Asked:
    """A suite to run, and the experiment that it is, if it is one. `title` is for people."""

    suite: Suite
    part_of: PartOf | None = None
    title: str = ""


def experiments(
    names: Sequence[str],
    *,
    scale: float | None,
    changed: Callable[[Suite], Suite],
    stated: Iterable[str],
) -> list[Asked]:
    """The experiments of these names, with the options in place of their fields.

    Args:
        names: shipped ones or files; "all" is all that ship.
        scale: of data and epochs; None is all.
        changed: puts the options into a suite.
        stated: fields that the options state, and that the scale leaves alone.

    Raises:
        SpecificationError: an unknown name, a malformed file, a bad value.
    """
    from datasets.catalog import PUBLISHED

    every = [one for name in names for one in (available() if name == ALL else [name])]
    found = []
    for name in dict.fromkeys(every):
        experiment = load(name)
        suite = changed(experiment.run)
        published = PUBLISHED.get(experiment.run.dataset)
        declared = experiment.declared(suite, published.file.sha256 if published else None)
        share = 1.0 if scale is None else scale
        part_of = PartOf(experiment.name, share, msgspec.to_builtins(declared))
        found.append(Asked(scaled(suite, share, but=frozenset(stated)), part_of, experiment.title))
    return found
