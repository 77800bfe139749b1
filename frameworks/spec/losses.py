"""A loss is what training makes small, as data: the head of a network, without its weights.

The network ends in plain numbers (logits). The softmax or sigmoid behind them is part of the loss,
and so is how many numbers there are: one for each class, one for a yes or no, one for each vote.
The formulas are written out in `frameworks.numpy.losses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from frameworks.spec.reading import SpecificationError
from results.words import count

if TYPE_CHECKING:
    import numpy as np


Targets = Literal["labels", "one_hot", "votes"]


class _Loss(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", kw_only=True
):
    """Base of the losses: a mean over the images of a batch."""


class CrossEntropy(_Loss, frozen=True, tag="cross_entropy", kw_only=True):
    """Softmax cross-entropy of the label, an output for each class.

    `targets` "votes" has an output for each column of the galaxies' votes v, answers to one
    question: -sum(v * log(softmax)). Of shares it is the cross-entropy, of counts the negative
    log-likelihood of a multinomial distribution, but for a constant.
    `label_smoothing` s trains towards (1 - s) * target + s / outputs (Szegedy et al. 2016).
    """

    label_smoothing: float = 0.0
    targets: Literal["labels", "votes"] = "labels"


class BinaryCrossEntropy(_Loss, frozen=True, tag="binary_cross_entropy", kw_only=True):
    """Sigmoid cross-entropy, averaged over the outputs.

    `targets` "labels" is one output for labels of two classes, the probability of the second;
    "one_hot" is an output for each class, 1 for the label's and 0 for the others; "votes" is an
    output for each column of the galaxies' votes, numbers from 0 to 1. `label_smoothing` s trains
    towards (1 - s) * target + s / 2, as Keras has it.
    """

    targets: Targets = "labels"
    label_smoothing: float = 0.0


class MeanSquaredError(_Loss, frozen=True, tag="mean_squared_error", kw_only=True):
    """Mean over the outputs of (output - target)^2.

    `outputs` are the numbers that the network ends in ("linear"), or their sigmoid. `targets` as
    of binary cross-entropy. `root` takes the square root of the mean over images and outputs: of
    a batch in training, of all images where they are scored.
    """

    targets: Literal["one_hot", "votes"] = "votes"
    outputs: Literal["linear", "sigmoid"] = "linear"
    root: bool = False


Loss = CrossEntropy | BinaryCrossEntropy | MeanSquaredError
LOSSES: dict[str, type[_Loss]] = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "mean_squared_error": MeanSquaredError,
}


def name_of(loss: Loss) -> str:
    """The loss's name, as in `LOSSES`."""
    return str(loss.__struct_config__.tag)


def targets_of(loss: Loss) -> Targets:
    """Kind of target that an output is compared with: class number, one-hot row, or votes."""
    return loss.targets


def is_single(loss: Loss) -> bool:
    """True if the network has one output, for a yes or no."""
    return isinstance(loss, BinaryCrossEntropy) and loss.targets == "labels"


def takes_root(loss: Loss) -> bool:
    """True if the loss is the square root of a mean over the images."""
    return isinstance(loss, MeanSquaredError) and loss.root


def middle(loss: Loss) -> float:
    """The output on whose upper side an answer is yes: the probability there is one half."""
    return 0.5 if isinstance(loss, MeanSquaredError) and loss.outputs == "linear" else 0.0


def outputs(loss: Loss, classes: int, votes: int = 0) -> int:
    """The outputs of a network that is trained with this loss.

    Args:
        classes: number of classes of the galaxies' labels.
        votes: numbers that each galaxy was voted on; 0 where there are no votes.

    Raises:
        SpecificationError: the head does not fit the labels; the message says which it needs.
    """
    kind, name = targets_of(loss), name_of(loss)
    if kind == "votes":
        if not votes:
            raise SpecificationError(
                f"loss '{name}' with targets \"votes\" needs galaxies with votes: a dataset "
                "'votes' of floats, (galaxies, outputs), in the HDF5 file (docs/data.md). These "
                'galaxies have labels alone; use targets = "one_hot", or cross_entropy of labels.'
            )
        return votes
    if classes < 2:
        raise SpecificationError(f"a classifier needs at least 2 classes, got {classes}.")
    if is_single(loss):
        if classes != 2:
            raise SpecificationError(
                f"loss '{name}' with targets \"labels\" needs labels of 2 classes, and these "
                f'galaxies have {classes}; use targets = "one_hot" for an output of each class, '
                "or loss cross_entropy."
            )
        return 1
    return classes


def answers_each(loss: Loss) -> bool:
    """True if every vote is an answer by itself; a softmax is one answer to one question."""
    return targets_of(loss) == "votes" and not isinstance(loss, CrossEntropy)


def answers(loss: Loss, outputs: int) -> int:
    """Answers to each image, each right or wrong: its class, or every vote."""
    return outputs if answers_each(loss) else 1


def check_votes(loss: Loss, votes: np.ndarray, origin: str) -> None:
    """Raise SpecificationError for votes that cannot be trained towards.

    Args:
        votes: float (galaxies, outputs).
        origin: names the file in the message.
    """
    import numpy as np  # `--help` reads this module and needs none

    bad = ~np.isfinite(votes)
    rule = "is not a number"
    bounded = isinstance(loss, BinaryCrossEntropy) or (
        isinstance(loss, MeanSquaredError) and loss.outputs == "sigmoid"
    )
    if not bad.any() and bounded:
        bad, rule = (votes < 0) | (votes > 1), "is not from 0 to 1"
    if not bad.any() and isinstance(loss, CrossEntropy):
        none = votes.sum(axis=1, keepdims=True) <= 0
        bad, rule = (votes < 0) | none, "is below 0, or in a galaxy without votes"
    if not bad.any():
        return
    rows = np.flatnonzero(bad.any(axis=1))
    column = int(np.flatnonzero(bad[rows[0]])[0])
    remedy = (
        "; divide counts by the number of votes, or use loss mean_squared_error with outputs = "
        '"linear"'
        if rule.startswith("is not from")
        else "; leave such galaxies out, or write the share that they had"
    )
    raise SpecificationError(
        f"{origin}: 'votes' of {len(rows)} of {count(len(votes), 'galaxy')} cannot be trained "
        f"towards: row {rows[0]}, column {column} is {votes[rows[0], column]:g}, which "
        f"{rule}{remedy}."
    )


def check_loss(loss: Loss) -> None:
    """Raise SpecificationError for a field that is out of range."""
    smoothing = getattr(loss, "label_smoothing", 0.0)
    if not 0 <= smoothing < 1:
        raise SpecificationError(f"recipe: label_smoothing is {smoothing}; must be in [0, 1).")
