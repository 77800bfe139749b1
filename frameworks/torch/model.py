"""The PyTorch module of a network, and the layout of its weights (siblings: flax, keras)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from frameworks.backend import PIXEL_SCALE
from frameworks.spec.flat_order import flat_order, flattened_image
from frameworks.spec.flat_order import image_behind as image_behind
from frameworks.spec.graph import PICTURES
from frameworks.spec.layers import (
    Activation,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    LayerNorm,
    MaxPool,
    NetworkLayer,
    Normalize,
    deviation,
    function_of,
    pair,
)
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.shapes import Shape, zeros_around
from frameworks.torch import pools
from frameworks.torch.activations import function

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


class PictureDropout(nn.Module):
    """Inverted dropout of whole pictures, or rows of units."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * functional.dropout(x.new_ones((len(x), *(1,) * (x.dim() - 1))), self.rate)


class BiasedRunningVariance(nn.modules.batchnorm._BatchNorm):
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


class BiasedBatchNorm2d(BiasedRunningVariance, nn.BatchNorm2d):
    """BatchNorm2d with the biased running variance."""


class BiasedBatchNorm1d(BiasedRunningVariance, nn.BatchNorm1d):
    """BatchNorm1d with the biased running variance."""


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of (batch, channels, height, width)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Normalization(nn.Module):
    """(x - mean) / deviation of each channel of (batch, channels, height, width)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, layer: Normalize) -> None:
        super().__init__()
        for part in ("mean", "deviation"):
            values = torch.tensor(getattr(layer, part), dtype=torch.float64)
            self.register_buffer(part, values[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x.dtype)) / self.deviation.to(x.dtype)


class GalaxyNet(nn.Module):
    """A network; submodules are named after its layers (prefixed: `pop` is a name, too).

    forward takes images uint8 (batch, height, width, channels) and the dropout masks in canonical
    layout, and gives logits (batch, classes). `record`, when given, receives every layer's output.
    """

    def __init__(self, network: Network, *, native_dropout: bool) -> None:
        super().__init__()
        self.network = network
        self.still: frozenset[str] = frozenset()  # batch norms that always compute as in inference
        self.layers = nn.ModuleDict(
            {
                f"layer_{layer.name}": _module(
                    layer, network.input_shapes[layer.name], native_dropout
                )
                for layer in network.layers
                if not isinstance(layer, Add)
            }
        )
        self.functions = {
            layer.name: function(layer)
            for layer in network.layers
            if isinstance(layer, Conv | Dense) and function_of(layer) != "linear"
        }

    def train(self, mode: bool = True) -> GalaxyNet:
        super().train(mode)
        for name in self.still:
            self.layers[f"layer_{name}"].eval()
        return self

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
        outputs = {PICTURES: x}
        for layer in self.network.layers:
            name = layer.name
            first, *others = (outputs[source] for source in self.network.sources[name])
            x = first + others[0] if others else self._applied(name, first, masks)
            if name in self.functions:
                x = self.functions[name](x)
            outputs[name] = x
            if record is not None:
                record[name] = x
        return x

    def _applied(self, name: str, x: Tensor, masks: Mapping[str, Tensor] | None) -> Tensor:
        """The module of a layer, applied."""
        module = self.layers[f"layer_{name}"]
        if not isinstance(module, MaskedDropout):
            return module(x)
        if not self.training:
            return x
        assert masks is not None
        return module(x, self._mask_layout(name, masks[name]))

    def _mask_layout(self, name: str, mask: Tensor) -> Tensor:
        """A canonical mask (row, column, channel) in PyTorch's order (channel, row, column)."""
        if mask.dim() == 4:
            return mask.permute(0, 3, 1, 2)
        image = flattened_image(self.network, name)
        if image is None or mask.shape[1] == 1:
            return mask
        return mask.reshape(-1, *image).permute(0, 3, 1, 2).flatten(1)


