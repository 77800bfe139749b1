"""The mutants of Keras: see `torch`."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from frameworks.keras import engines
from frameworks.keras import model as keras_model
from frameworks.keras import optimizers as keras_optimizers
from frameworks.keras.model import keras, ops

Fault = AbstractContextManager[Any]


def epsilon_hat() -> Fault:
    return patch.object(keras_optimizers, "_paper", lambda kind: kind)


def rate_in_velocity() -> Fault:
    def assign(optimizer: Any, spec: Any, rate: float) -> None:
        optimizer.learning_rate.assign(rate)

    return patch.object(keras_optimizers, "set_learning_rate", assign)


def probabilities_clipped() -> Fault:
    stock = keras.losses.SparseCategoricalCrossentropy

    def make(from_logits: bool) -> keras.losses.Loss:
        loss = stock(from_logits=False)
        call = loss.call
        # times 1: an operation after the softmax, from which Keras finds no logits to go back to
        loss.call = lambda labels, logits: call(labels, ops.softmax(logits) * 1)
        return loss

    return patch.object(keras.losses, "SparseCategoricalCrossentropy", make)


def loss_clamped() -> Fault:
    stock = keras.losses.SparseCategoricalCrossentropy

    def make(from_logits: bool) -> keras.losses.Loss:
        loss = stock(from_logits=from_logits)
        call = loss.call
        loss.call = lambda labels, logits: call(labels, ops.clip(logits, -20, 20))
        return loss

    return patch.object(keras.losses, "SparseCategoricalCrossentropy", make)


def decay_spares_norms() -> Fault:
    make = keras_optimizers.make

    def making(spec: Any, *options: Any) -> keras.optimizers.Optimizer:
        made = make(spec, *options)
        if "weight_decay" in spec.__struct_fields__:
            made.exclude_from_weight_decay(var_names=["gamma", "beta"])
        return made

    return patch.object(keras_optimizers, "make", making)


def max_norm_axis() -> Fault:
    options = keras_model._options

    def otherwise(layer: Any, axes: tuple[int, ...]) -> dict[str, Any]:
        return options(layer, axes[:2])

    return patch.object(keras_model, "_options", otherwise)


def ties_shared() -> Fault:
    def call(self: keras.layers.MaxPooling2D, x: Any) -> Any:
        size, stride = self.pool_size[0], self.strides[0]
        rows, columns = ((n - size) // stride + 1 for n in x.shape[1:3])
        parts = [
            x[
                :,
                i : i + stride * (rows - 1) + 1 : stride,
                j : j + stride * (columns - 1) + 1 : stride,
            ]
            for i in range(size)
            for j in range(size)
        ]
        return ops.max(ops.stack(parts), axis=0)

    return patch.object(keras.layers.MaxPooling2D, "call", call)


def batches_shuffled() -> Fault:
    """`fit` shuffles the PyDataset that it is handed; a tf.data.Dataset it would not shuffle."""
    fit = keras.Model.fit

    def shuffled(self: keras.Model, *arguments: Any, **options: Any) -> Any:
        return fit(self, *arguments, **{**options, "shuffle": True})

    stack = ExitStack()
    fed = staticmethod(lambda batches: batches)
    stack.enter_context(patch.object(engines.TensorFlowEngine, "fed", fed))
    stack.enter_context(patch.object(keras.Model, "fit", shuffled))
    return stack
