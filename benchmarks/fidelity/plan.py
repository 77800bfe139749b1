"""Plan of a climb, from its options: parts, their cases, and the frameworks that compute each."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.fidelity.cases import heads, ladder, lifecycle, recipes, replicas
from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.options import CLASSES, DEFAULT, FULL, FULL_STEPS, STEPS, parser
from benchmarks.fidelity.rungs.finding import Finding
from benchmarks.fidelity.rungs.settle import settled
from frameworks.backend import framework
from frameworks.spec.architecture import Architecture
from frameworks.spec.defaults import PROJECT, lacks
from frameworks.spec.graph import every_layer
from frameworks.spec.recipe import trains_plainly
from results.vocabulary import Precision, Tuning, unknown

SMALL = ("optimizers", "lifecycles", "replicas")  # the parts that are the same for every network


@dataclass(frozen=True)
class Part:
    """The unit that is measured, judged and saved together: one network, or what is the same for
    all of them.

    noise: the plain cases of R5c. left_out: what was asked for and cannot be run.
    """

    name: str
    cases: list[Case]
    noise: list[Case] = dataclasses.field(default_factory=list)
    left_out: list[Finding] = dataclasses.field(default_factory=list)


def parts(
    options: argparse.Namespace, networks: Sequence[Architecture], shared: dict[str, Any]
) -> list[Part]:
    """The optimizers alone and the small lifecycles, if asked for, then every network; only what
    has something to do."""
    asked = rungs(options)
    made: list[Part] = []
    if "R5d" in asked:
        made.append(Part("lifecycles", _small(options)))
    if "R5e" in asked and "float64" in options.precision:
        dealt = [
            msgspec.structs.replace(case, threads=options.threads)
            for case in (*replicas.cases(), replicas.rounded())
            if case.precision in options.precision
        ]
        made.append(Part("replicas", dealt, left_out=_on_one_replica(options)))
    if "R3" in asked:
        alone = ladder.optimizers_alone(options.precision, steps(options, "R3"))
        made.append(Part("optimizers", [*alone, *recipes.alone(parts_alone(options))]))
    made = [dataclasses.replace(one, cases=_computed(one.cases, options)) for one in made]
    made += [
        Part(
            network.name,
            _cases(options, network, shared),
            _noise_cases(options, network, shared),
            _left_out(options, network),
        )
        for network in networks
    ]
    return [part for part in made if part.cases or part.noise or part.left_out]


def asked_of(name: str, case: Case) -> bool:
    """True if a framework computes a case: it has every form that the case states.

    One that declares no defaults of its own computes the project's forms alone.
    """
    if name == REFERENCE:
        return True
    if case.replicas > 1:
        known = framework(name)
        grouped = case.recipe.accumulation > 1 and not known.deals_groups
        if grouped or case.tuning not in known.replicated:
            return False
    column = _defaults_of(name)
    if not column and not trains_plainly(case.recipe):
        return False
    recipe = case.recipe
    parts = (recipe.optimizer, recipe.schedule, recipe.clipping, recipe.average_weights)
    parts_stated = [one for one in parts if one is not None]
    for part in (*every_layer(case.architecture.layers), *parts_stated):
        for field in part.__struct_fields__:
            form, value = f"{part.__struct_config__.tag}.{field}", getattr(part, field)
            other = form in _FORMS and value not in (None, PROJECT[form])
            if (other and not column) or lacks(column, form, value):
                return False
    return True


@cache
def _defaults_of(name: str) -> str:
    """The column of defaults that a framework has; to look for the framework takes a while."""
    return framework(name).defaults


# Fields that say which form of a computation is meant, not with which number.
_FORMS = {form for form, value in PROJECT.items() if isinstance(value, str | bool)} - {
    f"{layer}.{part}_initializer" for layer in ("conv", "dense") for part in ("kernel", "bias")
}


def shared(options: argparse.Namespace, scratch: Path | None) -> dict[str, Any]:
    """Settings that all cases of networks share: size, batch size, threads, pictures.

    A file of pictures also decides the size and, in `options.classes`, the number of classes.

    Args:
        scratch: receives the pictures, where a file of them is asked for.
    """
    common: dict[str, Any] = {
        "size": options.size,
        "batch_size": options.batch_size,
        "threads": options.threads,
        "images": options.batch_size * 5,
    }
    if options.pictures:
        from datasets import catalog

        assert scratch is not None
        data = catalog.load(options.pictures, image_size=options.size or None)
        path = scratch / "pictures.npz"
        np.savez(path, images=data.images, labels=data.labels)
        common |= {"pictures": str(path), "size": data.images.shape[1]}
        common["images"] = len(data.labels)
        options.classes = [len(data.class_names)]
    return common


def rungs(options: argparse.Namespace) -> list[str]:
    """The rungs asked for; by default those that the precisions have."""
    usual = FULL if options.full else DEFAULT
    asked: list[str] = options.rungs or [rung for rung in usual if _has(options, rung)]
    return asked


def steps(options: argparse.Namespace, rung: str) -> int:
    """Training steps of a rung."""
    count: int = options.steps or (FULL_STEPS if options.full else STEPS)[rung]
    return count


def classes(options: argparse.Namespace) -> list[int]:
    """The heads that networks are given."""
    asked: list[int] = options.classes or list(CLASSES if options.full else CLASSES[:1])
    return asked


def parts_alone(options: argparse.Namespace) -> list[Precision]:
    """The precisions in which R3 asks schedules and clipping. Unless the climb is full float64
    alone, where that is asked for: the same code computes them in every precision."""
    asked: list[Precision] = options.precision
    return asked if options.full or "float64" not in asked else ["float64"]


def tunings(options: argparse.Namespace) -> list[Tuning]:
    """Tunings that climb: the one asked for; if none, idiomatic, or both in a full climb."""
    if options.tuning:
        return [options.tuning]
    return ["idiomatic", "tuned"] if options.full else ["idiomatic"]


def optimizers(options: argparse.Namespace) -> list[str]:
    """Names of the optimizers asked for; Adam by default.

    Raises:
        ValueError: there is no such optimizer.
    """
    names: list[str] = options.optimizers or ["adam"]
    for name in names:
        if name not in ladder.DYADIC:
            raise ValueError(unknown("optimizer", name, ladder.DYADIC))
    return names


def rounding(options: argparse.Namespace) -> list[Precision]:
    """Precisions asked for in which rounding decides how long two trainings stay together."""
    return [precision for precision in options.precision if precision != "float64"]


def _small(options: argparse.Namespace) -> list[Case]:
    """The small lifecycles of the precisions asked for."""
    made: list[Case] = []
    if "float64" in options.precision:
        made += [*lifecycle.lifecycles(), *recipes.lives(), *lifecycle.special(), *heads.heads()]
    if "float32" in options.precision:
        made += [*lifecycle.float32(), *heads.float32(), recipes.overflowing()]
    if options.full:
        made.append(msgspec.structs.replace(made[0], name=f"{made[0].name}-deterministic"))
        made[-1] = msgspec.structs.replace(made[-1], deterministic=True)
    return [msgspec.structs.replace(case, threads=options.threads) for case in made]


def _cases(
    options: argparse.Namespace, network: Architecture, common: dict[str, Any]
) -> list[Case]:
    """A network's cases of the rungs asked for, R5c apart."""
    asked, names = rungs(options), optimizers(options)
    training: dict[str, Any] = common | {"test_images": options.batch_size}
    made: list[Case] = []
    if "R0-R2" in asked:
        both = {"measure": ("structure", "forward", "gradients", "restored")}
        each = options.precision, classes(options)
        made += [settled(case) for case in ladder.one_batch([network], *each, **common | both)]
    for number in classes(options):
        if "R4" in asked:
            how = options.precision, names, options.rate
            whole = ladder.one_step([network], *how, classes=number, **common)
            made += [settled(case) for case in whole]
        if "float64" in options.precision and "R5a" in asked:
            exact = names, steps(options, "R5a"), options.adam_epsilon, options.rate
            made += ladder.trajectories([network], *exact, classes=number, **training)
        if "float64" in options.precision and "R5d" in asked:
            life = {key: value for key, value in common.items() if key != "images"}
            if options.pictures:
                life["images"] = common["images"]
            made += [
                lifecycle.of_network(network, name, options.rate, classes=number, **life)
                for name in names
            ]
        if "R5b" in asked:
            for precision in rounding(options):
                smooth = names, steps(options, "R5b"), options.rate, precision
                made += ladder.smooth_trajectories([network], *smooth, classes=number, **training)
    return _as_asked(made, options)


