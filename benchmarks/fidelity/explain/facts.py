"""The facts on a recipe that `differences.toml` speaks of, by name."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.fidelity.explain.lines.schedules import formula
from benchmarks.fidelity.explain.question import Question
from frameworks.spec import schedules
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import ByGlobalNorm, ByNorm, ByValue, Clipping
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.losses import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
from frameworks.spec.recipe import AdamW, Lion, Recipe, ReduceOnPlateau, decay, spares

_ABOVE_0 = 1e-30  # optax refuses a tolerance of 0; no float32 loss shows this one
_NO_SHARE = "  # a difference: Keras has no share of the best"
# What an optimizer's decay constant is called.
_RHO = {"rmsprop": {"torch": "alpha", "flax": "decay"}}

# Lines that freeze a batch norm, by how it computes in training; `explain` puts the layer's name.
_EVAL = "{name}.eval()  # after each model.train()"
_FROZEN = {
    "inference": {
        "keras": "{name}.trainable = False",
        "torch": f"{{name}}.requires_grad_(False)\n{_EVAL}",
        "flax": f"{_EVAL}; its parameters are not in the optimizer's wrt",
    },
    "training": {
        "keras": "{name}.gamma.trainable = {name}.beta.trainable = False",
        "torch": "{name}.requires_grad_(False)",
        "flax": "{name}.train()  # its parameters are not in the optimizer's wrt",
    },
}

# What the frameworks' classes for a schedule, or for a warm-up, do apart from one another.
_STAIRS = "ExponentialDecay falls at every step unless staircase=True"
_ALPHA = "alpha is the last rate as a share of the first"
SCHEDULES: dict[str, dict[str, str]] = {
    "step": {
        "keras": _STAIRS,
        "flax": "exponential_decay falls at every step unless staircase=True",
    },
    "exponential": {"torch": "ExponentialLR's factor is of one call"},
    "multi_step": {"keras": "PiecewiseConstantDecay changes one step after its boundary"},
    "cosine": {
        "keras": f"CosineDecay's {_ALPHA}, where it stays",
        "torch": "CosineAnnealingLR's eta_min is a rate, from which it rises again",
        "flax": f"cosine_decay_schedule's {_ALPHA}, where it stays",
    },
    "cosine_restarts": {
        "keras": "CosineDecayRestarts doubles the length each time unless told (t_mul), and finds "
        "its restarts by logarithms in float32: measured, one came a step late at t_mul=1.5",
        "torch": "CosineAnnealingWarmRestarts keeps length and height unless told; T_mult is a "
        "whole number, and for the height it has no argument",
        "flax": "sgdr_schedule asks for every cycle",
    },
    "polynomial": {
        "keras": "PolynomialDecay ends at 1e-4 unless told",
        "torch": "PolynomialLR ends at 0",
        "flax": "polynomial_schedule asks for the end",
    },
    "one_cycle": {
        "keras": "it has no single cycle",
        "torch": "OneCycleLR changes the momentum too unless cycle_momentum=False, and cannot go "
        "on past its end",
        "flax": "cosine_onecycle_schedule has its peak and its end one step later than PyTorch's",
    },
    "warm_up": {
        "keras": "CosineDecay alone has a warm-up, from its first argument to warmup_target",
        "torch": "LinearLR begins at a third unless told, and cannot begin at 0",
        "flax": "linear_schedule asks for both ends",
    },
}


def facts(question: Question) -> dict[str, Any]:
    """The fields of the recipe and of its optimizer, filled in, and what follows from them.

    Of a callback that is not there: the numbers of an example.
    """
    recipe = question.filled
    optimizer = recipe.optimizer
    tag = str(optimizer.__struct_config__.tag)
    stopping, plateau = recipe.early_stopping, recipe.reduce_on_plateau or ReduceOnPlateau()
    scale = recipe.loss_scale or LossScale(initial=2.0**16, interval=2000)
    patience = stopping.patience if stopping else 4
    decoupled = isinstance(optimizer, AdamW | Lion)
    return {
        **msgspec.structs.asdict(recipe),
        **msgspec.structs.asdict(optimizer),
        "never": False,
        "no_decay_stated": not decay(optimizer)[0],
        "no_clipping_stated": recipe.clipping is None,
        "clips_tensors": isinstance(recipe.clipping, ByNorm),
        "clips_all": isinstance(recipe.clipping, ByGlobalNorm),
        "clips_numbers": isinstance(recipe.clipping, ByValue),
        "accumulates": recipe.accumulation > 1,
        "averages": recipe.average_weights is not None,
        **_average(recipe.average_weights or AverageWeights(decay=0.99, start="first")),
        "amsgrad": getattr(optimizer, "amsgrad", False),
        "weight_decay": decay(optimizer)[0],
        "spares": bool(decay(optimizer)[0]) and spares(optimizer, ""),
        "momentum": getattr(optimizer, "momentum", None),
        "epsilon_to_place": getattr(optimizer, "epsilon", None) != 0,
        **_clipping(recipe.clipping),
        **{f"loss_scale_{name}": value for name, value in msgspec.structs.asdict(scale).items()},
        **{f"frozen_{kind}": code for kind, code in _FROZEN[recipe.frozen_norm].items()},
        "softmax_loss": isinstance(recipe.loss, CrossEntropy),
        "binary_loss": isinstance(recipe.loss, BinaryCrossEntropy),
        "squared_loss": isinstance(recipe.loss, MeanSquaredError),
        "scheduled": schedules.scheduled(recipe),
        "rate_changes": schedules.scheduled(recipe) or recipe.reduce_on_plateau is not None,
        "schedule_per": formula.per(recipe) if schedules.scheduled(recipe) else "epoch",
        "schedule_of": _schedule(recipe),
        "coupled": not decoupled,
        "decay_of_torch": "decoupled in AdamW" if decoupled else "it is added to the gradient",
        "optimizer": tag,
        "torch_rho": _RHO.get(tag, {}).get("torch", "rho"),
        "flax_rho": _RHO.get(tag, {}).get("flax", "rho"),
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


def _schedule(recipe: Recipe) -> dict[str, str]:
    """Facts on each framework's classes for the recipe's schedule and warm-up."""
    parts = [part for part in (recipe.schedule, recipe.warm_up) if part is not None]
    told = [SCHEDULES[str(part.__struct_config__.tag)] for part in parts]
    return {
        kind: "".join(f"; {one[kind]}" for one in told if kind in one)
        for kind in ("keras", "torch", "flax")
    }


def _average(average: AverageWeights) -> dict[str, str]:
    """Lines that average the weights; the last is for after each step."""
    decay, rest = f"{average.rate:g}", f"{1 - average.rate:g}"
    if average.start == "first":
        utils = "torch.optim.swa_utils"
        function = f"multi_avg_fn={utils}.get_ema_multi_avg_fn({decay})"
        return {
            "average_keras": f"optimizer = keras.optimizers.SGD(0.1, use_ema=True, "
            f"ema_momentum={decay})",
            "average_torch": f"averaged = {utils}.AveragedModel(model, {function})\n"
            "averaged.update_parameters(model)  # after each step",
            "average_flax": f"share = 1.0 if step == 1 else {rest}  # step: from 1\n"
            "average = jax.tree.map(lambda a, w: a + share * (w - a), average, weights)",
        }
    share = f"share = {rest} / (1 - {decay} ** step)  # step: from 1\n"
    return {
        "average_keras": f"{share}[a.assign_add(share * (w - a)) for a, w in zip(average, weights)"
        "]",
        "average_torch": f"{share}[a.lerp_(w.detach(), share) for a, w in zip(average, weights)]",
        "average_flax": f"averages = optax.ema({decay})\n"
        "average, state = averages.update(weights, state)  # after each step",
    }


def _clipping(clipping: Clipping | None) -> dict[str, Any]:
    """Words for the lines on clipping; without a clipping, those of an example."""
    clipping = clipping or ByGlobalNorm(limit=1.0)
    limit = f"{clipping.limit:g}"
    parameters = "model.parameters()"
    each = f"[nn.utils.clip_grad_norm_([p], {limit}) for p in {parameters}]"
    scaled = f"g * jnp.minimum(1, {limit} / jnp.linalg.norm(g))"
    by: dict[str, tuple[str, str, str, str]] = {
        "value": (
            *("each number", "clipvalue"),
            *(f"nn.utils.clip_grad_value_({parameters}, {limit})", f"optax.clip({limit})"),
        ),
        "norm": (
            *("the norm of each tensor", "clipnorm", each),
            f"optax.stateless(lambda u, p: jax.tree.map(lambda g: {scaled}, u))",
        ),
        "global_norm": (
            *("the norm of all tensors together", "global_clipnorm"),
            f"norm = nn.utils.clip_grad_norm_({parameters}, {limit})",
            f"optax.clip_by_global_norm({limit})",
        ),
    }
    names = ("clip_words", "clip_keras", "clip_torch", "clip_flax")
    found = dict(zip(names, by[str(clipping.__struct_config__.tag)], strict=True))
    return {**found, "clip_limit": clipping.limit}
