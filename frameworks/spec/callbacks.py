"""Decisions by the scores of an epoch at its end: the rate, when to stop, which weights to keep.

The arithmetic is in `benchmarks.worker.callbacks`, the same for every framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from frameworks.spec.losses import MeanSquaredError, targets_of
from frameworks.spec.reading import SpecificationError

if TYPE_CHECKING:
    from frameworks.spec.recipe import Recipe

Monitor = Literal[
    "validation_loss",
    "validation_cross_entropy",
    "validation_accuracy",
    "validation_f1",
    "training_loss",
    "training_accuracy",
]
MONITORS: tuple[Monitor, ...] = get_args(Monitor)


def rises(monitor: Monitor) -> bool:
    """True where a higher score is the better one."""
    return monitor.endswith(("accuracy", "f1"))


class _Callback(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of decisions by a score at the end of an epoch.

    A loss includes the L2 terms. `validation_f1` is the mean over the classes of F1 (scikit-learn's
    `f1_score` with `average="macro"`). Scores of the training are means over the batches of the
    epoch, each from ahead of its step and with dropout: Keras' `loss` and `accuracy`.
    """

    monitor: Monitor = "validation_loss"


class EarlyStopping(_Callback, frozen=True, kw_only=True):
    """Stop after `patience` epochs without an improvement by more than `min_delta`.

    `restore_best` ends with the weights of the epoch of the last such improvement
    (keras/src/callbacks/early_stopping.py). Scores ahead of `first_epoch` do not count: Keras'
    `start_from_epoch`, which counts from 0.
    """

    min_delta: float = 0.0
    patience: int = 0
    restore_best: bool = False
    first_epoch: int = 1


class StopAt(_Callback, frozen=True, kw_only=True):
    """Stop as soon as the score is better than `score`."""

    score: float


class StopWhenWorse(_Callback, frozen=True, kw_only=True):
    """Stop when the score is worse than in each of the `epochs` epochs before, but not ahead of
    epoch `first_epoch`."""

    epochs: int = 1
    first_epoch: int = 1


class ReduceOnPlateau(_Callback, frozen=True, kw_only=True):
    """Multiply the learning rate by `factor`, down to `min_learning_rate`, after `patience` epochs
    without an improvement by more than `min_delta`; then wait `cooldown` epochs before counting
    again (keras/src/callbacks/reduce_lr_on_plateau.py). With `relative` the `min_delta` is a share
    of the best score, as PyTorch's threshold is by default. Beside a schedule the factors multiply
    the rates that it says from then on."""

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    min_learning_rate: float = 0.0
    relative: bool = False


class KeepBest(_Callback, frozen=True, kw_only=True):
    """Test with the weights of the epoch with the best score, not with the last ones (Keras'
    ModelCheckpoint with `save_best_only`, and then loading what it saved)."""


CALLBACKS: dict[str, type[_Callback]] = {
    "early_stopping": EarlyStopping,
    "stop_at": StopAt,
    "stop_when_worse": StopWhenWorse,
    "reduce_on_plateau": ReduceOnPlateau,
    "keep_best": KeepBest,
}


def watching(of: msgspec.Struct, prefix: str = "") -> list[str]:
    """The callbacks that a recipe, or a suite, states; of those whose score begins so."""
    return [
        name
        for name in CALLBACKS
        if (callback := getattr(of, name)) is not None and callback.monitor.startswith(prefix)
    ]


def check(recipe: Recipe) -> None:
    """Raise SpecificationError for a callback out of range, or of a score that the loss lacks."""
    for name in watching(recipe):
        callback = getattr(recipe, name)
        _check_monitor(recipe, name, callback.monitor)
        for field in ("patience", "cooldown", "min_delta", "min_learning_rate"):
            value = getattr(callback, field, 0)
            if not 0 <= value < float("inf"):
                raise SpecificationError(
                    f"recipe: {name}.{field} is {value}; must be finite and not negative."
                )
        for field in ("epochs", "first_epoch"):
            if getattr(callback, field, 1) < 1:
                raise SpecificationError(
                    f"recipe: {name}.{field} is {getattr(callback, field)}; must be at least 1."
                )
    target = recipe.stop_at
    if target is not None and not abs(target.score) < float("inf"):
        raise SpecificationError(f"recipe: stop_at.score is {target.score}; must be finite.")
    plateau = recipe.reduce_on_plateau
    if plateau is not None and not 0 < plateau.factor < 1:
        raise SpecificationError(
            f"recipe: reduce_on_plateau.factor is {plateau.factor}; must be in (0, 1)."
        )
    stopping = recipe.early_stopping
    if stopping is not None and stopping.restore_best and recipe.keep_best is not None:
        raise SpecificationError(
            "recipe: early_stopping.restore_best and keep_best both say which weights to end "
            "with; state one."
        )


def _check_monitor(recipe: Recipe, name: str, monitor: Monitor) -> None:
    """Raise SpecificationError for a score that a network with this loss does not have."""
    if monitor == "validation_cross_entropy" and isinstance(recipe.loss, MeanSquaredError):
        raise SpecificationError(
            f"recipe: {name}.monitor is validation_cross_entropy, and loss "
            "mean_squared_error has none; use validation_loss."
        )
    if monitor == "validation_f1" and targets_of(recipe.loss) == "votes":
        raise SpecificationError(
            f"recipe: {name}.monitor is validation_f1, which is of classes, and the loss is of "
            "votes; use validation_loss."
        )
