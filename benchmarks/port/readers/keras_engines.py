"""Loss and gradients of a Keras program on each of its engines."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.port.readers.program import Pass


def gradients_of(
    program: Any, pictures: np.ndarray, labels: np.ndarray, how: Pass
) -> tuple[float, float, dict[str, np.ndarray]]:
    """The whole loss, the part of it that the model adds, and the gradients by variable."""
    engine = keras.backend.backend()
    made = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}[engine]
    return made(program, pictures, labels, how)


def slope_of(
    training: Any, outputs: np.ndarray, labels: np.ndarray, through: str
) -> tuple[float, np.ndarray]:
    """The loss of given outputs and its gradient by them, on this engine."""
    function = keras.activations.get(through or None)

    def loss_of(x: Any) -> Any:
        return training.loss_of(function(x), labels)

    engine = keras.backend.backend()
    if engine == "tensorflow":
        import tensorflow as tf

        x = tf.constant(outputs, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = loss_of(x)
        return float(loss), np.array(tape.gradient(loss, x))
    if engine == "torch":
        import torch

        given = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
        loss = loss_of(given)
        loss.backward()
        assert given.grad is not None
        return float(loss.detach()), given.grad.numpy()
    import jax

    loss, slope = jax.value_and_grad(loss_of)(ops.convert_to_tensor(outputs, "float64"))
    return float(loss), np.array(slope)


def _loss(program: Any, pictures: np.ndarray, labels: np.ndarray, how: Pass) -> tuple[Any, Any]:
    run, out = program.run(pictures, how)
    loss = program.training.loss_of(out, labels)
    extra = [*program.model.losses, *run.penalties]
    return loss, sum(extra[1:], extra[0]) if extra else ops.convert_to_tensor(
        0.0, keras.config.floatx()
    )


def _tensorflow(program: Any, pictures: Any, labels: Any, how: Pass) -> Any:
    import tensorflow as tf

    variables = program.trainable()
    with tf.GradientTape() as tape:
        loss, extra = _loss(program, pictures, labels, how)
        whole = loss + extra
    found = tape.gradient(whole, [v.value for v in variables])
    arrays = {
        v.path: np.zeros(v.shape) if g is None else np.array(tf.convert_to_tensor(g))
        for v, g in zip(variables, found, strict=True)
    }
    return float(whole), float(extra), arrays


def _torch(program: Any, pictures: Any, labels: Any, how: Pass) -> Any:
    variables = program.trainable()
    for v in variables:
        v.value.grad = None
    loss, extra = _loss(program, pictures, labels, how)
    whole = loss + extra
    whole.backward()
    arrays = {
        v.path: np.zeros(v.shape) if v.value.grad is None else v.value.grad.detach().numpy().copy()
        for v in variables
    }
    return float(whole.detach()), float(extra.detach()), arrays


def _jax(program: Any, pictures: Any, labels: Any, how: Pass) -> Any:
    import jax

    variables, others = program.trainable(), program.model.non_trainable_variables

    def whole(values: list[Any]) -> Any:
        with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
            loss, extra = _loss(program, pictures, labels, how)
        left = [scope.get_current_value(v) for v in others]
        return loss + extra, (extra, left)

    program.recording = False
    try:
        (loss, (extra, left)), found = jax.value_and_grad(whole, has_aux=True)(
            [v.value for v in variables]
        )
    finally:
        program.recording = True
    for v, value in zip(others, left, strict=True):
        if value is not None:
            v.assign(value)
    arrays = {v.path: np.array(g) for v, g in zip(variables, found, strict=True)}
    return float(loss), float(extra), arrays
