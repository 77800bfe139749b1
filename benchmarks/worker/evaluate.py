"""Trying a network on galaxies it is not trained on: logits, scores, predictions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from benchmarks.data.loader import Part
from benchmarks.data.staging import StagedData
from benchmarks.process.failures import DivergedError
from benchmarks.worker.timer import Clock
from frameworks import metrics
from frameworks.backend import Backend
from frameworks.spec.losses import targets_of


def test(
    backend: Backend, data: StagedData, predictions: Path, clock: Clock
) -> tuple[np.ndarray, metrics.Score]:
    """Test with the weights as they are, send the scores and write the predictions.

    Returns:
        The logits (n, classes), in the order of the test set, and their score.

    Raises:
        DivergedError: the loss is not finite.
    """
    loss = backend.recipe.loss
    test = Part(data, data.split.test, backend.recipe.batch_size, loss)
    logits, score = evaluate(backend, test, clock)
    if not math.isfinite(score.loss):
        raise DivergedError(f"the test loss is {score.loss}")
    voted = {"votes": test.targets} if targets_of(loss) == "votes" else {}
    np.savez(
        predictions,
        index=data.index(data.split.test),
        label=test.labels,
        predicted=metrics.predicted(loss, logits),
        probabilities=metrics.probabilities(loss, logits).astype(np.float32),
        **voted,
    )
    extra = {}
    if score.cross_entropy is not None:
        # between images: how far another test set of as many would lie
        of_images = metrics.entropies(loss, logits, test.targets)
        extra["test_cross_entropy_deviation"] = float(of_images.std())
    clock.channel.send(
        "facts",
        values={
            "test_accuracy": score.accuracy,
            "test_loss": score.loss,
            "test_cross_entropy": score.cross_entropy,
            "test_rmse": score.rmse,
            "test_auc": score.auc,
            "extra": extra,
        },
    )
    return logits, score


def evaluate(backend: Backend, part: Part, clock: Clock) -> tuple[np.ndarray, metrics.Score]:
    """Logits and score of a part of the data; only the prediction is timed."""
    found = []
    for images in part.slices():
        with clock.measure("evaluate", backend):
            found.append(backend.predict(images))
    logits = np.concatenate(found)
    network = backend.network
    l2 = metrics.l2_terms(network, backend.get_weights()) if metrics.has_l2(network) else 0.0
    return logits, metrics.score(logits, part.targets, l2, backend.recipe.loss)
