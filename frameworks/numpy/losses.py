"""Losses of logits and targets with their gradients, written out (siblings: torch, keras, flax).

Of images: (batch,) of logits (batch, outputs) and targets, which are class numbers int (batch,) or
votes float (batch, outputs). The mean over a batch is `mean`'s.
"""

from __future__ import annotations

import numpy as np

from frameworks.numpy.activations import sigmoid
from frameworks.spec.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    answers_each,
    is_single,
    middle,
    takes_root,
    targets_of,
)
from frameworks.spec.recipe import Recipe


def mean(recipe: Recipe, logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss of a batch, weighted by class where the recipe says so, and its gradient.

    sum(w * loss) / n, where w = class_weights[label], or 1, and n is the number of images, or
    sum(w) with class_weight_mean "weights"; the root of that where the loss says so.

    Args:
        logits: (batch, outputs). targets: (batch,), or (batch, outputs).
    """
    losses, slopes = of_images(recipe.trained_loss, logits, targets)
    if recipe.class_weights is not None:
        weights = np.asarray(recipe.class_weights, logits.dtype)[targets]
        if recipe.class_weight_mean == "weights":
            with np.errstate(invalid="ignore"):  # without any weight there is no mean: NaN
                weights = weights / weights.mean()
        losses, slopes = weights * losses, weights[:, None] * slopes
    value, slopes = np.mean(losses), slopes / len(losses)
    if not takes_root(recipe.trained_loss):
        return float(value), slopes
    with np.errstate(invalid="ignore"):  # at a loss of 0 the root has no slope: NaN
        return float(np.sqrt(value)), slopes / (2 * np.sqrt(value))


def of_images(loss: Loss, logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each image (batch,), and its gradient by the logits (batch, outputs)."""
    towards = smoothed(loss, rows_of(loss, targets, logits.shape[1], logits.dtype))
    if isinstance(loss, CrossEntropy):
        log_shares = log_softmax(logits)
        whole = towards.sum(axis=1, keepdims=True)
        return -(towards * log_shares).sum(axis=1), np.exp(log_shares) * whole - towards
    outputs = logits.shape[1]
    if isinstance(loss, BinaryCrossEntropy):
        # log(1 + e^z) - t z, without overflow
        losses = np.maximum(logits, 0) - towards * logits + np.log1p(np.exp(-np.abs(logits)))
        return losses.mean(axis=1), (sigmoid(logits) - towards) / outputs
    found = given(loss, logits)
    by_logit = found * (1 - found) if loss.outputs == "sigmoid" else 1
    slopes = 2 * (found - towards) * by_logit / outputs
    return np.square(found - towards).mean(axis=1), slopes


def rows_of(loss: Loss, targets: np.ndarray, outputs: int, dtype: np.dtype) -> np.ndarray:
    """Targets of the outputs before smoothing: (batch, outputs)."""
    if targets_of(loss) == "votes":
        return targets.astype(dtype)
    if is_single(loss):
        return targets[:, None].astype(dtype)
    return (targets[:, None] == np.arange(outputs)).astype(dtype)


def smoothed(loss: Loss, rows: np.ndarray) -> np.ndarray:
    """Rows of targets moved by the label smoothing towards all classes alike, or one half."""
    if isinstance(loss, MeanSquaredError):
        return rows
    alike = 2 if isinstance(loss, BinaryCrossEntropy) else rows.shape[1]
    return rows * (1 - loss.label_smoothing) + loss.label_smoothing / alike


def given(loss: Loss, logits: np.ndarray) -> np.ndarray:
    """Answer of the network (batch, outputs): class probabilities, probabilities, or numbers."""
    if isinstance(loss, CrossEntropy):
        return np.exp(log_softmax(logits))
    if isinstance(loss, MeanSquaredError) and loss.outputs == "linear":
        return logits
    return sigmoid(logits)


def right(loss: Loss, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """True for right answers: bool (batch,) of class numbers, or (batch, outputs) of votes.

    The largest output is the class, or what has most votes; of a single one, and of each vote by
    itself, the sides of one half.
    """
    if answers_each(loss):
        return np.asarray((logits > middle(loss)) == (targets > 0.5))
    if is_single(loss):
        return np.asarray((logits[:, 0] > middle(loss)) == (targets == 1))
    wanted = targets if targets.ndim == 1 else targets.argmax(axis=1)
    return np.asarray(logits.argmax(axis=1) == wanted)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the class probabilities (batch, classes), for logits of any size."""
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which the caller looks for
        shifted = logits - logits.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
