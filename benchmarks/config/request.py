"""What a call of the main command asks for: a suite, or published experiments by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.config.experiment import ALL, available, load, scaled
from benchmarks.config.plan import PartOf
from benchmarks.config.suite import Suite
from benchmarks.process.failures import message
from frameworks.spec.reading import SpecificationError

if TYPE_CHECKING:
    from benchmarks.runner.prepare import Prepared


@dataclass(frozen=True)
class Asked:
    """A suite to run, and the experiment that it is, if it is one. `title` is for people."""

    suite: Suite
    part_of: PartOf | None = None
    title: str = ""


class UnservedError(ValueError):
    """Experiments that cannot be run as asked; the message names each with the reason."""


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


def _short(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(Path(str(item)).stem if "/" in str(item) else str(item) for item in value)
    return str(value)
