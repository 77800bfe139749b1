"""The facts on a recipe that `differences.toml` speaks of, by name."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.fidelity.explain.question import Question
from frameworks.spec.recipe import AdamW, ReduceOnPlateau

_ABOVE_0 = 1e-30  # optax refuses a tolerance of 0; no float32 loss shows this one
_NO_SHARE = "  # a difference: Keras has no share of the best"
# What an optimizer's decay constant is called.
_RHO = {"rmsprop": {"torch": "alpha", "flax": "decay"}}


def facts(question: Question) -> dict[str, Any]:
    """The fields of the recipe and of its optimizer, filled in, and what follows from them.

    Of a callback that is not there: the numbers of an example.
    """
    recipe = question.filled
    optimizer = recipe.optimizer
    tag = str(optimizer.__struct_config__.tag)
    stopping, plateau = recipe.early_stopping, recipe.reduce_on_plateau or ReduceOnPlateau()
    patience = stopping.patience if stopping else 4
    decoupled = isinstance(optimizer, AdamW)
    return {
        **msgspec.structs.asdict(recipe),
        **msgspec.structs.asdict(optimizer),
        "never": False,
        "coupled": not decoupled,
        "decay_of_torch": "decoupled in AdamW" if decoupled else "it is added to the gradient",
        "optimizer": tag,
        "torch_rho": _RHO.get(tag, {}).get("torch", "rho"),
        "flax_rho": _RHO.get(tag, {}).get("flax", "rho"),
        "epsilon_to_place": getattr(optimizer, "epsilon", None) != 0,
        "epsilon_factor": (1 - getattr(optimizer, "beta_2", 0)) ** -0.5,
        "whole": f"n // {recipe.batch_size} * {recipe.batch_size}"
        if recipe.partial_batch == "drop"
        else "n",
        "weights": list(recipe.class_weights or ()),
        "patience": patience,
        "patience_or_1": max(patience, 1),
        "patience_less_1": max(patience - 1, 0),
        "plateau": plateau,
        "threshold_mode": "rel" if plateau.relative else "abs",
        "rtol": (plateau.min_delta or _ABOVE_0) * plateau.relative,
        "atol": (plateau.min_delta or _ABOVE_0) * (not plateau.relative),
        "keras_has_no_share": _NO_SHARE * plateau.relative,
        "plateau_patience_or_1": max(plateau.patience, 1),
        "plateau_patience_less_1": max(plateau.patience - 1, 0),
        "cooldown_less_1": max(plateau.cooldown - 1, 0),
        "keeps_best": recipe.keep_best or (stopping and stopping.restore_best),
    }
