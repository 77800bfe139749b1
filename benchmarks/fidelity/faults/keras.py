"""The mutants of Keras: see `torch`."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from frameworks.keras import engines
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


def batches_shuffled() -> Fault:
    """With the PyDataset handed to `fit` as it is: of a tf.data.Dataset it shuffles nothing."""
    fit = keras.Model.fit

    def shuffled(self: keras.Model, *arguments: Any, **options: Any) -> Any:
        return fit(self, *arguments, **{**options, "shuffle": True})

    stack = ExitStack()
    fed = staticmethod(lambda batches: batches)
    stack.enter_context(patch.object(engines.TensorFlowEngine, "fed", fed))
    stack.enter_context(patch.object(keras.Model, "fit", shuffled))
    return stack
