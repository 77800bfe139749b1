"""Losses, scores and probabilities from logits, in float64, the same for every framework."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from frameworks.numpy import losses
from frameworks.spec.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    is_single,
    takes_root,
    targets_of,
)
from frameworks.spec.network import Network
from frameworks.spec.weights import Weights


@dataclass(frozen=True)
class Score:
    """Means over images.

    loss: with the L2 terms and the label smoothing, as trained on, but for class weights: these are
    of the training alone, as in Keras. cross_entropy: without either, nats, of a sigmoid's outputs
    their mean; None of squared errors. accuracy: share of the answers that are right (of votes,
    those on the right side of one half). rmse: of votes alone. auc: of sigmoids, the mean over the
    outputs that have galaxies on both sides of one half; None where none has.
    """

    loss: float
    cross_entropy: float | None
    accuracy: float
    rmse: float | None = None
    auc: float | None = None


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the class probabilities (n, classes), float64, for logits of any size."""
    return losses.log_softmax(np.asarray(logits, dtype=np.float64))


def score(logits: np.ndarray, targets: np.ndarray, l2: float, loss: Loss | None = None) -> Score:
    """Score logits (n, outputs) against targets with the L2 terms `l2`.

    Not finite where the logits are not.

    Args:
        targets: labels (n,), or votes (n, outputs).
        loss: by default softmax cross-entropy.
    """
    loss = CrossEntropy() if loss is None else loss
    logits = np.asarray(logits, dtype=np.float64)
    value = float(losses.of_images(loss, logits, targets)[0].mean())
    value = value**0.5 if takes_root(loss) else value
    accuracy = float(losses.right(loss, logits, targets).mean())
    rows = losses.rows_of(loss, targets, logits.shape[1], logits.dtype)
    if isinstance(loss, CrossEntropy):  # of counts the shares
        rows = rows / rows.sum(axis=1, keepdims=True)
    squares = isinstance(loss, MeanSquaredError)
    voted = targets_of(loss) == "votes"
    return Score(
        value + l2,
        None if squares else float(entropies(loss, logits, targets).mean()),
        accuracy,
        rmse(losses.given(loss, logits), rows) if voted else None,
        auc(logits, rows > 0.5) if isinstance(loss, BinaryCrossEntropy) else None,
    )


def entropies(loss: Loss, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The cross-entropy of each image (n,), nats, without label smoothing."""
    assert not isinstance(loss, MeanSquaredError)
    plain = msgspec.structs.replace(loss, label_smoothing=0.0)
    return losses.of_images(plain, np.asarray(logits, dtype=np.float64), targets)[0]


def probabilities(loss: Loss, logits: np.ndarray) -> np.ndarray:
    """Probability of each class (n, classes) or of each vote (n, outputs), float64.

    A single output gives the probabilities of both classes, (n, 2).
    """
    found = losses.given(loss, np.asarray(logits, dtype=np.float64))
    return np.concatenate([1 - found, found], axis=1) if is_single(loss) else found


def predicted(loss: Loss, logits: np.ndarray) -> np.ndarray:
    """The class said of each image, int64 (n,); -1 where the outputs are votes."""
    if targets_of(loss) == "votes":
        return np.full(len(logits), -1, np.int64)
    if is_single(loss):
        return (np.asarray(logits)[:, 0] > 0).astype(np.int64)
    return np.asarray(logits).argmax(axis=1)


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """The mean over the classes of F1, 2 r / (t + p): r right, of t in the class and p said to be.

    Of the classes that any image has or is said to have, as scikit-learn's `f1_score` with
    `average="macro"` takes them.

    Args:
        labels, predicted: classes, int (n,).
    """
    classes = int(max(labels.max(), predicted.max())) + 1
    of_class, said = (np.bincount(one, minlength=classes) for one in (labels, predicted))
    right = np.bincount(labels[labels == predicted], minlength=classes)
    there = of_class + said > 0
    return float((2 * right[there] / (of_class + said)[there]).mean())


def rmse(given: np.ndarray, votes: np.ndarray) -> float:
    """Root of the mean squared difference over images and outputs (Kaggle's of Galaxy Zoo)."""
    return float(np.sqrt(np.square(given - votes).mean()))


def auc(scores: np.ndarray, sides: np.ndarray) -> float | None:
    """Area under the receiver operating characteristic: the chance that a galaxy on the upper side
    is given more than one on the lower, ties counting half (Mann & Whitney 1947).

    Args:
        scores: (n, outputs). sides: bool (n, outputs).
    Returns:
        The mean over outputs with galaxies on both sides; None where there is none, NaN where a
        score is no number.
    """
    found = [_area(one, side) for one, side in zip(scores.T, sides.T, strict=True)]
    areas = [area for area in found if area is not None]
    return float(np.mean(areas)) if areas else None


def _area(scores: np.ndarray, sides: np.ndarray) -> float | None:
    above = int(sides.sum())
    below = len(sides) - above
    if not above or not below:
        return None
    if not np.isfinite(scores).all():
        return float("nan")
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equals
    return float((ranks[places][sides].sum() - above * (above + 1) / 2) / (above * below))


def has_l2(network: Network) -> bool:
    """True if any layer that is trained states an L2 term."""
    return bool(network.penalised)


def l2_terms(network: Network, weights: Weights) -> float:
    """Sum of `l2 * sum(kernel ** 2)` over the layers that state an `l2`, in float64."""
    return float(
        sum(
            l2 * np.square(weights[key], dtype=np.float64).sum()
            for key, l2 in network.penalised.items()
        )
    )
