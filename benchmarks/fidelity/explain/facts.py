"""The facts on a network and a recipe that `differences.toml` speaks of, by name."""

from __future__ import annotations

from typing import Any

import msgspec

from frameworks.spec.architecture import LAYER_TYPES, Architecture
from frameworks.spec.defaults import PROJECT
from frameworks.spec.recipe import AdamW, Recipe, ReduceOnPlateau

_ABOVE_0 = 1e-30  # optax refuses a tolerance of 0; no float32 loss shows this one


def facts(architecture: Architecture, recipe: Recipe) -> dict[str, Any]:
    """The fields of the recipe and of its optimizer, and what follows from them and the layers.

    Of a layer or callback that is not there: the numbers of an example.
    """
    kernels, convs = _layers(architecture, "conv", "dense"), _layers(architecture, "conv")
    pools = _layers(architecture, "max_pool", "average_pool")
    paddings = sorted({layer.padding for layer in convs if max(layer.kernel_size) > 1})
    padding = {
        "keras": [f'Conv2D(..., padding="{each}")' for each in paddings],
        "torch": [f'nn.Conv2d(..., padding="{each}")' for each in paddings],
        "flax": [f'nnx.Conv(..., padding="{each.upper()}")' for each in paddings],
    }
    limits = [layer.max_norm for layer in kernels if layer.max_norm is not None]
    l2 = [layer.l2 for layer in kernels if layer.l2]
    stopping, plateau = recipe.early_stopping, recipe.reduce_on_plateau or ReduceOnPlateau()
    patience = stopping.patience if stopping else 4
    decoupled = isinstance(recipe.optimizer, AdamW)
    return {
        **msgspec.structs.asdict(recipe),
        **msgspec.structs.asdict(recipe.optimizer),
        "paddings": " and ".join(paddings),
        "padding": {name: " / ".join(lines) for name, lines in padding.items()},
        "strided": sum(layer.padding == "same" and layer.stride > 1 for layer in convs),
        "pools": len(pools),
        "wide_pools": any(layer.size > 1 for layer in pools),
        "pool": pools[0].size if pools else 2,
        "stride": pools[0].stride or pools[0].size if pools else 2,
        "flatten": _layers(architecture, "flatten"),
        "dropout": any(layer.rate for layer in _layers(architecture, "dropout")),
        "modal": _layers(architecture, "batch_norm", "dropout"),
        "held": len(limits),
        "limit": limits[0] if limits else 1.0,
        "kernels": len(kernels),
        "l2_layers": len(l2),
        "l2": min(l2, default=1e-3),
        "coupled": not decoupled,
        "decay_of_torch": "decoupled" if decoupled else "added to the gradient",
        "optimizer": recipe.optimizer.__struct_config__.tag,
        "epsilon_alone": "",
        "epsilon_to_place": getattr(recipe.optimizer, "epsilon", None) != 0,
        "epsilon_factor": (1 - getattr(recipe.optimizer, "beta_2", 0)) ** -0.5,
        "bessel": 100 / max(recipe.batch_size - 1, 1),  # %, of n / (n - 1) with one pixel
        "drop": recipe.partial_batch == "drop",
        "patience": patience,
        "patience_or_1": max(patience, 1),
        "patience_less_1": max(patience - 1, 0),
        "plateau": plateau,
        "min_delta_above_0": plateau.min_delta or _ABOVE_0,
        "plateau_patience_or_1": max(plateau.patience, 1),
        "plateau_patience_less_1": max(plateau.patience - 1, 0),
        "cooldown_less_1": max(plateau.cooldown - 1, 0),
        "keeps_best": recipe.keep_best or (stopping and stopping.restore_best),
    }


def of_field(field: str, architecture: Architecture, recipe: Recipe) -> dict[str, Any]:
    """Those on one field of `frameworks.spec.defaults`: who leaves it open, and its value."""
    tag, name = field.split(".")
    layers = _layers(architecture, tag)
    parts = layers if tag in LAYER_TYPES else [recipe.optimizer]
    given = [value for part in parts if (value := getattr(part, name)) is not None]
    value = given[0] if given else PROJECT[field]
    word = f"{value:g}" if isinstance(value, float) else f"{value}"
    count = len(parts) - len(given)
    who = f"{count} of {len(layers)} layers" if layers else "the recipe"
    return {
        "parts": parts,
        "open": f"left open by {who}" if count else "",
        "stated": "every layer states it" if layers else f"the recipe states it: {word}",
        "value": value,
        "weight_on_new": 1 - value if name == "momentum" else None,
        "out_of_root": value is False,
    }


def _layers(architecture: Architecture, *types: str) -> list[Any]:
    return [layer for layer in architecture.layers if layer.__struct_config__.tag in types]
