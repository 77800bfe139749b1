"""Probe of Keras's own defaults (siblings: `torch`, `flax`; asked by `questions`).

Runs in a process of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

VERSIONS = {"keras": keras.__version__, "tensorflow": tf.__version__}
OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "adamax": keras.optimizers.Adamax,
    "lion": keras.optimizers.Lion,
    "adadelta": keras.optimizers.Adadelta,
    "adagrad": keras.optimizers.Adagrad,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
}
NAMES = {
    "learning_rate": "learning_rate",
    "beta_1": "beta_1",
    "beta_2": "beta_2",
    "epsilon": "epsilon",
    "rho": "rho",
    "initial_accumulator": "initial_accumulator_value",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "weight_decay": "weight_decay",
    "amsgrad": "amsgrad",
    "centered": "centered",
}


def hyper_parameter(optimizer: str, name: str) -> Any:
    """The default of an optimizer's argument."""
    default = inspect.signature(OPTIMIZERS[optimizer]).parameters[NAMES[name]].default
    return 0.0 if name == "weight_decay" and default is None else default


def stated() -> dict[str, Any]:
    """Settings that are stated and need no measuring."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    fit = inspect.signature(keras.Model.fit).parameters
    steps = _Steps()
    model.fit(np.zeros((5, 2)), np.zeros(5), batch_size=2, verbose=0, callbacks=[steps])
    schedules = keras.optimizers.schedules
    restarts = inspect.signature(schedules.CosineDecayRestarts).parameters
    polynomial = inspect.signature(schedules.PolynomialDecay).parameters
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    return {
        "cosine_restarts.length_factor": restarts["t_mul"].default,
        "polynomial.end_rate": polynomial["end_learning_rate"].default,
        "loss_scale.initial": scaled.initial_scale,
        "loss_scale.interval": scaled.dynamic_growth_steps,
        "batch_norm.epsilon": keras.layers.BatchNormalization().epsilon,
        "batches.shuffled": fit["shuffle"].default,
        "batches.partial": "keep" if steps.count == 3 else "drop",
        "precision.default": keras.config.floatx(),
        "precision.tf32_matmul": tf.config.experimental.tensor_float_32_execution_enabled(),
        "precision.tf32_conv": tf.config.experimental.tensor_float_32_execution_enabled(),
        "compiled": "XLA" if model.jit_compile else "graph, no XLA",
    }


def weights(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Fresh kernel and bias in the framework's layout: conv 3x3, 8 to 512; dense 512 to 256."""
    keras.utils.set_random_seed(0)
    if kind == "conv":
        layer = keras.layers.Conv2D(512, 3)
        layer.build((None, 8, 8, 8))
    else:
        layer = keras.layers.Dense(256)
        layer.build((None, 512))
    return np.array(layer.kernel), np.array(layer.bias)


