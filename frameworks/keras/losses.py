"""The loss of a batch in Keras, for `compile` and for loops of our own (siblings: torch, flax; the
formulas: numpy)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from frameworks.keras.activations import constant
from frameworks.spec.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    answers_each,
    is_single,
    middle,
    name_of,
    takes_root,
    targets_of,
)
from frameworks.spec.recipe import Recipe


def of(loss: Loss) -> keras.losses.Loss:
    """The loss as `compile` takes it: Keras' own where it takes our targets as they are."""
    if loss == CrossEntropy():
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return _OfTargets(loss)


def accuracy(loss: Loss) -> Any:
    """The metric "accuracy" as `compile` takes it: the share of answers that are right.

    Keras' own word would take the logit of a single output for a probability.
    """
    if targets_of(loss) != "votes" and not is_single(loss):
        return "accuracy"

    def share(targets: Any, logits: Any) -> Any:
        answers = _answers(loss, targets, logits)
        of_images = answers if len(answers.shape) > 1 else answers[:, None]
        return ops.mean(ops.cast(of_images, keras.config.floatx()), axis=1)

    return keras.metrics.MeanMetricWrapper(share, name="accuracy")


class _OfTargets(keras.losses.Loss):
    """Keras' loss of rows of targets, of what batches have: class numbers (batch,), or votes."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(name=name_of(loss))
        self.spec = loss
        smoothing = getattr(loss, "label_smoothing", 0.0)
        options = {"from_logits": True, "label_smoothing": smoothing, "reduction": None}
        self.rows_loss = {
            CrossEntropy: keras.losses.CategoricalCrossentropy,
            BinaryCrossEntropy: keras.losses.BinaryCrossentropy,
            MeanSquaredError: keras.losses.MeanSquaredError,
        }[type(loss)](**({"reduction": None} if isinstance(loss, MeanSquaredError) else options))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        mean = self.before_root(y_true, y_pred, sample_weight)
        return ops.sqrt(mean) if takes_root(self.spec) else mean

    def before_root(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The mean over the batch, of which a root mean squared error is the root."""
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each image (batch,)."""
        spec = self.spec
        if targets_of(spec) == "votes":
            rows = ops.cast(y_true, y_pred.dtype)
        else:
            labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
            rows = (
                ops.cast(labels[:, None], y_pred.dtype)
                if is_single(spec)
                else ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype)
            )
        if isinstance(spec, MeanSquaredError) and spec.outputs == "sigmoid":
            y_pred = ops.sigmoid(y_pred)
        if isinstance(spec, CrossEntropy) and spec.targets == "votes":
            # TensorFlow's own has the gradient of rows that add up to 1, whatever these do
            rows = rows * (1 - spec.label_smoothing) + spec.label_smoothing / y_pred.shape[-1]
            return -ops.sum(rows * ops.log_softmax(y_pred, axis=1), axis=1)
        return self.rows_loss(rows, y_pred)


class BatchLoss:
    """The recipe's loss of (targets, logits), with each image weighted by its class where there
    are weights, as one number."""

    def __init__(self, recipe: Recipe) -> None:
        self.spec = recipe.trained_loss
        self.loss = of(recipe.trained_loss)
        weights = _weights(recipe)
        self.weights = None if weights is None else constant(weights, weights.dtype)
        self.mean = recipe.class_weight_mean

    def __call__(self, targets: Any, logits: Any) -> Any:
        """
        Args:
            targets: class numbers int (batch,), or votes (batch, outputs).
            logits: (batch, outputs).
        """
        mean = self.before_root(targets, logits)
        return ops.sqrt(mean) if takes_root(self.spec) else mean

    def before_root(self, targets: Any, logits: Any) -> Any:
        """The mean over the batch, of which a root mean squared error is the root."""
        found = getattr(self.loss, "before_root", self.loss)
        if self.weights is None:
            return found(targets, logits)
        weights = ops.take(self.weights, targets, axis=0)
        if self.mean == "weights":
            weights = weights / ops.mean(weights)
        return found(targets, logits, sample_weight=weights)

    def right(self, targets: Any, logits: Any) -> Any:
        """Number of right answers, int32 ()."""
        return ops.sum(ops.cast(_answers(self.spec, targets, logits), "int32"))


def sample_weights(recipe: Recipe, labels: np.ndarray) -> np.ndarray | None:
    """The weight of each image of a batch (batch,), of which Keras takes sum(weight * loss) / batch
    size; None without class weights.

    It is what `fit(class_weight=)` makes of them, but that does so in float32 on TensorFlow.
    """
    weights = _weights(recipe)
    if weights is None:
        return None
    of_images = weights[labels]
    if recipe.class_weight_mean == "weights":
        with np.errstate(invalid="ignore"):  # without any weight there is no mean: NaN
            return of_images / of_images.mean()
    return of_images


def _weights(recipe: Recipe) -> np.ndarray | None:
    if recipe.class_weights is None:
        return None
    return np.asarray(recipe.class_weights, keras.config.floatx())


def _answers(loss: Loss, targets: Any, logits: Any) -> Any:
    """True for right answers: bool (batch,), or (batch, outputs) of votes."""
    if answers_each(loss):
        return ops.equal(logits > middle(loss), targets > 0.5)
    if is_single(loss):
        return ops.equal(logits[:, 0] > middle(loss), ops.equal(ops.reshape(targets, (-1,)), 1))
    voted = targets_of(loss) == "votes"
    wanted = ops.argmax(targets, axis=1) if voted else ops.cast(targets, "int32")
    return ops.equal(ops.argmax(logits, axis=1), wanted)
