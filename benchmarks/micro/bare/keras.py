"""Keras by hand, on any of its engines: `compile` and `fit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np

from benchmarks.micro.bare.networks import (
    BETAS,
    EPSILON,
    NETWORKS,
    NORM_EPSILON,
    NORM_MOMENTUM,
    RATE,
    named,
)

Weights = Mapping[str, np.ndarray]
Epoch = Callable[[np.ndarray], float]
POLICIES = {"float32": "float32", "tf32": "float32", "bfloat16": "mixed_bfloat16"}


def build(
    name: str, images: np.ndarray, weights: Weights, *, dropout: bool, precision: str
) -> keras.Model:
    """The network, with the weights given; pictures scaled and logits in float32."""
    keras.config.set_dtype_policy(POLICIES[precision])
    l2 = NETWORKS[name]["l2"]
    last = named(name)[-1][0]
    scaling = keras.layers.Rescaling(1 / 255, dtype="float32")
    model = keras.Sequential([keras.Input(images.shape[1:]), scaling])
    for key, layer in named(name):
        penalty = keras.regularizers.L2(l2) if l2 and key != last else None
        if layer[0] == "conv":
            added = keras.layers.Conv2D(
                layer[1], layer[2], activation="relu", kernel_regularizer=penalty, name=key
            )
        elif layer[0] == "norm":
            added = keras.layers.BatchNormalization(
                momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON, name=key
            )
        elif layer[0] == "pool":
            added = keras.layers.MaxPooling2D(2)
        elif layer[0] == "drop":
            added = keras.layers.Dropout(layer[1] if dropout else 0.0)
        elif layer[0] == "flatten":
            added = keras.layers.Flatten()
        else:
            added = keras.layers.Dense(
                layer[1], activation=layer[2], kernel_regularizer=penalty, name=key
            )
        model.add(added)
        if layer[0] in ("conv", "dense"):
            added.set_weights([weights[f"{key}/kernel"], weights[f"{key}/bias"]])
    if precision == "bfloat16":
        model.add(keras.layers.Activation("linear", dtype="float32"))
    return model


def adam() -> keras.optimizers.Optimizer:
    """The optimizer."""
    return keras.optimizers.Adam(RATE, *BETAS, epsilon=EPSILON)


def compiled(model: keras.Model) -> keras.Model:
    """The model as keras.io's guides compile it."""
    model.compile(
        optimizer=adam(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def fit(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    batch: int,
    weights: Weights,
    *,
    dropout: bool = True,
    device: str = "cpu",
    precision: str = "float32",
) -> Epoch:
    """`fit(x, y)` on arrays as keras.io's guides have it, and nothing touched: Keras shuffles, and
    on TensorFlow makes the `tf.data.Dataset` itself, whose tuner is on."""
    model = compiled(build(name, images, weights, dropout=dropout, precision=precision))
    kept: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def epoch(order: np.ndarray) -> float:
        nonlocal kept
        if kept is None or kept[0] is not order:  # a user has the arrays already
            kept = order, images[order], labels[order]
        history = model.fit(kept[1], kept[2], batch_size=batch, verbose=0)
        return float(history.history["loss"][0])

    return epoch
