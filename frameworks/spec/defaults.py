"""Every field whose default differs between frameworks: the project's value, and each framework's.

Parity `matched` fills unstated fields from PROJECT, so that all frameworks compute one formula;
parity `native` fills them from the framework's own column, so that a run is what a straightforward
port gets. Structure (padding, strides, pool sizes, L2 terms) is part of the network and the same in
both. A conformance test reads NATIVE live from the installed frameworks and fails when a new
version changes a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from frameworks.spec.architecture import Architecture
from frameworks.spec.graph import changed
from frameworks.spec.layers import applies
from frameworks.spec.normalization import STAND_IN, normalized_by
from frameworks.spec.recipe import Recipe

Defaults = Mapping[str, Any]

PROJECT: Defaults = {
    "conv.kernel_initializer": "glorot_uniform",
    "conv.bias_initializer": "zeros",
    "dense.kernel_initializer": "glorot_uniform",
    "dense.bias_initializer": "zeros",
    "conv.negative_slope": 0.01,
    "dense.negative_slope": 0.01,
    "activation.negative_slope": 0.01,
    "conv.alpha": 1.0,
    "dense.alpha": 1.0,
    "activation.alpha": 1.0,
    "conv.approximate": False,
    "dense.approximate": False,
    "activation.approximate": False,
    "average_pool.count_padding": False,
    "layer_norm.epsilon": 1e-3,
    "layer_norm.variance": "two_pass",
    "group_norm.epsilon": 1e-3,
    "group_norm.variance": "two_pass",
    "batch_norm.epsilon": 1e-3,
    "batch_norm.momentum": 0.99,
    "batch_norm.running_variance": "biased",
    "batch_norm.variance": "two_pass",
    "adam.learning_rate": 1e-3,
    "adam.epsilon": 1e-7,
    "adam.epsilon_form": "paper",
    "adamw.learning_rate": 1e-3,
    "adamw.epsilon": 1e-7,
    "adamw.epsilon_form": "paper",
    "adamw.weight_decay": 0.004,
    "adadelta.learning_rate": 1e-3,
    "adadelta.rho": 0.95,
    "adadelta.epsilon": 1e-7,
    "adagrad.learning_rate": 1e-3,
    "adagrad.initial_accumulator": 0.1,
    "adagrad.epsilon": 1e-7,
    "adagrad.epsilon_in_root": True,
    "sgd.learning_rate": 1e-2,
    "sgd.velocity_form": "rate_outside",
    "sgd.decay_form": "coupled",
    "adam.decay_form": "coupled",
    "adam.amsgrad_form": "raw",
    "adamw.amsgrad_form": "raw",
    "adamax.learning_rate": 1e-3,
    "adamax.epsilon": 1e-7,
    "adamax.epsilon_in_norm": True,
    "lion.learning_rate": 1e-3,
    "lion.weight_decay": 0.0,
    "rmsprop.momentum_form": "rate_outside",
    "rmsprop.learning_rate": 1e-3,
    "rmsprop.rho": 0.9,
    "rmsprop.epsilon": 1e-7,
    "rmsprop.epsilon_in_root": True,
    "recipe.class_weight_mean": "images",
    "cosine.after_end": "stay",
    "cosine_restarts.length_factor": 2.0,
    "polynomial.end_rate": 1e-4,
    "norm.epsilon": 0.0,
    "global_norm.epsilon": 0.0,
    "average_weights.decay": 0.99,
    "average_weights.start": "first",
    "loss_scale.initial": 2.0**16,
    "loss_scale.interval": 2000,
}

NATIVE: Mapping[str, Defaults] = {
    "keras": {
        **PROJECT,
        # a word for the activation of a layer has one slope, keras.layers.LeakyReLU another
        "conv.negative_slope": 0.2,
        "dense.negative_slope": 0.2,
        "activation.negative_slope": 0.3,
        "adam.epsilon_form": "hat",
        "adamw.epsilon_form": "hat",
        "sgd.velocity_form": "rate_inside",
        "sgd.decay_form": "decoupled",
        "adam.decay_form": "decoupled",
        "adamax.epsilon_in_norm": False,
        "rmsprop.momentum_form": "rate_inside",
        "loss_scale.initial": 2.0**15,
    },
    "torch": {
        **PROJECT,
        "conv.kernel_initializer": "torch_uniform",
        "conv.bias_initializer": "torch_uniform",
        "dense.kernel_initializer": "torch_uniform",
        "dense.bias_initializer": "torch_uniform",
        "average_pool.count_padding": True,
        "layer_norm.epsilon": 1e-5,
        "group_norm.epsilon": 1e-5,
        "batch_norm.epsilon": 1e-5,
        "batch_norm.momentum": 0.9,
        "batch_norm.running_variance": "unbiased",
        "adam.epsilon": 1e-8,
        "adamw.epsilon": 1e-8,
        "adamw.weight_decay": 0.01,
        "adamax.learning_rate": 2e-3,
        "adamax.epsilon": 1e-8,
        "adadelta.learning_rate": 1.0,
        "adadelta.rho": 0.9,
        "adadelta.epsilon": 1e-6,
        "adagrad.learning_rate": 1e-2,
        "adagrad.initial_accumulator": 0.0,
        "adagrad.epsilon": 1e-10,
        "adagrad.epsilon_in_root": False,
        "sgd.learning_rate": 1e-3,
        "rmsprop.learning_rate": 1e-2,
        "rmsprop.rho": 0.99,
        "rmsprop.epsilon": 1e-8,
        "rmsprop.epsilon_in_root": False,
        "recipe.class_weight_mean": "weights",
        "cosine.after_end": "rise",
        "cosine_restarts.length_factor": 1.0,
        "polynomial.end_rate": 0.0,
        "norm.epsilon": 1e-6,
        "global_norm.epsilon": 1e-6,
        "average_weights.decay": 0.999,
    },
    "flax": {
        **PROJECT,
        "conv.kernel_initializer": "lecun_normal",
        "dense.kernel_initializer": "lecun_normal",
        "conv.approximate": True,
        "dense.approximate": True,
        "activation.approximate": True,
        "average_pool.count_padding": True,
        "layer_norm.epsilon": 1e-6,
        "layer_norm.variance": "fast",
        "group_norm.epsilon": 1e-6,
        "group_norm.variance": "fast",
        "batch_norm.epsilon": 1e-5,
        "batch_norm.variance": "fast",
        "adam.epsilon": 1e-8,
        "adamw.epsilon": 1e-8,
        "adamw.weight_decay": 1e-4,
        "adam.amsgrad_form": "corrected",
        "adamw.amsgrad_form": "corrected",
        "adamax.epsilon": 1e-8,
        "lion.weight_decay": 1e-3,
        "rmsprop.momentum_form": "rate_inside",
        "adadelta.rho": 0.9,
        "adadelta.epsilon": 1e-6,
        "rmsprop.epsilon": 1e-8,
        "average_weights.start": "debiased",
    },
}

# Of the values above, those that a framework has no form of: it refuses what states one.
CANNOT: Mapping[str, Defaults] = {
    "keras": {
        "batch_norm.running_variance": "unbiased",
        "batch_norm.variance": "fast",
        "layer_norm.variance": "fast",
        "group_norm.variance": "fast",
        "adagrad.epsilon_in_root": False,
        "rmsprop.epsilon_in_root": False,
        "adam.amsgrad_form": "corrected",
        "adamw.amsgrad_form": "corrected",
        "norm.epsilon": 1e-6,
        "global_norm.epsilon": 1e-6,
    },
    "torch": {
        "batch_norm.variance": "fast",
        "layer_norm.variance": "fast",
        "group_norm.variance": "fast",
        "adam.amsgrad_form": "corrected",
        "adamw.amsgrad_form": "corrected",
        "adamax.epsilon_in_norm": False,
    },
    "flax": {"adamax.epsilon_in_norm": False},
}


def lacks(column: str, field: str, value: object) -> bool:
    """True if a framework has no such form; where it refuses a number it has its own alone.

    Args:
        column: of `NATIVE`, or "" of a framework that declares no defaults.
    """
    refused = CANNOT.get(column, {}).get(field)
    if isinstance(refused, float):
        return value not in (None, NATIVE[column][field])
    return refused is not None and value == refused


# Whose defaults parity `matched` may fill from: one formula in every framework. A value that one of
# them has no form of stays the project's.
SHARED: Mapping[str, Defaults] = {
    name: {
        field: PROJECT[field] if any(lacks(cannot, field, value) for cannot in CANNOT) else value
        for field, value in column.items()
    }
    for name, column in {
        "project": PROJECT,
        "keras": NATIVE["keras"],
        "torch": NATIVE["torch"],
        "jax": NATIVE["flax"],
    }.items()
}

# Of the fields above, those that a framework has no default of, and asks for: left open, they are
# the project's.
REQUIRED: Mapping[str, frozenset[str]] = {
    "keras": frozenset(),
    "torch": frozenset({"lion.learning_rate", "lion.weight_decay"}),  # it has no Lion
    # optax has no class weights
    "flax": frozenset(field for field in PROJECT if field.endswith(".learning_rate"))
    | {"sgd.decay_form", "adam.decay_form"}  # as it is chained
    | {"cosine_restarts.length_factor", "polynomial.end_rate", "recipe.class_weight_mean"}
    | {"average_weights.decay"},
}

# Fields that every framework defaults alike: stated or left open is one training.
AGREED: Defaults = {
    field: value
    for field, value in PROJECT.items()
    if all(column[field] == value for column in NATIVE.values())
}

S = TypeVar("S", bound=msgspec.Struct)


def stated(part: S, defaults: Defaults = PROJECT, tag: str = "") -> S:
    """`part` (a layer or an optimizer) with every unstated field filled in from `defaults`; tag: of
    a part that has none of its own."""
    tag = tag or str(part.__struct_config__.tag)
    changes = {
        field.name: defaults[f"{tag}.{field.name}"]
        for field in msgspec.structs.fields(part)
        if getattr(part, field.name) is None
        and f"{tag}.{field.name}" in defaults
        and applies(part, field.name)
    }
    return msgspec.structs.replace(part, **changes)


def fill_architecture(architecture: Architecture, defaults: Defaults = PROJECT) -> Architecture:
    """The architecture with every unstated field of every layer filled in from `defaults`; one that
    normalises by galaxies, and has none here, with `normalization.STAND_IN`."""
    architecture = normalized_by(architecture, STAND_IN)
    layers = changed(architecture.layers, lambda layer: stated(layer, defaults))
    return msgspec.structs.replace(architecture, layers=layers)


def fill_recipe(recipe: Recipe, defaults: Defaults = PROJECT) -> Recipe:
    """The recipe with every unstated field of it, its optimizer, schedule, clipping, average and
    loss scale filled in from `defaults`."""
    filled: dict[str, Any] = {
        name: stated(part, defaults, "loss_scale" if name == "loss_scale" else "")
        for name in ("optimizer", "schedule", "clipping", "average_weights", "loss_scale")
        if (part := getattr(recipe, name)) is not None
    }
    filled["rounds"] = tuple(
        one
        if one.schedule is None
        else msgspec.structs.replace(one, schedule=stated(one.schedule, defaults))
        for one in recipe.rounds
    )
    mean = "recipe.class_weight_mean"
    if recipe.class_weights is not None and recipe.class_weight_mean is None and mean in defaults:
        filled["class_weight_mean"] = defaults[mean]
    return msgspec.structs.replace(recipe, **filled)
