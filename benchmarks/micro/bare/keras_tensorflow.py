"""Keras on TensorFlow by hand: `fit` without tf.data's tuner, and the best loop."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.micro.bare.keras import adam, build, compiled
from benchmarks.micro.bare.networks import Epoch, Task


def tutorial(task: Task) -> Epoch:
    """`compile` and `fit`, as keras.io's guides have it but for one switch.

    On a `tf.data.Dataset` rather than on arrays, for that has a switch for tf.data's tuner: with it
    on, an epoch's end often waits until the tuner wakes, which may double a short epoch's time.
    `keras.fit` is the untouched one.
    """
    tf.config.experimental.enable_tensor_float_32_execution(task.precision == "tf32")
    options = tf.data.Options()
    options.autotune.enabled = False
    model = compiled(build(task))

    def epoch(order: np.ndarray) -> float:
        data = tf.data.Dataset.from_tensor_slices((task.images[order], task.labels[order]))
        data = data.batch(task.batch).prefetch(tf.data.AUTOTUNE).with_options(options)
        history = model.fit(data, verbose=0)
        return float(history.history["loss"][0])

    return epoch


def best(task: Task) -> Epoch:
    """Many steps in one graph over data on the device; XLA on a GPU only."""
    tf.config.experimental.enable_tensor_float_32_execution(task.precision == "tf32")
    model = build(task)
    optimizer = adam()
    optimizer.build(model.trainable_variables)
    compute = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x_all, y_all = tf.constant(task.images), tf.constant(task.labels.astype(np.int32))

    def step(rows: Any) -> Any:
        with tf.GradientTape() as tape:
            x = tf.cast(tf.gather(x_all, rows), tf.float32)
            loss = compute(tf.gather(y_all, rows), model(x, training=True)) + sum(model.losses)
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    @tf.function(jit_compile=task.device != "cpu")
    def many(rows: Any) -> Any:
        total = tf.constant(0.0)
        for number in tf.range(tf.shape(rows)[0]):
            total += step(rows[number])
        return total

    def epoch(order: np.ndarray) -> float:
        whole = len(order) // task.batch * task.batch
        total = 0.0
        if whole:
            steps = tf.constant(order[:whole].reshape(-1, task.batch).astype(np.int32))
            total += float(many(steps)) * task.batch
        if whole < len(order):
            rest = order[whole:]
            total += float(many(tf.constant(rest[None].astype(np.int32)))) * len(rest)
        return total / len(order)

    return epoch
