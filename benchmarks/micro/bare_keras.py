"""Keras on TensorFlow by hand: `compile` and `fit`, and the best loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.micro.networks import (
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


def build(name: str, images: np.ndarray, weights: Weights, *, dropout: bool) -> keras.Model:
    """The network, with the weights given."""
    l2 = NETWORKS[name]["l2"]
    last = named(name)[-1][0]
    model = keras.Sequential([keras.Input(images.shape[1:]), keras.layers.Rescaling(1 / 255)])
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
    return model


def tutorial(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    batch: int,
    weights: Weights,
    *,
    dropout: bool = True,
    device: str = "cpu",
) -> Epoch:
    """`compile` and `fit`, as keras.io's guides have it.

    On a `tf.data.Dataset` rather than on arrays, for that has a switch for tf.data's tuner: with it
    on, an epoch's end often waits until the tuner wakes, which may double a short epoch's time.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    model = build(name, images, weights, dropout=dropout)
    model.compile(
        optimizer=keras.optimizers.Adam(RATE, *BETAS, epsilon=EPSILON),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def epoch(order: np.ndarray) -> float:
        data = tf.data.Dataset.from_tensor_slices((images[order], labels[order]))
        data = data.batch(batch).prefetch(tf.data.AUTOTUNE).with_options(options)
        history = model.fit(data, verbose=0)
        return float(history.history["loss"][0])

    return epoch


def best(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    batch: int,
    weights: Weights,
    *,
    dropout: bool = True,
    device: str = "cpu",
) -> Epoch:
    """Many steps in one graph over data on the device; XLA on a GPU only."""
    model = build(name, images, weights, dropout=dropout)
    optimizer = keras.optimizers.Adam(RATE, *BETAS, epsilon=EPSILON)
    optimizer.build(model.trainable_variables)
    compute = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x_all, y_all = tf.constant(images), tf.constant(labels.astype(np.int32))

    def step(rows: Any) -> Any:
        with tf.GradientTape() as tape:
            x = tf.cast(tf.gather(x_all, rows), tf.float32)
            loss = compute(tf.gather(y_all, rows), model(x, training=True)) + sum(model.losses)
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    @tf.function(jit_compile=device != "cpu")
    def many(rows: Any) -> Any:
        total = tf.constant(0.0)
        for number in tf.range(tf.shape(rows)[0]):
            total += step(rows[number])
        return total

    def epoch(order: np.ndarray) -> float:
        whole = len(order) // batch * batch
        total = 0.0
        if whole:
            steps = tf.constant(order[:whole].reshape(-1, batch).astype(np.int32))
            total += float(many(steps)) * batch
        if whole < len(order):
            rest = order[whole:]
            total += float(many(tf.constant(rest[None].astype(np.int32)))) * len(rest)
        return total / len(order)

    return epoch


def peak(size: int = 2048, device: str = "cpu") -> Callable[[], None]:
    """A float32 matrix product of size x size."""
    a = tf.random.normal((size, size))

    def run() -> None:
        tf.linalg.matmul(a, a)[0, 0].numpy()

    return run
