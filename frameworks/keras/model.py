"""The Keras models of a network, and where its weights are (siblings: torch, flax)."""

from __future__ import annotations

from functools import reduce
from typing import Any

import keras
from keras import ops

from datasets.drawn.settings import Augment
from frameworks.backend import PIXEL_SCALE
from frameworks.keras import own_augment
from frameworks.keras.activations import constant, function
from frameworks.keras.pools import pool_layer
from frameworks.spec.graph import PICTURES
from frameworks.spec.layers import (
    Activation,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Add,
    AveragePool,
    BatchNorm,
    Concatenation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    LayerNorm,
    MaxPool,
    Multiply,
    NetworkLayer,
    Normalize,
    Scale,
    deviation,
    pair,
)
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.shapes import Shape, zeros_around

IMAGES = "images"


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


class Normalization(keras.layers.Layer):
    """(x - mean) / deviation of each channel."""

    def __init__(self, layer: Normalize, **options: Any) -> None:
        super().__init__(**options)
        self.mean, self.deviation = layer.mean, layer.deviation

    def call(self, x: Any) -> Any:
        return (x - constant(self.mean, x.dtype)) / constant(self.deviation, x.dtype)


class ChannelScale(keras.layers.Layer):
    """x times a trained number for each channel."""

    def __init__(self, initial: float, **options: Any) -> None:
        super().__init__(**options)
        self.initial = initial

    def build(self, shape: Any) -> None:
        first = keras.initializers.Constant(self.initial)
        self.gamma = self.add_weight(shape=shape[-1:], initializer=first, name="gamma")

    def call(self, x: Any) -> Any:
        return x * ops.cast(self.gamma, x.dtype)


class DepthwiseConv2D(keras.layers.Conv2D):
    """Conv2D of as many groups as channels, by the engine's depthwise convolution.

    Its kernel is Conv2D's, (height, width, 1, out); TensorFlow has no grouped convolution on CPUs
    but XLA's.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        kernel = ops.convert_to_tensor(kernel)
        height, width, _, outputs = kernel.shape
        channels = inputs.shape[-1]
        return ops.depthwise_conv(
            inputs,
            ops.reshape(kernel, (height, width, channels, outputs // channels)),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )


class SingleConv2D(keras.layers.Conv2D):
    """Conv2D of one filter, computed beside a copy of it in float64: PyTorch 2.13 has no gradient
    of a kernel that lies as Keras' does ("slow_conv2d: grad_weight must be contiguous")."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if self.compute_dtype != "float64":
            return super().convolution_op(inputs, kernel)
        both = ops.concatenate([kernel, kernel], axis=-1)
        return super().convolution_op(inputs, both)[..., :1]


class StagedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization whose variance takes two passes, averaged axis by axis.

    TensorFlow on CPUs sums all values of a channel one after another in float32: over 64 x 63 x 63
    of them the output is 7e-6 off, where it is 3e-7 here, in four fifths of the time. Keras on
    PyTorch takes E[x^2] - E[x]^2, which loses digits where the mean exceeds the spread.
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


class CentredGroupNormalization(keras.layers.GroupNormalization):
    """Group normalization that takes a group's mean off ahead.

    Keras on PyTorch takes E[x^2] - E[x]^2, as in `StagedBatchNormalization`.
    """

    def _reshape_into_groups(self, inputs: Any) -> Any:
        x = ops.cast(super()._reshape_into_groups(inputs), self.variable_dtype)
        *places, _, within = range(1, len(x.shape))
        return x - ops.mean(x, axis=(*places, within), keepdims=True)


