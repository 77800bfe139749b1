"""A network as a model of Keras' own layers alone, which loads where this project is not.

The layers that are trained differ from Keras' in how they round, not in what they compute (see
`model`): pixel scaling, the L2 term and, on TensorFlow, batch norm.
"""

from __future__ import annotations

from typing import Any

import keras
import msgspec
import numpy as np

from frameworks.backend import PIXEL_SCALE
from frameworks.keras.activations import OWN_WORDS, apply_standard
from frameworks.keras.model import IMAGES, DepthwiseConv2D, SingleConv2D, keras_layer, zero_padding
from frameworks.keras.pools import standard_pool
from frameworks.spec.graph import PICTURES
from frameworks.spec.layers import (
    Activation,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Add,
    AveragePool,
    Concatenation,
    Conv,
    Dense,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
    Multiply,
    NetworkLayer,
    Normalize,
    Scale,
)
from frameworks.spec.network import Network
from frameworks.spec.shapes import Shape
from frameworks.spec.weights import Weights


def model(network: Network, weights: Weights) -> keras.Model:
    """Images uint8 (batch, height, width, channels) to logits (batch, classes), not compiled.

    Dropout is Keras' own; L2 terms and max-norm are there for whoever trains on.
    """
    full = keras.config.dtype_policy().variable_dtype
    images = keras.Input(network.input_shape, dtype="uint8", name=IMAGES)
    x = keras.layers.Rescaling(PIXEL_SCALE, dtype=full, name="scaling")(images)
    known = {PICTURES: x}
    for layer in network.layers:
        inputs = [known[source] for source in network.sources[layer.name]]
        known[layer.name] = _standard(layer, network.input_shapes[layer.name], inputs)
    x = known[network.output]
    x = keras.layers.Activation("linear", dtype=full, name="logits")(x)
    made = keras.Model(images, x)
    for key, array in weights.items():
        name, part = key.split("/")
        own = made.get_layer(name)
        getattr(own, "kernel" if isinstance(own, keras.layers.EinsumDense) else part).assign(array)
    return made


def _standard(layer: NetworkLayer, source: Shape, inputs: list[Any]) -> Any:
    """The output of a layer by Keras' own layers, of its input, or of those that end a block."""
    x = inputs[0]
    match layer:
        case Add() | Multiply() | Concatenation():
            return keras_layer(layer, source, native_dropout=True)(inputs)
        case Activation():
            return apply_standard(layer, x)
        case Scale():
            rank = "abcd"[: len(source) + 1]
            spelt = f"{rank},{rank[-1]}->{rank}"
            return keras.layers.EinsumDense(spelt, source, name=layer.name)(x)
        case Normalize():
            mean, deviation = np.asarray(layer.mean), np.asarray(layer.deviation)
            scaled = keras.layers.Rescaling(
                (1 / deviation).tolist(), (-mean / deviation).tolist(), name=layer.name
            )
            return scaled(x)
        case (
            MaxPool()
            | AveragePool()
            | AdaptiveAveragePool()
            | AdaptiveMaxPool()
            | GlobalAveragePool()
            | GlobalMaxPool()
        ):
            return standard_pool(layer, source, x)
    if not isinstance(layer, Conv | Dense):
        return keras_layer(layer, source, native_dropout=True)(x)
    if isinstance(layer, Conv) and (pad := zero_padding(layer, source)):
        x = pad(x)
    plain = msgspec.structs.replace(layer, activation="linear")
    made = keras_layer(plain, source, native_dropout=True)
    if isinstance(made, DepthwiseConv2D | SingleConv2D):
        made = keras.layers.Conv2D.from_config(made.get_config())
    if layer.l2:
        made.kernel_regularizer = keras.regularizers.L2(layer.l2)
    if layer.activation in OWN_WORDS:
        made.activation = keras.activations.get(layer.activation)
        return made(x)
    return apply_standard(layer, made(x))
