"""The loss of a batch in PyTorch (siblings: keras, flax; the formulas: numpy)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

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
from frameworks.spec.recipe import Recipe


class BatchLoss:
    """The recipe's loss of logits (batch, outputs) and targets, as one number.

    Args:
        dtype: that it is computed in.
        device: that the class weights are kept on.
    """

    def __init__(self, recipe: Recipe, dtype: torch.dtype, device: torch.device) -> None:
        self.loss, self.mean, self.dtype = recipe.trained_loss, recipe.class_weight_mean, dtype
        self.class_weights = (
            None
            if recipe.class_weights is None
            else torch.tensor(recipe.class_weights, dtype=dtype, device=device)
        )

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """
        Args:
            targets: class numbers int64 (batch,), or votes (batch, outputs).
        """
        mean = self.before_root(logits, targets)
        return mean.sqrt() if takes_root(self.loss) else mean

    def before_root(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch, of which a root mean squared error is the root."""
        logits = logits.to(self.dtype)
        if self.class_weights is None:
            return _mean(self.loss, logits, targets)
        if isinstance(self.loss, CrossEntropy) and not self.loss.label_smoothing:
            return self._weighted_entropy(logits, targets)
        # PyTorch's own weights with smoothing are those of every class that it smooths to
        weights = self.class_weights[targets]
        total = (weights * _of_images(self.loss, logits, targets)).sum()
        return total / (weights.sum() if self.mean == "weights" else len(targets))

    def _weighted_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """PyTorch's own mean divides by the sum of the weights of the batch."""
        if self.mean == "weights":
            return functional.cross_entropy(logits, labels, weight=self.class_weights)
        summed = functional.cross_entropy(
            logits, labels, weight=self.class_weights, reduction="sum"
        )
        return summed / len(labels)

    def right(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Number of right answers, int64 ()."""
        if answers_each(self.loss):
            return ((logits > middle(self.loss)) == (targets > 0.5)).sum()
        if is_single(self.loss):
            return ((logits[:, 0] > middle(self.loss)) == (targets == 1)).sum()
        return (logits.argmax(1) == (targets if targets.dim() == 1 else targets.argmax(1))).sum()


def root_of_whole(part: Tensor, whole: Tensor) -> Tensor:
    """The root of `whole`, the sum of every replica's `part`, with the gradient that is this one's
    part of the root's."""
    root = whole.sqrt()
    slope = part / (2 * root)
    return slope + (root - slope).detach()


def _mean(loss: Loss, logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over the images, by one call where PyTorch has one."""
    match loss:
        case CrossEntropy():
            towards = targets.to(logits.dtype) if loss.targets == "votes" else targets
            return functional.cross_entropy(logits, towards, label_smoothing=loss.label_smoothing)
        case BinaryCrossEntropy():
            towards = _towards(loss, logits, targets)
            return functional.binary_cross_entropy_with_logits(logits, towards)
        case MeanSquaredError():
            return functional.mse_loss(_given(loss, logits), _towards(loss, logits, targets))


def _of_images(loss: Loss, logits: Tensor, targets: Tensor) -> Tensor:
    """The loss of each image (batch,)."""
    match loss:
        case CrossEntropy():
            smoothing = loss.label_smoothing
            return functional.cross_entropy(
                logits, targets, label_smoothing=smoothing, reduction="none"
            )
        case BinaryCrossEntropy():
            towards = _towards(loss, logits, targets)
            each = functional.binary_cross_entropy_with_logits(logits, towards, reduction="none")
        case MeanSquaredError():
            towards = _towards(loss, logits, targets)
            each = functional.mse_loss(_given(loss, logits), towards, reduction="none")
    return each.mean(1)


def _given(loss: MeanSquaredError, logits: Tensor) -> Tensor:
    return logits.sigmoid() if loss.outputs == "sigmoid" else logits


def _towards(
    loss: BinaryCrossEntropy | MeanSquaredError, logits: Tensor, targets: Tensor
) -> Tensor:
    """Targets of the outputs: (batch, outputs), in the dtype of the logits."""
    if loss.targets == "labels":
        targets = targets[:, None]
    elif loss.targets == "one_hot":
        targets = functional.one_hot(targets, logits.shape[1])
    rows = targets.to(logits.dtype)
    if isinstance(loss, BinaryCrossEntropy) and loss.label_smoothing:
        return rows * (1 - loss.label_smoothing) + loss.label_smoothing / 2
    return rows
