"""Stored predictions of a test, checked against the galaxies and the logits that they are of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.data.staging import StagedData
from frameworks.spec.losses import Loss, is_single, targets_of
from results.schema import COPY

_ROUNDING = 1e-6  # of a probability in float32


def contradictions(
    path: Path, data: StagedData, loss: Loss, logits: np.ndarray, accuracy: float
) -> Iterator[str]:
    """Differences between the file and what it is of, in words.

    Each row names a galaxy of the test set, in its order, with its label. Probabilities rank the
    classes as the logits do, the answer is the likeliest class, and the accuracy is the share of
    right answers.

    Args:
        path: the file that the test wrote.
        logits: (n, outputs), in the order of the test set.
        accuracy: of the run's row.
    """
    with np.load(path, allow_pickle=False) as file:
        index, label, said, shares = (
            file[name] for name in ("index", "label", "predicted", "probabilities")
        )
    galaxy, copy = index % COPY, index // COPY
    order = np.argsort(data.galaxies, kind="stable")  # the first of a galaxy that is there twice
    found = np.searchsorted(data.galaxies, galaxy, sorter=order)
    places = order[np.minimum(found, len(order) - 1)]
    rows = places * data.copies.count + copy
    if not np.array_equal(rows, data.split.test):
        yield "predictions: the stored rows are not the galaxies of the test set in its order"
    elif not np.array_equal(label, data.labels[rows]):
        yield "predictions: a stored label is not the label of its galaxy"
    numbers = np.concatenate([0 * logits, logits], axis=1) if is_single(loss) else logits
    upwards = np.take_along_axis(shares, np.argsort(numbers, axis=1), axis=1)
    if (np.diff(upwards, axis=1) < -_ROUNDING).any():
        yield "predictions: the stored probabilities rank the outputs otherwise than the logits"
    if targets_of(loss) == "votes":
        return
    chosen = np.take_along_axis(shares, said[:, None], axis=1)[:, 0]
    if (chosen < shares.max(axis=1) - _ROUNDING).any():
        yield "predictions: a stored answer is not the class of the largest probability"
    right = float((said == label).mean())
    if abs(right - accuracy) > 1 / (2 * len(label)):
        yield f"predictions: {right:.4f} of the stored are right, the row says {accuracy:.4f}"
