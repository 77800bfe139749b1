"""Probe of Flax NNX's and optax's own defaults (siblings: `keras`, `torch`; asked by `questions`).

Runs in a process of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.training.dynamic_scale import DynamicScale

VERSIONS = {"flax": flax.__version__, "optax": optax.__version__, "jax": jax.__version__}
OPTIMIZERS: dict[str, Any] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "adamax": optax.adamax,
    "lion": optax.lion,
    "adadelta": optax.adadelta,
    "adagrad": optax.adagrad,
    "sgd": optax.sgd,
    "rmsprop": optax.rmsprop,
}
NAMES = {
    "learning_rate": "learning_rate",
    "beta_1": "b1",
    "beta_2": "b2",
    "epsilon": "eps",
    "rho": "rho",
    "initial_accumulator": "initial_accumulator_value",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "weight_decay": "weight_decay",
    "centered": "centered",
}


def hyper_parameter(optimizer: str, name: str) -> Any:
    """The default of an optimizer's argument."""
    if name == "amsgrad":
        return "optax.amsgrad" if hasattr(optax, "amsgrad") else None
    if (optimizer, name) == ("rmsprop", "rho"):
        name = "decay"
    default = inspect.signature(OPTIMIZERS[optimizer]).parameters[NAMES.get(name, name)].default
    if default is None or default is inspect.Parameter.empty:
        return "required" if name == "learning_rate" else 0.0
    return default


def stated() -> dict[str, Any]:
    """Settings that are stated and need no measuring."""
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    allowed = "the device's default" if precision is None else precision
    polynomial = inspect.signature(optax.polynomial_schedule).parameters["end_value"].default
    scaled = DynamicScale()
    return {
        "loss_scale.initial": float(scaled.scale),
        "loss_scale.interval": scaled.growth_interval,
        "cosine_restarts.length_factor": "required",  # each part is given its own length
        "polynomial.end_rate": "required" if polynomial is inspect.Parameter.empty else polynomial,
        "batch_norm.epsilon": nnx.BatchNorm(1, rngs=nnx.Rngs(0)).epsilon,
        "batches.shuffled": None,  # no loader of its own
        "batches.partial": None,
        "precision.default": str(jnp.zeros(1).dtype),
        "precision.tf32_matmul": allowed,
        "precision.tf32_conv": allowed,
        "compiled": None,  # what nnx.jit is put on
    }