def _noise_cases(
    options: argparse.Namespace, network: Architecture, common: dict[str, Any]
) -> list[Case]:
    """A network's plain cases of R5c, at the rates of R3."""
    if "R5c" not in rungs(options):
        return []
    label = f"noise-{options.steps}steps" if options.steps else "noise"
    made = [
        ladder.make(network, optimizer, precision, label=label, classes=number, **common)
        for number in classes(options)
        for precision in rounding(options)
        for optimizer in optimizers(options)
    ]
    return _as_asked(made, options)


# Rungs of float64 and of what is below it; the precision named where it is left out.
_ONE_PRECISION = {"R5a": "float64", "R5e": "float64", "R5b": "float32", "R5c": "float32"}


def _has(options: argparse.Namespace, rung: str) -> bool:
    """True if a rung has something to do in the precisions asked for."""
    if rung in ("R5a", "R5e"):
        return "float64" in options.precision
    if rung == "R5d":
        return bool({"float64", "float32"} & set(options.precision))
    return rung not in _ONE_PRECISION or bool(rounding(options))


def _left_out(options: argparse.Namespace, network: Architecture) -> list[Finding]:
    """A rung that was asked for but has nothing in the precisions asked for was not run."""
    return [
        Finding(
            rung,
            f"{network.name}-{precision}",
            name,
            REFERENCE,
            precision,
            "",
            np.nan,
            np.nan,
            "not run",
            cause=f"{rung} is one of {precision}, which --precision leaves out",
        )
        for rung, precision in _ONE_PRECISION.items()
        if rung in rungs(options) and not _has(options, rung)
        for name in options.frameworks
    ]