def batch_norm(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One training step of a fresh batch norm on float32 (n, channels): output, running mean and
    running variance."""
    layer = keras.layers.BatchNormalization()
    output = np.array(layer(x, training=True))
    return output, np.array(layer.moving_mean), np.array(layer.moving_variance)


def functions(x: np.ndarray) -> dict[str, np.ndarray]:
    """Activation functions, float32: as the word of a layer's activation, and as a layer."""
    layers = {"leaky_relu": keras.layers.LeakyReLU(), "elu": keras.layers.ELU()}
    found = {f"layer {name}": np.array(made(x)) for name, made in layers.items()}
    found["layer gelu"] = np.array(keras.layers.Activation("gelu")(x))
    words = {name: keras.activations.get(name) for name in ("leaky_relu", "elu", "gelu")}
    value = keras.ops.convert_to_tensor(x)
    return found | {f"word {name}": np.array(made(value)) for name, made in words.items()}


def picture_norm(kind: str, x: np.ndarray) -> tuple[np.ndarray, float]:
    """A fresh layer or group norm (of one group) on float32 (n, channels): output, epsilon."""
    plain = keras.layers.LayerNormalization()
    made = plain if kind == "layer_norm" else keras.layers.GroupNormalization(1)
    return np.array(made(x)), made.epsilon


def convolve(x: np.ndarray, **options: Any) -> np.ndarray:
    """A 3x3 kernel of ones over pictures (n, height, width, 1)."""
    layer = keras.layers.Conv2D(1, 3, kernel_initializer="ones", **_strides(options))
    return np.array(layer(x))


def pool(kind: str, x: np.ndarray, **options: Any) -> np.ndarray:
    """2x2 windows over pictures (n, height, width, 1)."""
    layers = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
    return np.array(layers[kind](2, **_strides(options))(x))


def gradient(function: str, x: np.ndarray) -> np.ndarray:
    """Gradient of the sum of relu, relu6, maximum(x, 0) or a 2x2 max-pool of (n, height, width, 1)
    pictures."""
    functions = {
        "relu": keras.activations.relu,
        "relu6": keras.activations.relu6,
        "maximum": lambda value: keras.ops.maximum(value, 0.0),
        "max_pool": keras.layers.MaxPooling2D(2),
    }
    value = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(value)
        total = keras.ops.sum(functions[function](value))
    return np.array(tape.gradient(total, value))


def dropout(x: np.ndarray, rate: float) -> np.ndarray:
    """Dropout in training."""
    return np.array(keras.layers.Dropout(rate)(x, training=True))


def flatten(x: np.ndarray) -> np.ndarray:
    """Pictures (n, height, width, channels), given to the framework in its layout, made flat."""
    return np.array(keras.layers.Flatten()(x))


def cross_entropy(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The cross-entropy of integer labels, with its default arguments."""
    return np.array(keras.losses.SparseCategoricalCrossentropy()(labels, values))


def weighted_mean(values: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The cross-entropy of integer labels whose images are weighted by class, as `fit` does it."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return float(loss(labels, values, sample_weight=weights[labels]))


def descend(
    optimizer: str,
    options: Mapping[str, Any],
    gradients: Sequence[float],
    rates: Sequence[float | None],
) -> list[float]:
    """One weight, 1 at first, after each step; a rate of None leaves the default."""
    arguments = {NAMES[name]: value for name, value in options.items()}
    if rates[0] is not None:
        arguments["learning_rate"] = rates[0]
    made = OPTIMIZERS[optimizer](**arguments)
    weight = keras.Variable(np.float32(1.0))
    trace = []
    for value, rate in zip(gradients, rates, strict=True):
        if rate is not None:
            made.learning_rate = rate
        made.apply([keras.ops.convert_to_tensor(np.float32(value))], [weight])
        trace.append(float(np.array(weight)))
    return trace


def clipped(gradients: Sequence[np.ndarray], limit: float) -> list[np.ndarray]:
    """Gradients clipped by norm the way that the framework's users do."""
    variables = [keras.Variable(np.zeros_like(value)) for value in gradients]
    optimizer = keras.optimizers.SGD(1.0, clipnorm=limit)
    optimizer.apply([keras.ops.convert_to_tensor(value) for value in gradients], variables)
    return [-np.array(variable) for variable in variables]


def average(weights: Sequence[float], decay: float) -> tuple[float, list[float]]:
    """The framework's own decay, and the average of a weight after each step with this one."""
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=decay)
    weight, found = keras.Variable(np.zeros(1, np.float32)), []
    for value in weights:
        step = np.array(weight) - np.array([value], np.float32)
        optimizer.apply([keras.ops.convert_to_tensor(step)], [weight])
        found.append(float(np.array(optimizer._model_variables_moving_average[0])[0]))
    return keras.optimizers.SGD().ema_momentum, found


def cosine(steps: int, at: int) -> float:
    """Cosine decay from 1 over `steps`, at step `at`."""
    return float(keras.optimizers.schedules.CosineDecay(1.0, steps)(at))


class _Steps(keras.callbacks.Callback):
    count = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.count += 1


def _strides(options: dict[str, Any]) -> dict[str, Any]:
    return {"strides" if name == "stride" else name: value for name, value in options.items()}
