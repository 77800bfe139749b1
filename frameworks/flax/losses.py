"""The loss of a batch in JAX, by optax (siblings: torch, keras; the formulas: numpy)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from frameworks.spec.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    answers_each,
    is_single,
    middle,
    takes_root,
)
from frameworks.spec.recipe import ClassWeightMean, Recipe


@jax.tree_util.register_static
@dataclass(frozen=True)
class BatchLoss:
    """The recipe's loss of logits (batch, outputs) and targets, as one number; a constant to the
    compiler."""

    loss: Loss
    class_weights: tuple[float, ...] | None
    mean: ClassWeightMean | None

    @classmethod
    def of(cls, recipe: Recipe) -> BatchLoss:
        """The loss of a recipe."""
        return cls(recipe.trained_loss, recipe.class_weights, recipe.class_weight_mean)

    def __call__(self, logits: Array, targets: ArrayLike) -> Array:
        """
        Args:
            targets: class numbers int (batch,), or votes (batch, outputs).
        """
        mean = self._before_root(logits, jnp.asarray(targets))
        return jnp.sqrt(mean) if takes_root(self.loss) else mean

    def _before_root(self, logits: Array, targets: Array) -> Array:
        losses = _of_images(self.loss, logits, targets)
        if self.class_weights is None:
            return losses.mean()
        weights = jnp.asarray(self.class_weights, logits.dtype)[targets]
        if self.mean == "weights":
            return jnp.sum(weights * losses) / jnp.sum(weights)
        return jnp.mean(weights * losses)

    def right(self, logits: Array, targets: ArrayLike) -> Array:
        """Number of right answers, int32 ()."""
        targets = jnp.asarray(targets)
        if answers_each(self.loss):
            answers = (logits > middle(self.loss)) == (targets > 0.5)
        elif is_single(self.loss):
            answers = (logits[:, 0] > middle(self.loss)) == (targets == 1)
        else:
            wanted = targets if targets.ndim == 1 else jnp.argmax(targets, axis=1)
            answers = jnp.argmax(logits, axis=1) == wanted
        return jnp.sum(answers).astype(jnp.int32)


def _of_images(loss: Loss, logits: Array, targets: Array) -> Array:
    """The loss of each image (batch,)."""
    match loss:
        case CrossEntropy():
            voted = loss.targets == "votes"
            if not (voted or loss.label_smoothing):
                return optax.softmax_cross_entropy_with_integer_labels(logits, targets)
            classes = None if voted else jax.nn.one_hot(targets, logits.shape[1])
            rows = (targets if classes is None else classes).astype(logits.dtype)
            return optax.softmax_cross_entropy(
                logits, optax.smooth_labels(rows, loss.label_smoothing)
            )
        case BinaryCrossEntropy():
            rows = _towards(loss, logits, targets)
            return optax.sigmoid_binary_cross_entropy(logits, rows).mean(axis=1)
        case MeanSquaredError():
            given = jax.nn.sigmoid(logits) if loss.outputs == "sigmoid" else logits
            return optax.squared_error(given, _towards(loss, logits, targets)).mean(axis=1)


def _towards(loss: BinaryCrossEntropy | MeanSquaredError, logits: Array, targets: Array) -> Array:
    """Targets of the outputs: (batch, outputs), in the dtype of the logits."""
    if loss.targets == "one_hot":
        rows = jax.nn.one_hot(targets, logits.shape[1], dtype=logits.dtype)
    else:
        rows = (targets[:, None] if loss.targets == "labels" else targets).astype(logits.dtype)
    if isinstance(loss, BinaryCrossEntropy) and loss.label_smoothing:
        return rows * (1 - loss.label_smoothing) + loss.label_smoothing / 2
    return rows
