"""Keras by hand, on any of its engines: `compile` and `fit`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from benchmarks.micro.bare.networks import (
    BETAS,
    EPSILON,
    NETWORKS,
    RATE,
    Epoch,
    Named,
    Task,
    Weights,
    named,
)

POLICIES = {"float32": "float32", "tf32": "float32", "bfloat16": "mixed_bfloat16"}


def build(task: Task) -> keras.Model:
    """The network, with the weights given; pictures scaled and logits in float32."""
    keras.config.set_dtype_policy(POLICIES[task.precision])
    images_in = keras.Input(task.images.shape[1:])
    x = keras.layers.Rescaling(1 / 255, dtype="float32")(images_in)
    l2 = NETWORKS[task.name]["l2"]
    x = _applied(x, named(task.name), task.weights, l2, dropout=task.dropout)
    if task.precision == "bfloat16":
        x = keras.layers.Activation("linear", dtype="float32")(x)
    return keras.Model(images_in, x)


def _applied(x: Any, layers: Named, weights: Weights, l2: float, *, dropout: bool) -> Any:
    """The layers, applied; `l2` is of all kernels but the last of `layers`."""
    for key, layer in layers:
        penalty = keras.regularizers.L2(l2) if l2 and key != layers[-1][0] else None
        if layer[0] == "conv":
            added = keras.layers.Conv2D(
                layer[1], layer[2], activation="relu", kernel_regularizer=penalty, name=key
            )
        elif layer[0] == "plain":
            _, filters, size, stride, groups = layer
            if size > 1:
                x = keras.layers.ZeroPadding2D(size // 2)(x)
            options = {"strides": stride, "use_bias": False, "name": key}
            if groups == 1:
                added = keras.layers.Conv2D(filters, size, **options)
            else:
                added = keras.layers.DepthwiseConv2D(size, **options)
        elif layer[0] == "norm":
            added = keras.layers.BatchNormalization(epsilon=layer[1], momentum=layer[2], name=key)
        elif layer[0] == "act":
            added = keras.layers.Activation(layer[1])
        elif layer[0] == "pool":
            if layer[3]:
                x = keras.layers.ZeroPadding2D(layer[3])(x)  # behind a ReLU zero is as good as -inf
            added = keras.layers.MaxPooling2D(*layer[1:3])
        elif layer[0] == "drop":
            added = keras.layers.Dropout(layer[1] if dropout else 0.0)
        elif layer[0] == "flatten":
            added = keras.layers.Flatten()
        elif layer[0] == "mean":
            added = keras.layers.GlobalAveragePooling2D()
        elif layer[0] == "block":
            both = [_applied(x, one, weights, 0.0, dropout=dropout) for one in layer[1:3]]
            x = keras.layers.Add()(both)
            if not layer[3]:
                continue
            added = keras.layers.Activation(layer[3])
        else:
            added = keras.layers.Dense(
                layer[1], activation=layer[2], kernel_regularizer=penalty, name=key
            )
        x = added(x)
        if layer[0] in ("conv", "plain", "dense"):
            for own in added.weights:  # kernel, bias
                own.assign(weights[f"{key}/{own.name}"].reshape(own.shape))
    return x


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


def fit(task: Task) -> Epoch:
    """`fit(x, y)` on arrays as keras.io's guides have it, and nothing touched: Keras shuffles, and
    on TensorFlow makes the `tf.data.Dataset` itself, whose tuner is on."""
    model = compiled(build(task))
    kept: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def epoch(order: np.ndarray) -> float:
        nonlocal kept
        if kept is None or kept[0] is not order:  # a user has the arrays already
            kept = order, task.images[order], task.labels[order]
        history = model.fit(kept[1], kept[2], batch_size=task.batch, verbose=0)
        return float(history.history["loss"][0])

    return epoch
