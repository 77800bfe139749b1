"""R7: which native default is to blame, and for how much of the difference.

Two sets of defaults are trained inside *one* framework, so that nothing but a default changes: the
first set (the origin), the second (the target), the origin with one default of the target switched
on, and the target with that one switched off. Weights, order and masks come from the harness. The
two frameworks' own native runs stand beside them: what these differ by and the switches do not
explain is the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.measure.collect import Trace
from datasets.catalog import Dataset
from datasets.splits import stratified
from frameworks import metrics
from frameworks.backend import framework
from frameworks.spec.architecture import Architecture
from frameworks.spec.defaults import (
    CANNOT,
    PROJECT,
    Defaults,
    fill_architecture,
    fill_recipe,
    lacks,
)
from frameworks.spec.recipe import Recipe
from results.studies.attribution import EARLY_STEPS
from results.vocabulary import Device

MATCHED = "matched"
INSIDE = ("torch", "keras", "jax")
_TEST_FRACTION = 0.3

# What a port changes in every layer together; every other field is a factor of its own.
_TOGETHER = {
    "kernel_initializer": "kernel initialiser",
    "bias_initializer": "bias initialiser",
    "negative_slope": "slope of leaky_relu",
    "approximate": "form of gelu",
}


@dataclass(frozen=True)
class Variant:
    """One set of defaults to train: `factor` and how it is switched.

    direction: "origin" or "target" for the whole sets (no factor), "on" for the origin with the
    target's factor, "off" for the target with the origin's, "own" for a framework's native run.
    """

    factor: str
    direction: str
    defaults: Defaults
    framework: str


def defaults_of(name: str) -> Defaults:
    """The project's defaults ("matched"), or those native to a framework of the registry.

    Raises:
        SpecificationError: an unknown framework.
    """
    return PROJECT if name == MATCHED else framework(name).native


def switchable(origin: str, target: str, inside: str) -> tuple[Defaults, Defaults]:
    """The two sets of defaults as far as one framework has them.

    A field of which it lacks a form is the project's in both, so that it is not switched.
    """
    first, last = defaults_of(origin), defaults_of(target)
    column = framework(inside).defaults
    for field in CANNOT.get(column, {}):
        if any(lacks(column, field, one[field]) for one in (first, last)):
            first, last = ({**one, field: PROJECT[field]} for one in (first, last))
    return first, last


def not_switched(
    architecture: Architecture, recipe: Recipe, origin: str, target: str, inside: str
) -> dict[str, list[str]]:
    """The factors of the two sets that cannot be switched inside that framework, and the frameworks
    inside which each can."""

    def had(name: str) -> dict[str, tuple[str, ...]]:
        return factors(architecture, recipe, *switchable(origin, target, name))

    every = factors(architecture, recipe, defaults_of(origin), defaults_of(target))
    able = {name: had(name) for name in INSIDE}
    mine = had(inside)
    return {one: [name for name in INSIDE if one in able[name]] for one in every if one not in mine}


def factors(
    architecture: Architecture, recipe: Recipe, origin: Defaults, target: Defaults
) -> dict[str, tuple[str, ...]]:
    """Differences between two sets of defaults that change this network or recipe.

    Returns:
        The fields behind each factor, by its name, in the order of `defaults.PROJECT`.
    """
    found: dict[str, tuple[str, ...]] = {}
    for field in PROJECT:
        one = {**origin, field: target[field]}
        changed = fill_architecture(architecture, one) != fill_architecture(architecture, origin)
        if changed or fill_recipe(recipe, one) != fill_recipe(recipe, origin):
            name = _TOGETHER.get(field.split(".")[1], field.replace(".", ": ", 1).replace("_", " "))
            found[name] = (*found.get(name, ()), field)
    return found


def variants(
    architecture: Architecture, recipe: Recipe, origin: str, target: str, inside: str
) -> Iterator[Variant]:
    """Every set to train: the two ends, each factor on and off, and the frameworks' own runs.

    Raises:
        ValueError: nothing that differs between the two sets changes this network and recipe.
    """
    first, last = switchable(origin, target, inside)
    named = factors(architecture, recipe, first, last)
    if not named:
        raise ValueError(
            f"no default that differs between {origin} and {target} and can be switched inside "
            f"{inside} changes {architecture.name} with {type(recipe.optimizer).__name__}; "
            "there is nothing to attribute: name other sets, another network or --inside"
        )
    yield Variant("", "origin", first, inside)
    yield Variant("", "target", last, inside)
    for name, fields in named.items():
        yield Variant(name, "on", {**first, **{field: last[field] for field in fields}}, inside)
        yield Variant(name, "off", {**last, **{field: first[field] for field in fields}}, inside)
    for end in (origin, target):
        if end != MATCHED:
            yield Variant("", "own", defaults_of(end), end)


@dataclass(frozen=True)
class Pictures:
    """Galaxies on disk as a case reads them: training images first, test images last."""

    path: Path
    labels: np.ndarray
    input_shape: tuple[int, int, int]
    classes: int
    train_images: int
    test_images: int


def cases(
    architecture: Architecture,
    recipe: Recipe,
    sets: Sequence[Variant],
    pictures: Pictures,
    *,
    seeds: Sequence[int],
    threads: int,
    device: Device = "cpu",
) -> list[tuple[Variant, Case]]:
    """A training for every set and seed, seed by seed."""
    steps = recipe.epochs * -(-pictures.train_images // recipe.batch_size)
    return [
        (
            variant,
            Case(
                name=f"{architecture.name}-{number}-{variant.framework}-seed{seed}",
                architecture=fill_architecture(architecture, variant.defaults),
                recipe=fill_recipe(recipe, variant.defaults),
                input_shape=pictures.input_shape,
                classes=pictures.classes,
                precision="float32",
                device=device,
                threads=threads,
                seed=seed,
                pictures=str(pictures.path),
                measure=("steps",),
                steps=steps,
                record_every=steps,
                test_images=pictures.test_images,
                native=variant.direction == "own",
            ),
        )
        for seed in seeds
        for number, variant in enumerate(sets)
    ]


def prepare(data: Dataset, directory: Path) -> Pictures:
    """Split the galaxies by class and write them where the workers read them."""
    split = stratified(data.labels, test_fraction=_TEST_FRACTION, validation_fraction=0.0, seed=0)
    order = np.concatenate([split.train, split.test])
    path = directory / "pictures.npz"
    np.savez(path, images=data.images[order], labels=data.labels[order])
    height, width, channels = data.images.shape[1:]
    return Pictures(
        path,
        data.labels[order],
        (height, width, channels),
        len(data.class_names),
        len(split.train),
        len(split.test),
    )


def rows(
    made: Sequence[tuple[Variant, Case]],
    traces: Mapping[tuple[str, str], Trace],
    labels: np.ndarray,
) -> list[dict[str, Any]]:
    """One row for each training: its settings, status, accuracy and cross-entropy.

    `early_difference` compares its losses with those of the end (origin or target) it started from.
    """
    ends = {
        (variant.direction, case.seed): case.name
        for variant, case in made
        if variant.direction in ("origin", "target")
    }
    found = []
    for variant, case in made:
        trace = traces[variant.framework, case.name]
        row: dict[str, Any] = {
            "factor": variant.factor,
            "direction": variant.direction,
            "framework": variant.framework,
            "seed": case.seed,
            "status": "ok" if trace.path is not None else "not run",
            "reason": trace.reason,
        }
        if trace.path is not None:
            logits = trace["predictions"]
            score = metrics.score(logits, labels[-len(logits) :], 0.0)
            row |= {"accuracy": score.accuracy, "cross_entropy": score.cross_entropy}
            end = {"on": "origin", "off": "target"}.get(variant.direction, "")
            if (end, case.seed) in ends:
                other = traces[variant.framework, ends[end, case.seed]]
                if other.path is not None:
                    row["early_difference"] = early_difference(trace["losses"], other["losses"])
            if not np.isfinite(logits).all() or not np.isfinite(trace["losses"]).all():
                row |= {"status": "diverged", "reason": "a loss or a logit is not finite"}
        found.append(row)
    return found


def early_difference(losses: np.ndarray, others: np.ndarray) -> float:
    """Mean of |loss / other - 1| over the first steps, (steps,) each: before chaos sets in."""
    return float(np.mean(np.abs(losses[:EARLY_STEPS] / others[:EARLY_STEPS] - 1)))
