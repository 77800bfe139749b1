"""A user's Keras model as a graph, and the settings it runs with."""

from __future__ import annotations

import traceback
from typing import Any

import keras

from benchmarks.port.operation import PortError


def functional(model: Any, size: list[int]) -> Any:
    """A model that has a graph of layers; made by calling it once where it has none.

    Raises:
        PortError: it cannot be called with symbols.
    """
    if isinstance(model, keras.Sequential):
        if not model.built:
            model.build((None, *size))
        return model
    if hasattr(model, "_nodes_by_depth"):
        return model
    x = keras.Input(tuple(size))
    try:
        return keras.Model(x, model.call(x))
    except Exception as error:
        where = "".join(traceback.format_exception_only(error)).strip().splitlines()[0]
        raise PortError(
            f"the model is a class of its own, and calling it once gives no graph of layers "
            f"({where}); write it with keras.Input and keras.Model, or without branches on data",
            status=4,
        ) from error


def settings(engine: str) -> dict[str, str]:
    """Precision of products and of convolutions on a GPU, in words: TF32 or float32."""
    if engine == "tensorflow":
        import tensorflow as tf

        on = tf.config.experimental.tensor_float_32_execution_enabled()
        word = "TF32" if on else "float32"
    elif engine == "jax":
        word = "TF32"
    else:
        return {"products on a GPU": "float32", "convolutions on a GPU": "TF32"}
    return {"products on a GPU": word, "convolutions on a GPU": word}
