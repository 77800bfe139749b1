"""The PyTorch module of a network, and the layout of its weights (siblings: flax, keras)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

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
from frameworks.spec.shapes import Shape, same_padding
from frameworks.spec.reading import SpecificationError

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": functional.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
}
PARTS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class MaskedDropout(nn.Module):
    """Inverted dropout whose mask (0 or 1, any dtype) is an input."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.scale = 1 / (1 - rate)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask.to(x.dtype) * self.scale


class _BiasedRunningVariance(nn.modules.batchnorm._BatchNorm):
    """The running variance takes the biased batch variance, as in Keras and Flax.

    PyTorch takes the unbiased one, n / (n - 1) times larger. With momentum 1 it leaves the batch's
    own statistics in the buffers it is given; those are then averaged in here.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        count = x.numel() // x.shape[1]
        mean, variance = torch.zeros_like(self.running_mean), torch.ones_like(self.running_var)
        output = functional.batch_norm(
            x, mean, variance, self.weight, self.bias, True, 1.0, self.eps
        )
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * ((count - 1) / count), self.momentum)
        return output


class BiasedBatchNorm2d(_BiasedRunningVariance, nn.BatchNorm2d):
    """BatchNorm2d with the biased running variance."""


class BiasedBatchNorm1d(_BiasedRunningVariance, nn.BatchNorm1d):
    """BatchNorm1d with the biased running variance."""


class GalaxyNet(nn.Module):
    """A network; submodules are named after its layers (prefixed: `pop` is a name, too).

    forward takes images uint8 (batch, height, width, channels) and the dropout masks in canonical
    layout, and gives logits (batch, classes). `record`, when given, receives every layer's output.
    """

    def __init__(self, network: Network, *, native_dropout: bool) -> None:
        super().__init__()
        self.network = network
        self.layers = nn.ModuleDict(
            {
                f"layer_{layer.name}": _module(
                    layer, network.input_shapes[layer.name], native_dropout
                )
                for layer in network.layers
            }
        )
        self.functions = {
            layer.name: ACTIVATIONS[layer.activation]
            for layer in network.layers
            if isinstance(layer, Conv | Dense)
        }

    def forward(
        self,
        images: Tensor,
        masks: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        dtype = next(self.parameters()).dtype
        # contiguous: a mere permutation would run every layer in the channels-last layout, where
        # the CPU's batch norm sums its variance in plain float32 (1e-3 off at 64 x 63 x 63)
        x = images.permute(0, 3, 1, 2).contiguous().to(dtype) * PIXEL_SCALE
        for layer in self.network.layers:
            name, module = layer.name, self.layers[f"layer_{layer.name}"]
            if isinstance(module, MaskedDropout):
                if self.training:
                    assert masks is not None
                    x = module(x, self._mask_layout(name, masks[name]))
            else:
                x = module(x)
            if name in self.functions:
                x = self.functions[name](x)
            if record is not None:
                record[name] = x
        return x

    def _mask_layout(self, name: str, mask: Tensor) -> Tensor:
        """A canonical mask (row, column, channel) in PyTorch's order (channel, row, column)."""
        if mask.dim() == 4:
            return mask.permute(0, 3, 1, 2)
        image = flattened_image(self.network, name)
        if image is None:
            return mask
        return mask.reshape(-1, *image).permute(0, 3, 1, 2).flatten(1)


def _module(layer: Layer, source: Shape, native_dropout: bool) -> nn.Module:
    """The module of one layer, without its activation function; `source` is its input shape."""
    if isinstance(layer, Conv):
        return _convolution(layer, source)
    if isinstance(layer, Dense):
        assert isinstance(layer.units, int)
        return nn.Linear(source[0], layer.units)
    if isinstance(layer, MaxPool):
        return nn.MaxPool2d(layer.size, layer.stride)
    if isinstance(layer, AveragePool):
        return nn.AvgPool2d(layer.size, layer.stride)
    if isinstance(layer, BatchNorm):
        return _batch_norm(layer, source)
    if isinstance(layer, Dropout):
        return nn.Dropout(layer.rate) if native_dropout else MaskedDropout(layer.rate)
    if isinstance(layer, Flatten):
        return nn.Flatten()
    assert isinstance(layer, Activation)
    return _Function(layer.function)