def weights(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Fresh kernel and bias in the framework's layout: conv 3x3, 8 to 512; dense 512 to 256."""
    rngs = nnx.Rngs(0)
    layer: Any = (
        nnx.Conv(8, 512, (3, 3), rngs=rngs) if kind == "conv" else nnx.Linear(512, 256, rngs=rngs)
    )
    return np.array(layer.kernel[...]), np.array(layer.bias[...])


def batch_norm(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One training step of a fresh batch norm on float32 (n, channels): output, running mean and
    running variance."""
    layer = nnx.BatchNorm(x.shape[1], rngs=nnx.Rngs(0))
    output = np.array(layer(jnp.asarray(x)))
    return output, np.array(layer.mean[...]), np.array(layer.var[...])


def functions(x: np.ndarray) -> dict[str, np.ndarray]:
    """Activation functions, float32: as the word of a layer's activation, and as a layer; Flax has
    one form of each."""
    made = {"leaky_relu": nnx.leaky_relu, "elu": nnx.elu, "gelu": nnx.gelu}
    found = {name: np.array(one(jnp.asarray(x))) for name, one in made.items()}
    return {f"{form} {name}": y for form in ("layer", "word") for name, y in found.items()}


def picture_norm(kind: str, x: np.ndarray) -> tuple[np.ndarray, float]:
    """A fresh layer or group norm (of one group) on float32 (n, channels): output, epsilon."""
    rngs, channels = nnx.Rngs(0), x.shape[1]
    plain = kind == "layer_norm"
    made: Any = (
        nnx.LayerNorm(channels, rngs=rngs)
        if plain
        else nnx.GroupNorm(channels, num_groups=1, rngs=rngs)
    )
    return np.array(made(jnp.asarray(x))), made.epsilon


def convolve(x: np.ndarray, **options: Any) -> np.ndarray:
    """A 3x3 kernel of ones over pictures (n, height, width, 1)."""
    arguments = dict(options)
    if "padding" in arguments:
        arguments["padding"] = arguments["padding"].upper()
    if "stride" in arguments:
        arguments["strides"] = arguments.pop("stride")
    ones = nnx.initializers.ones
    layer = nnx.Conv(1, 1, (3, 3), kernel_init=ones, rngs=nnx.Rngs(0), **arguments)
    return np.array(layer(jnp.asarray(x)))


def pool(kind: str, x: np.ndarray, **options: Any) -> np.ndarray:
    """2x2 windows over pictures (n, height, width, 1)."""
    arguments = dict(options)
    if "padding" in arguments:
        arguments["padding"] = arguments["padding"].upper()
    if "stride" in arguments:
        arguments["strides"] = (arguments.pop("stride"),) * 2
    function = {"max": nnx.max_pool, "average": nnx.avg_pool}[kind]
    return np.array(function(jnp.asarray(x), (2, 2), **arguments))


def gradient(function: str, x: np.ndarray) -> np.ndarray:
    """Gradient of the sum of relu, relu6, maximum(x, 0) or a 2x2 max-pool of (n, height, width, 1)
    pictures."""
    functions: dict[str, Any] = {
        "relu": nnx.relu,
        "relu6": jax.nn.relu6,
        "maximum": lambda value: jnp.maximum(value, 0.0),
        "max_pool": lambda value: nnx.max_pool(value, (2, 2), (2, 2)),
    }
    return np.array(jax.grad(lambda value: functions[function](value).sum())(jnp.asarray(x)))


def dropout(x: np.ndarray, rate: float) -> np.ndarray:
    """Dropout in training."""
    return np.array(nnx.Dropout(rate, rngs=nnx.Rngs(0))(jnp.asarray(x)))


def flatten(x: np.ndarray) -> np.ndarray:
    """Pictures (n, height, width, channels), given to the framework in its layout, made flat."""
    return np.array(jnp.asarray(x).reshape(len(x), -1))


def cross_entropy(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The cross-entropy of integer labels, with its default arguments."""
    return np.array(optax.softmax_cross_entropy_with_integer_labels(values, labels))


def weighted_mean(values: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
    """Optax has no class weights: users multiply, and take a mean of their own."""


def descend(
    optimizer: str,
    options: Mapping[str, Any],
    gradients: Sequence[float],
    rates: Sequence[float | None],
) -> list[float]:
    """One weight, 1 at first, after each step; a rate of None leaves the default."""
    kind = optax.amsgrad if options.get("amsgrad") else OPTIMIZERS[optimizer]
    arguments = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    if rates[0] is not None:
        arguments["learning_rate"] = lambda count: jnp.asarray(rates)[count]
    made = kind(**arguments)
    weight = jnp.ones(1)
    state = made.init(weight)
    trace = []
    for value in gradients:
        updates, state = made.update(jnp.asarray([value]), state, weight)
        weight = optax.apply_updates(weight, updates)
        trace.append(float(weight[0]))
    return trace


def clipped(gradients: Sequence[np.ndarray], limit: float) -> list[np.ndarray]:
    """Gradients clipped by norm the way that the framework's users do."""
    values = [jnp.asarray(value) for value in gradients]
    made = optax.clip_by_global_norm(limit)
    updates, _ = made.update(values, made.init(values))
    return [np.array(value) for value in updates]


def average(weights: Sequence[float], decay: float) -> tuple[str, list[float]]:
    """The framework's own decay, and the average of a weight after each step with this one."""
    averages, found = optax.ema(decay), []
    state = averages.init(jnp.zeros(()))
    for value in weights:
        mean, state = averages.update(jnp.asarray(value), state)
        found.append(float(mean))
    return "required", found


def cosine(steps: int, at: int) -> float:
    """Cosine decay from 1 over `steps`, at step `at`."""
    return float(optax.cosine_decay_schedule(1.0, steps)(at))
