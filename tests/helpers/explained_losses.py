"""Runs the lines that `--explain` prints of losses, and holds them against the NumPy reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.fidelity.explain.question import Question
from frameworks.numpy import losses
from frameworks.spec.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    is_single,
    targets_of,
)
from frameworks.spec.recipe import ClassWeightMean, Recipe
from tests.helpers.line_adapters import Adapter

_IMAGES, _OUTPUTS = 5, 16
_WEIGHTS = tuple(float(one % 3 + 1) for one in range(_OUTPUTS))


def recipes() -> Iterator[Recipe]:
    """Every loss with every kind of target, label smoothing, and class weights by turns."""
    for number, loss in enumerate(_losses()):
        yield Recipe(loss=loss)
        if targets_of(loss) != "votes":
            mean: ClassWeightMean = "weights" if number % 2 else "images"
            yield Recipe(loss=loss, class_weights=_WEIGHTS, class_weight_mean=mean)


def _losses() -> Iterator[Loss]:
    yield CrossEntropy(label_smoothing=0.1)
    yield CrossEntropy(targets="votes")
    yield CrossEntropy(targets="votes", label_smoothing=0.1)
    for targets in ("labels", "one_hot", "votes"):
        yield BinaryCrossEntropy(targets=targets)
        yield BinaryCrossEntropy(targets=targets, label_smoothing=0.1)
    for outputs in ("linear", "sigmoid"):
        yield MeanSquaredError(targets="one_hot", outputs=outputs)
        yield MeanSquaredError(targets="votes", outputs=outputs)
        yield MeanSquaredError(outputs=outputs, root=True)
        yield MeanSquaredError(targets="one_hot", outputs=outputs, root=True)


def check(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    """The mean loss of a batch; class weights have lines of their own."""
    _check(adapter, code, Recipe(loss=question.filled.loss))


def weighted(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    """The mean loss of a batch with class weights."""
    _check(adapter, code, question.filled)


def _check(adapter: Adapter, code: str, recipe: Recipe) -> None:
    generator = np.random.default_rng(4)
    outputs = 1 if is_single(recipe.loss) else _OUTPUTS
    logits = generator.normal(0, 2, (_IMAGES, outputs)).astype(np.float32)
    labels = generator.integers(0, max(outputs, 2), _IMAGES)
    votes = generator.random((_IMAGES, outputs)).astype(np.float32)
    given = {"logits": logits, "labels": labels, "votes": votes}
    space = adapter.run(code, **{name: adapter.vector(one) for name, one in given.items()})
    targets = votes if targets_of(recipe.loss) == "votes" else labels
    expected = losses.mean(recipe, logits.astype(float), targets)[0]
    np.testing.assert_allclose(adapter.output(space["loss"]), expected, rtol=2e-6)
