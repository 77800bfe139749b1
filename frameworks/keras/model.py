"""The Keras models of a network, and where its weights are (siblings: torch, flax)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from frameworks.backend import PIXEL_SCALE
from frameworks.spec.architecture import (
    Activation,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool,
)
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError

IMAGES = "images"


def constant(value: float | Sequence[float], dtype: Any) -> Any:
    """Python numbers as a tensor, exact in float64: `ops.cast` would pass it through float32."""
    return ops.convert_to_tensor(np.asarray(value, keras.backend.standardize_dtype(dtype)))


class PixelScaling(keras.layers.Layer):
    """uint8 pictures times PIXEL_SCALE in the layer's own dtype.

    Not `Rescaling`: it passes the factor through float32, also in float64.
    """

    def call(self, images: Any) -> Any:
        dtype = self.compute_dtype
        return ops.cast(images, dtype) * constant(PIXEL_SCALE, dtype)


class ExactL2(keras.regularizers.L2):
    """Keras' L2, factor * sum(w^2), whose factor does not pass through float32 in float64."""

    def __init__(self, factor: float) -> None:
        super().__init__(factor)
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        return constant(self.factor, x.dtype) * ops.sum(ops.square(x))


class MaskedDropout(keras.layers.Layer):
    """Inverted dropout whose mask (0 or 1, uint8) is an input."""

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.scale = 1 / (1 - rate)

    def call(self, x: Any, keep: Any) -> Any:
        return x * ops.cast(keep, x.dtype) * self.scale


class StagedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization whose moments are averaged axis by axis.

    TensorFlow on CPUs sums all values of a channel one after another in float32: over 64 x 63 x 63
    of them the output is 7e-6 off, where it is 3e-7 here, in four fifths of the time.
    """

    def _moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        assert mask is None
        axes = tuple(sorted(self._reduction_axes))

        def averaged(x: Any) -> Any:
            for axis in reversed(axes):
                x = ops.mean(x, axis=axis, keepdims=True)
            return x

        mean = averaged(inputs)
        variance = averaged(ops.square(inputs - ops.stop_gradient(mean)))
        return ops.squeeze(mean, axes), ops.squeeze(variance, axes)


class GalaxyNet:
    """A network as functional Keras models that share their layers, named after the network's.

    trainer: {"images": uint8 (batch, height, width, channels), mask name: uint8 (batch, ...)} to
    logits (batch, classes); predictor: the same without masks, dropout left out; `recorders[True]`
    and `recorders[False]` give every layer's output in training and inference mode.
    """

    def __init__(self, network: Network, *, native_dropout: bool) -> None:
        self.network = network
        # bfloat16 runs scale the pictures and give the logits in float32, as the others do
        full = keras.config.dtype_policy().variable_dtype
        self._scaling = PixelScaling(dtype=full, name="scaling")
        self._logits = keras.layers.Activation("linear", dtype=full, name="logits")
        self.layers = {
            layer.name: keras_layer(layer, native_dropout)
            for layer in network.layers
            if native_dropout or not isinstance(layer, Dropout)
        }
        masks = {} if native_dropout else network.dropout_shapes
        images = keras.Input(network.input_shape, dtype="uint8", name=IMAGES)
        keep = {n: keras.Input(s, dtype="uint8", name=n) for n, s in masks.items()}
        rates = {} if native_dropout else network.dropout_rates
        dropouts = {n: MaskedDropout(rate, name=f"{n}_masked") for n, rate in rates.items()}

        training = self._outputs(images, keep, dropouts)
        inference = self._outputs(images, {}, {})
        inputs = {IMAGES: images, **keep}
        last = network.layers[-1].name
        self.trainer = keras.Model(inputs, self._logits(training[last]))
        self.predictor = keras.Model(images, self._logits(inference[last]))
        self.recorders = {
            True: keras.Model(inputs, training),
            False: keras.Model({IMAGES: images}, inference),
        }

    def _outputs(self, images: Any, keep: dict, dropouts: dict) -> dict[str, Any]:
        """Symbolic output of every layer by name."""
        x = self._scaling(images)
        outputs = {}
        for layer in self.network.layers:
            if layer.name in dropouts:
                x = dropouts[layer.name](x, keep[layer.name])
            elif layer.name in self.layers:
                x = self.layers[layer.name](x)
            else:  # masked dropout in inference
                x = keras.layers.Identity(name=f"{layer.name}_off")(x)
            outputs[layer.name] = x
        return outputs


def keras_layer(layer: Layer, native_dropout: bool) -> keras.layers.Layer:
    """The Keras layer of one layer, with its activation function."""
    name = layer.name
    if isinstance(layer, Conv):
        return keras.layers.Conv2D(
            layer.filters,
            layer.kernel_size,
            strides=layer.stride,
            padding=layer.padding,
            name=name,
            **_options(layer, axes=(0, 1, 2)),
        )
    if isinstance(layer, Dense):
        return keras.layers.Dense(layer.units, name=name, **_options(layer, axes=(0,)))
    if isinstance(layer, MaxPool):
        return keras.layers.MaxPooling2D(layer.size, strides=layer.stride, name=name)
    if isinstance(layer, AveragePool):
        return keras.layers.AveragePooling2D(layer.size, strides=layer.stride, name=name)
    if isinstance(layer, BatchNorm):
        return _batch_norm(layer, native_dropout)
    if isinstance(layer, Dropout):
        assert native_dropout
        return keras.layers.Dropout(layer.rate, name=name)
    if isinstance(layer, Flatten):
        return keras.layers.Flatten(name=name)
    assert isinstance(layer, Activation)
    return keras.layers.Activation(layer.function, name=name)


def _options(layer: Conv | Dense, axes: tuple[int, ...]) -> dict[str, Any]:
    """Arguments that convolution and dense layers share; max-norm is over the incoming weights."""
    initializers = {"torch_uniform": "zeros"}  # not in Keras: only ever loaded over
    return {
        "activation": layer.activation,
        "kernel_initializer": initializers.get(
            str(layer.kernel_initializer), layer.kernel_initializer
        ),
        "bias_initializer": initializers.get(str(layer.bias_initializer), layer.bias_initializer),
        "kernel_regularizer": ExactL2(layer.l2) if layer.l2 else None,
        "kernel_constraint": (
            None
            if layer.max_norm is None
            else keras.constraints.MaxNorm(layer.max_norm, axis=list(axes))
        ),
    }


def _batch_norm(layer: BatchNorm, native: bool) -> keras.layers.Layer:
    if layer.variance == "fast":
        raise SpecificationError(
            f"layer '{layer.name}': Keras has no fast variance; state variance = \"two_pass\"."
        )
    if layer.running_variance == "unbiased":
        raise SpecificationError(
            f"layer '{layer.name}': Keras keeps the biased running variance; "
            'state running_variance = "biased".'
        )
    staged = keras.backend.backend() == "tensorflow" and not native
    kind = StagedBatchNormalization if staged else keras.layers.BatchNormalization
    return kind(momentum=layer.momentum, epsilon=layer.epsilon, name=layer.name)


def variable_of(model: GalaxyNet, key: str) -> keras.Variable:
    """The variable behind a canonical key; Keras' names and layouts are the canonical ones."""
    name, part = key.split("/")
    return getattr(model.layers[name], part)