def _on_one_replica(options: argparse.Namespace) -> list[Finding]:
    """R5e, where it was asked for by name, of frameworks that train on one replica alone."""
    return [
        Finding(
            "R5e",
            f"replicas-{tuning}",
            name,
            REFERENCE,
            "float64",
            "",
            np.nan,
            np.nan,
            "not run",
            cause=f"{name} with tuning {tuning} trains on one replica alone",
        )
        for tuning in tunings(options)
        for name in options.frameworks
        if "R5e" in (options.rungs or []) and tuning not in framework(name).replicated
    ]


def _as_asked(cases: Sequence[Case], options: argparse.Namespace) -> list[Case]:
    """A network's cases as the command asks for them; a name says what is not the default."""
    return _computed([_named(case, options) for case in cases], options)


def _named(case: Case, options: argparse.Namespace) -> Case:
    said = [Path(options.pictures).stem] if options.pictures else []
    if options.size:
        said.append(f"{options.size}px")
    if options.batch_size != _default("batch_size"):
        said.append(f"batch{options.batch_size}")
    training = case.steps or "lifecycle" in case.measure
    if training and options.rate is not None:
        said.append(f"rate{options.rate:g}")
    if case.steps > 1 and options.adam_epsilon != _default("adam_epsilon"):
        said.append(f"epsilon{options.adam_epsilon:g}")
    return msgspec.structs.replace(case, name="-".join([case.name, *said]))


def _computed(cases: Sequence[Case], options: argparse.Namespace) -> list[Case]:
    """The cases on the device and for the backends of the tunings asked for, and so named."""
    return list(_on_each(cases, options))


def _on_each(cases: Sequence[Case], options: argparse.Namespace) -> Iterator[Case]:
    for tuning in tunings(options):
        unusual = [one for one in (tuning, options.device) if one not in ("idiomatic", "cpu")]
        for case in cases:
            name = "-".join([case.name, *unusual])
            yield msgspec.structs.replace(case, name=name, tuning=tuning, device=options.device)


def _default(option: str) -> Any:
    return parser().get_default(option)
