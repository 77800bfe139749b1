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
from frameworks.spec.recipe import Recipe
from tests.helpers.line_adapters import Adapter

_IMAGES, _OUTPUTS = 5, 4


def recipes() -> Iterator[Recipe]:
    """Every loss with every kind of target, and label smoothing."""
    for loss in _losses():
        yield Recipe(loss=loss)


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


def check(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    """The mean loss of a batch; class weights have lines of their own."""
    recipe, generator = Recipe(loss=question.filled.loss), np.random.default_rng(4)
    outputs = 1 if is_single(recipe.loss) else _OUTPUTS
    logits = generator.normal(0, 2, (_IMAGES, outputs)).astype(np.float32)
    labels = generator.integers(0, max(outputs, 2), _IMAGES)
    votes = generator.random((_IMAGES, outputs)).astype(np.float32)
    given = {"logits": logits, "labels": labels, "votes": votes}
    space = adapter.run(code, **{name: adapter.vector(one) for name, one in given.items()})
    targets = votes if targets_of(recipe.loss) == "votes" else labels
    expected = losses.mean(recipe, logits.astype(float), targets)[0]
    np.testing.assert_allclose(adapter.output(space["loss"]), expected, rtol=2e-6)
