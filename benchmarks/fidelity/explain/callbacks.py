"""The differences that class weights and callbacks bring in."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.fidelity.explain.difference import TITLES, Difference
from frameworks.spec.recipe import EarlyStopping, Recipe, ReduceOnPlateau

_NONE = "the recipe has none"


def differences(recipe: Recipe) -> Iterator[Difference]:
    """Of class weights, early stopping, plateau and the weights to end with."""
    yield _class_weights(recipe)
    yield _stopping(recipe.early_stopping)
    yield from _plateau(recipe.reduce_on_plateau)
    yield _best_weights(recipe)


def _class_weights(recipe: Recipe) -> Difference:
    return Difference(
        "loss.class_weights",
        "yes" if recipe.class_weights else "no",
        "PyTorch's weighted mean divides by the sum of the weights of the batch, Keras' by the "
        "number of its images"
        if recipe.class_weights
        else _NONE,
        "by formula: the mean weight of a batch, which changes from batch to batch; L2 terms then "
        "weigh as much more or less beside it",
        {"keras": "over the images", "torch": "over the weights", "flax": "one's own product"},
        {
            "keras": "fit(..., class_weight={0: w0, 1: w1, ...})",
            "torch": 'F.cross_entropy(logits, y, weight=w, reduction="sum") / len(y)',
            "flax": "(w[labels] * losses).mean()",
        },
    )


def _stopping(stopping: EarlyStopping | None) -> Difference:
    patience = stopping.patience if stopping else 4
    return Difference(
        "early_stopping.patience",
        "yes" if stopping and stopping.patience else "no",
        "Keras stops in the epoch whose count of those without a better score reaches the "
        "patience, Flax an epoch later; a patience of 0 is as 1 in Keras"
        if stopping
        else _NONE,
        "by formula: an epoch",
        {"keras": "patience epochs", "torch": "none", "flax": "patience + 1 epochs"},
        {
            "keras": f"keras.callbacks.EarlyStopping(patience={patience})",
            "torch": f"one's own count: stop when it reaches {max(patience, 1)}",
            "flax": f"flax.training.early_stopping.EarlyStopping(patience={max(patience - 1, 0)})",
        },
    )


def _plateau(plateau: ReduceOnPlateau | None) -> Iterator[Difference]:
    stated = plateau or ReduceOnPlateau()
    patience, cooldown, delta = stated.patience, stated.cooldown, f"{stated.min_delta:g}"
    above_0 = stated.min_delta or 1e-30  # optax refuses 0; no float32 loss shows it
    yield Difference(
        "reduce_on_plateau.min_delta",
        "yes" if plateau else "no",
        "Keras' is a difference; PyTorch's and optax' a share of the best score"
        if plateau
        else _NONE,
        "by formula: the best score times as much; nothing for a loss near 1",
        {"keras": "1e-4", "torch": "1e-4 of the best", "flax": "1e-4 of the best"},
        {
            "keras": f"ReduceLROnPlateau(min_delta={delta})",
            "torch": f'ReduceLROnPlateau(..., threshold={delta}, threshold_mode="abs")',
            "flax": f"optax.contrib.reduce_on_plateau(rtol=0.0, atol={above_0:g})",
        },
    )
    yield Difference(
        "reduce_on_plateau.patience",
        "yes" if plateau else "no",
        "PyTorch lowers the rate when more than patience epochs were no better, Keras and optax "
        "when as many were; Keras counts the last epoch of a cooldown again, the others do not"
        if plateau
        else _NONE,
        "by formula: an epoch, and one more after a cooldown",
        {
            "keras": "patience 10 epochs, cooldown 0",
            "torch": "more than 10 epochs, cooldown 0",
            "flax": "patience 10 steps, cooldown 0",
        },
        {
            "keras": f"ReduceLROnPlateau(patience={patience}, cooldown={cooldown})",
            "torch": f"ReduceLROnPlateau(..., patience={max(patience - 1, 0)}, "
            f"cooldown={max(cooldown - 1, 0)})",
            "flax": f"optax.contrib.reduce_on_plateau(patience={max(patience, 1)}, "
            f"cooldown={max(cooldown - 1, 0)}), updated once an epoch",
        },
    )


def _best_weights(recipe: Recipe) -> Difference:
    asked = recipe.keep_best or (recipe.early_stopping and recipe.early_stopping.restore_best)
    return Difference(
        "weights to end with",
        "yes" if asked else "no",
        "those of the best epoch; left alone, every framework ends with the last"
        if asked
        else "the recipe ends with the last, as every framework does",
        "",
        dict.fromkeys(TITLES, "the last"),
        {
            "keras": "EarlyStopping(restore_best_weights=True), or ModelCheckpoint("
            "save_best_only=True) and load_weights",
            "torch": "copy.deepcopy(model.state_dict()) at each best epoch, load_state_dict",
            "flax": "nnx.state(model) at each best epoch, nnx.update",
        },
    )