class GalaxyNet:
    """A network as functional Keras models that share their layers, named after the network's.

    trainer: {"images": uint8 (batch, height, width, channels), mask name: uint8 (batch, ...)} to
    logits (batch, classes); predictor: the same without masks, dropout left out; `recorders[True]`
    and `recorders[False]` give every layer's output in training and inference mode. augment:
    changes of the pictures in training.
    """

    def __init__(
        self, network: Network, *, native_dropout: bool, augment: Augment | None = None
    ) -> None:
        self.network = network
        self.augment = [] if augment is None else own_augment.layers(augment)
        # bfloat16 runs scale the pictures and give the logits in float32, as the others do
        full = keras.config.dtype_policy().variable_dtype
        self._scaling = PixelScaling(dtype=full, name="scaling")
        self._logits = keras.layers.Activation("linear", dtype=full, name="logits")
        self.layers = {
            layer.name: keras_layer(layer, network.input_shapes[layer.name], native_dropout)
            for layer in network.layers
            if native_dropout or not isinstance(layer, Dropout)
        }
        self._pads = {
            layer.name: pad
            for layer in network.layers
            if isinstance(layer, Conv)
            and (pad := zero_padding(layer, network.input_shapes[layer.name]))
        }
        masks = {} if native_dropout else network.dropout_shapes
        images = keras.Input(network.input_shape, dtype="uint8", name=IMAGES)
        keep = {n: keras.Input(s, dtype="uint8", name=n) for n, s in masks.items()}
        rates = {} if native_dropout else network.dropout_rates
        dropouts = {n: MaskedDropout(rate, name=f"{n}_masked") for n, rate in rates.items()}

        scaled = self._scaling(images)
        training = self._outputs(reduce(_applied, self.augment, scaled), keep, dropouts)
        inference = self._outputs(scaled, {}, {})
        inputs = {IMAGES: images, **keep}
        last = network.output
        self.trainer = keras.Model(inputs, self._logits(training[last]))
        self.predictor = keras.Model(images, self._logits(inference[last]))
        self.recorders = {
            True: keras.Model(inputs, training),
            False: keras.Model({IMAGES: images}, inference),
        }

    def _outputs(self, images: Any, keep: dict, dropouts: dict) -> dict[str, Any]:
        """Symbolic output of every layer by name, of pictures that are scaled."""
        known = {PICTURES: images}
        for name, sources in self.network.sources.items():
            x, *others = (known[source] for source in sources)
            if name in self._pads:
                x = self._pads[name](x)
            if name in dropouts:
                x = dropouts[name](x, keep[name])
            elif name in self.layers:
                x = self.layers[name]([x, *others] if others else x)
            else:  # masked dropout in inference
                x = keras.layers.Identity(name=f"{name}_off")(x)
            known[name] = x
        return {name: x for name, x in known.items() if name != PICTURES}


def _applied(x: Any, layer: keras.layers.Layer) -> Any:
    return layer(x)


def _dropout(layer: Dropout, source: Shape) -> keras.layers.Layer:
    if layer.per == "channel" and len(source) == 3:
        return keras.layers.SpatialDropout2D(layer.rate, name=layer.name)
    mask = layer.mask_shape(source)
    noise_shape = None if mask == source else (None, *mask)
    return keras.layers.Dropout(layer.rate, noise_shape=noise_shape, name=layer.name)


def zero_padding(layer: Conv, source: Shape) -> keras.layers.Layer | None:
    """Layer ahead of a convolution whose padding Keras has no word for; None if none is needed."""
    zeros = zeros_around(layer, source)
    if isinstance(layer.padding, str) or not any(map(any, zeros)):
        return None
    return keras.layers.ZeroPadding2D(zeros, name=f"{layer.name}_pad")


def keras_layer(layer: NetworkLayer, source: Shape, native_dropout: bool) -> keras.layers.Layer:
    """The Keras layer of one layer, with its activation function; `source` is its input shape."""
    name = layer.name
    match layer:
        case Conv():
            return _convolution(layer, source)
        case Dense():
            return keras.layers.Dense(layer.outputs, name=name, **_options(layer, axes=(0,)))
        case (
            MaxPool()
            | AveragePool()
            | AdaptiveAveragePool()
            | AdaptiveMaxPool()
            | GlobalAveragePool()
            | GlobalMaxPool()
        ):
            return pool_layer(layer, source)
        case BatchNorm():
            return _batch_norm(layer, native_dropout)
        case LayerNorm() | GroupNorm():
            return _picture_norm(layer, native_dropout)
        case Scale():
            return ChannelScale(layer.initial, name=name)
        case Dropout():
            assert native_dropout
            return _dropout(layer, source)
        case Flatten():
            return keras.layers.Flatten(name=name)
        case Add():
            return keras.layers.Add(name=name)
        case Multiply():
            return keras.layers.Multiply(name=name)
        case Concatenation():
            return keras.layers.Concatenate(name=name)
        case Normalize():
            return Normalization(layer, name=name)
    assert isinstance(layer, Activation)
    return keras.layers.Activation(function(layer), name=name)