def _module(layer: NetworkLayer, source: Shape, native_dropout: bool) -> nn.Module:
    """The module of one layer, without its activation function; `source` is its input shape."""
    match layer:
        case Conv():
            return _convolution(layer, source)
        case Dense():
            return nn.Linear(source[0], layer.outputs, bias=layer.bias)
        case MaxPool():
            return pools.max_pool(layer, source)
        case AveragePool():
            return pools.average_pool(layer, source)
        case AdaptiveAveragePool():
            return nn.AdaptiveAvgPool2d(pair(layer.size))
        case AdaptiveMaxPool():
            return nn.AdaptiveMaxPool2d(pair(layer.size))
        case GlobalAveragePool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case GlobalMaxPool():
            return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
        case BatchNorm():
            return _batch_norm(layer, source)
        case LayerNorm() | GroupNorm():
            return _picture_norm(layer, source)
        case Dropout():
            return _dropout(layer, source) if native_dropout else MaskedDropout(layer.rate)
        case Flatten():
            return nn.Flatten()
        case Normalize():
            return Normalization(layer)
    assert isinstance(layer, Activation)
    return _Function(layer)


def _dropout(layer: Dropout, source: Shape) -> nn.Module:
    if layer.per == "picture":
        return PictureDropout(layer.rate)
    by_channel = layer.per == "channel" and len(source) == 3
    return nn.Dropout2d(layer.rate) if by_channel else nn.Dropout(layer.rate)


class _Function(nn.Module):
    def __init__(self, layer: Activation) -> None:
        super().__init__()
        self.function = function(layer)

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
    rows, columns = zeros_around(layer, source)
    options: dict[str, Any] = {
        "stride": layer.stride,
        "dilation": layer.dilation,
        "groups": layer.group_count,
        "bias": layer.bias,
    }
    sizes = source[2], layer.outputs, layer.kernel_size
    if rows[0] != rows[1] or columns[0] != columns[1]:
        return PaddedConv2d(*sizes, zeros=(*columns, *rows), **options)
    return nn.Conv2d(*sizes, padding=(rows[0], columns[0]), **options)


def _picture_norm(layer: LayerNorm | GroupNorm, source: Shape) -> nn.Module:
    if layer.variance == "fast":
        raise SpecificationError(
            f"layer '{layer.name}': PyTorch has no fast variance; state variance = \"two_pass\"."
        )
    assert layer.epsilon is not None
    if isinstance(layer, GroupNorm):
        return nn.GroupNorm(layer.groups, source[-1], eps=layer.epsilon)
    return (ChannelNorm if len(source) == 3 else nn.LayerNorm)(source[-1], eps=layer.epsilon)


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
        "glorot_normal": nn.init.xavier_normal_,
        "he_uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
        "he_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
        "he_uniform_fan_out": partial(_fan_out, nn.init.kaiming_uniform_),
        "he_normal_fan_out": partial(_fan_out, nn.init.kaiming_normal_),
        "lecun_uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="linear"),
        "lecun_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"),
        "orthogonal": nn.init.orthogonal_,
    }
    for layer in model.network.layers:
        if isinstance(layer, BatchNorm) and layer.gamma_initializer == "zeros":
            nn.init.zeros_(tensor_of(model, f"{layer.name}/gamma"))
        if isinstance(layer, Conv | Dense):
            weight, spread = tensor_of(model, f"{layer.name}/kernel"), deviation(layer)
            if layer.kernel_initializer == "normal":
                nn.init.normal_(weight, std=spread)
            elif layer.kernel_initializer == "truncated_normal":
                nn.init.trunc_normal_(weight, std=spread, a=-2 * spread, b=2 * spread)
            elif layer.kernel_initializer in kernel:
                kernel[layer.kernel_initializer](weight)
            if layer.bias and layer.bias_initializer == "zeros":
                nn.init.zeros_(tensor_of(model, f"{layer.name}/bias"))


def _fan_out(draw: Callable[..., Any], weight: Tensor) -> None:
    draw(weight, mode="fan_out", nonlinearity="relu")


def tensor_of(model: GalaxyNet, key: str) -> Tensor:
    """The parameter or buffer behind a canonical key."""
    name, part = key.split("/")
    return getattr(model.layers[f"layer_{name}"], PARTS[part])


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