class _Function(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.function = ACTIVATIONS[name]

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class PaddedConv2d(nn.Conv2d):
    """Conv2d with TensorFlow's SAME padding at any stride: the odd zero comes after."""

    def __init__(self, *args: Any, zeros: tuple[int, int, int, int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zeros = zeros

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, self.zeros))


def _convolution(layer: Conv, source: Shape) -> nn.Conv2d:
    channels, size = source[2], layer.kernel_size
    even = any(width % 2 == 0 for width in size)  # PyTorch pads these by copying, and warns
    if layer.padding == "same" and (layer.stride > 1 or even):
        rows = same_padding(source[0], size[0], layer.stride)
        columns = same_padding(source[1], size[1], layer.stride)
        return PaddedConv2d(
            channels,
            layer.filters,
            size,
            layer.stride,
            zeros=(*columns, *rows),
        )
    return nn.Conv2d(channels, layer.filters, size, layer.stride, padding=layer.padding)


def _batch_norm(layer: BatchNorm, source: Shape) -> nn.Module:
    if layer.variance == "fast":
        raise SpecificationError(
            f"layer '{layer.name}': PyTorch has no fast variance; state variance = \"two_pass\"."
        )
    assert layer.epsilon is not None
    assert layer.momentum is not None
    biased = layer.running_variance == "biased"
    kinds: tuple[type[nn.Module], type[nn.Module]] = (
        (BiasedBatchNorm1d, BiasedBatchNorm2d) if biased else (nn.BatchNorm1d, nn.BatchNorm2d)
    )
    return kinds[len(source) == 3](source[-1], eps=layer.epsilon, momentum=1 - layer.momentum)


def initialise(model: GalaxyNet) -> None:
    """Apply the initialisers that the layers state; PyTorch's own are there from the start."""
    kernel: dict[str | None, Callable[[Tensor], Any]] = {
        "glorot_uniform": nn.init.xavier_uniform_,
        "he_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
        "lecun_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"),
    }
    for layer in model.network.layers:
        if isinstance(layer, Conv | Dense):
            if layer.kernel_initializer in kernel:
                kernel[layer.kernel_initializer](tensor_of(model, f"{layer.name}/kernel"))
            if layer.bias_initializer == "zeros":
                nn.init.zeros_(tensor_of(model, f"{layer.name}/bias"))


def flattened_image(network: Network, name: str) -> Shape | None:
    """(height, width, channels) behind the flat input of a layer, when its order still matters.

    Flatten gives channel, row, column here and row, column, channel in the canonical layout; a
    dense layer ends the difference.
    """
    image: Shape | None = None
    for layer in network.layers:
        if layer.name == name:
            return image
        if isinstance(layer, Flatten):
            image = network.input_shapes[layer.name]
        elif isinstance(layer, Dense):
            image = None
    return None


def tensor_of(model: GalaxyNet, key: str) -> Tensor:
    """The parameter or buffer behind a canonical key."""
    name, part = key.split("/")
    return getattr(model.layers[f"layer_{name}"], PARTS[part])


def flat_order(network: Network, key: str) -> np.ndarray | None:
    """PyTorch's index of each canonical position of a weight's flattened axis: int64 (n,)."""
    name, part = key.split("/")
    image = flattened_image(network, name)
    if image is None or part == "bias":
        return None
    height, width, channels = image
    return np.arange(math.prod(image)).reshape(channels, height, width).transpose(1, 2, 0).ravel()


def to_canonical(network: Network, key: str, array: np.ndarray) -> np.ndarray:
    """An array in PyTorch's layout (a weight, its gradient or moment) in the canonical layout."""
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0))
    order = flat_order(network, key)
    return np.ascontiguousarray(array.T if order is None else array.T[order])


def from_canonical(network: Network, key: str, array: np.ndarray) -> np.ndarray:
    """The inverse of `to_canonical`."""
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(3, 2, 0, 1))
    order = flat_order(network, key)
    if order is not None:
        array = array[np.argsort(order)]
    return np.ascontiguousarray(array.T)