def _convolution(layer: Conv, source: Shape) -> keras.layers.Layer:
    down, right = pair(layer.stride)
    depthwise = layer.group_count == source[-1] > 1 and down == right
    single = layer.outputs == 1 and keras.backend.backend() == "torch"
    kind = SingleConv2D if single else keras.layers.Conv2D
    return (DepthwiseConv2D if depthwise else kind)(
        layer.outputs,
        layer.kernel_size,
        strides=(down, right),
        padding=layer.padding if isinstance(layer.padding, str) else "valid",
        dilation_rate=pair(layer.dilation),
        groups=layer.group_count,
        name=layer.name,
        **_options(layer, axes=(0, 1, 2)),
    )


def _is_staged(native: bool) -> bool:
    """True where our own sums stand for those of Keras."""
    return keras.backend.backend() != "jax" and not native


def _picture_norm(layer: LayerNorm | GroupNorm, native: bool) -> keras.layers.Layer:
    if layer.variance == "fast":
        raise SpecificationError(
            f"layer '{layer.name}': Keras has no fast variance; state variance = \"two_pass\"."
        )
    if isinstance(layer, GroupNorm):
        kind = CentredGroupNormalization if _is_staged(native) else keras.layers.GroupNormalization
        return kind(layer.groups, epsilon=layer.epsilon, name=layer.name)
    return keras.layers.LayerNormalization(epsilon=layer.epsilon, name=layer.name)


def _options(layer: Conv | Dense, axes: tuple[int, ...]) -> dict[str, Any]:
    """Arguments that convolution and dense layers share; max-norm is over the incoming weights."""
    return {
        "activation": function(layer),
        "use_bias": layer.bias,
        "kernel_initializer": _initializer(layer.kernel_initializer, deviation(layer)),
        "bias_initializer": _initializer(layer.bias_initializer),
        "kernel_regularizer": ExactL2(layer.l2) if layer.l2 else None,
        "kernel_constraint": (
            None
            if layer.max_norm is None
            else keras.constraints.MaxNorm(layer.max_norm, axis=list(axes))
        ),
    }


def _initializer(name: str | None, spread: float = 0.0) -> Any:
    """Keras' initialiser of this name; zeros for what it does not have: only ever loaded over."""
    scaled = {"he_uniform_fan_out": "uniform", "he_normal_fan_out": "truncated_normal"}
    if name in scaled:
        return keras.initializers.VarianceScaling(2.0, "fan_out", scaled[name])
    if name == "truncated_normal":
        return keras.initializers.TruncatedNormal(stddev=spread)
    if name == "normal":
        return keras.initializers.RandomNormal(stddev=spread)
    return "zeros" if name == "torch_uniform" else name


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
    kind = StagedBatchNormalization if _is_staged(native) else keras.layers.BatchNormalization
    return kind(
        momentum=layer.momentum,
        epsilon=layer.epsilon,
        gamma_initializer=layer.gamma_initializer,
        name=layer.name,
    )


def freeze(model: GalaxyNet, still: frozenset[str]) -> None:
    """Take the frozen layers of the network out of what is trained.

    still: batch norms that compute as in inference from here on, as Keras' frozen ones do. Of the
    others the weights alone are frozen.
    """
    for name in model.network.frozen:
        layer = model.layers[name]
        if name in still or not isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
        else:
            for variable in layer.trainable_variables:
                variable.trainable = False


def variable_of(model: GalaxyNet, key: str) -> keras.Variable:
    """The variable behind a canonical key; Keras' names and layouts are the canonical ones."""
    name, part = key.split("/")
    return getattr(model.layers[name], part)
