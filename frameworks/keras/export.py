"""A network as a model of Keras' own layers alone, which loads where this project is not.

The layers that are trained differ from Keras' in how they round, not in what they compute (see
`model`): pixel scaling, the L2 term and, on TensorFlow, batch norm.
"""

from __future__ import annotations

import keras

from frameworks.backend import PIXEL_SCALE
from frameworks.keras.model import IMAGES, keras_layer
from frameworks.spec.architecture import Conv, Dense
from frameworks.spec.network import Network
from frameworks.spec.weights import Weights


def model(network: Network, weights: Weights) -> keras.Model:
    """Images uint8 (batch, height, width, channels) to logits (batch, classes), not compiled.

    Dropout is Keras' own; L2 terms and max-norm are there for whoever trains on.
    """
    full = keras.config.dtype_policy().variable_dtype
    images = keras.Input(network.input_shape, dtype="uint8", name=IMAGES)
    x = keras.layers.Rescaling(PIXEL_SCALE, dtype=full, name="scaling")(images)
    for layer in network.layers:
        made = keras_layer(layer, native_dropout=True)
        if isinstance(layer, Conv | Dense) and layer.l2:
            made.kernel_regularizer = keras.regularizers.L2(layer.l2)
        x = made(x)
    x = keras.layers.Activation("linear", dtype=full, name="logits")(x)
    made = keras.Model(images, x)
    for key, array in weights.items():
        name, part = key.split("/")
        getattr(made.get_layer(name), part).assign(array)
    return made
