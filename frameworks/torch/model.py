"""The PyTorch module of a network, and the layout of its weights (siblings: flax, keras)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from datasets.drawn.settings import Augment
from frameworks.backend import PIXEL_SCALE
from frameworks.spec.flat_order import flat_order, flattened_image
from frameworks.spec.flat_order import image_behind as image_behind
from frameworks.spec.graph import Block, Tree
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
    Multiply,
    NetworkLayer,
    Normalize,
    Scale,
    deviation,
    function_of,
    pair,
)
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.shapes import Shape, zeros_around
from frameworks.torch import pools
from frameworks.torch.activations import function
from frameworks.torch.modules import (
    BiasedBatchNorm1d,
    BiasedBatchNorm2d,
    ChannelNorm,
    ChannelScale,
    Concatenate,
    Gate,
    Layers,
    MaskedDropout,
    Masks,
    Normalization,
    PictureDropout,
    Residual,
)
from frameworks.torch.own_augment import OwnAugment

PARTS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class GalaxyNet(nn.Module):
    """A network; submodules are named after its layers (prefixed: `pop` is a name, too).

    forward takes images uint8 (batch, height, width, channels) and the dropout masks in canonical
    layout, and gives logits (batch, classes). augment: changes of the pictures in training.
    """

    def __init__(
        self, network: Network, *, native_dropout: bool, augment: Augment | None = None
    ) -> None:
        super().__init__()
        self.augment = None if augment is None else OwnAugment(augment)
        self.network = network
        self.still: frozenset[str] = frozenset()  # batch norms that always compute as in inference
        self._native_dropout = native_dropout
        self.outputs: dict[str, str] = {}  # path of a module: the layer whose output it gives
        self.sums: dict[str, str] = {}  # path of a block's function: the sum that it takes
        self.layers = self._list(network.tree, "layers")
        self.register_load_state_dict_pre_hook(_from_flat)

    def _list(self, tree: Tree, path: str) -> Layers:
        made: dict[str, nn.Module] = {}
        for own, part in tree.items():
            key = f"layer_{own}"
            if isinstance(part, Block):
                made[key] = self._block(part, f"{path}.{key}")
                continue
            made[key] = self.module(part)
            self.outputs[f"{path}.{key}"] = part.name
            if isinstance(part, Conv | Dense) and function_of(part) != "linear":
                made[f"{function_of(part)}_{own}"] = self.function(part)
                self.outputs[f"{path}.{function_of(part)}_{own}"] = part.name
        return Layers(self.ordered(tree, made, path))

    def _block(self, block: Block, path: str) -> nn.Module:
        lists = {name: self._list(one, f"{path}.{name}") for name, one in block.lists.items()}
        if not isinstance(block.end, Add):
            self.outputs[path] = block.name
            return Gate(lists["body"]) if isinstance(block.end, Multiply) else Concatenate(lists)
        last = block.activation
        self.sums[f"{path}.activation"] = block.name
        if last is not None:
            self.outputs[f"{path}.activation"] = last.name
        return Residual(**lists, activation=nn.Identity() if last is None else self.function(last))

    def module(self, layer: NetworkLayer) -> nn.Module:
        """The module of one layer, without the activation function of a kernel's."""
        if isinstance(layer, Activation):
            return self.function(layer)
        if isinstance(layer, Dropout) and not self._native_dropout:
            return MaskedDropout(layer, flattened_image(self.network, layer.name))
        return _module(layer, self.network.input_shapes[layer.name])

    def function(self, layer: Activation | Conv | Dense) -> nn.Module:
        """The activation function of a layer."""
        return function(layer)

    def ordered(
        self, tree: Tree, made: dict[str, nn.Module], path: str
    ) -> OrderedDict[str, nn.Module]:
        """The modules of a list in the order in which they compute."""
        return OrderedDict(made)

    def path(self, name: str) -> str:
        """The path of a layer's module."""
        place = self.network.places[name]
        inner = (part if step % 2 else f"layer_{part}" for step, part in enumerate(place))
        return ".".join(("layers", *inner))

    def of(self, name: str) -> nn.Module:
        """The module of a layer."""
        return self.get_submodule(self.path(name))

    def train(self, mode: bool = True) -> GalaxyNet:
        super().train(mode)
        for name in self.still:
            self.of(name).eval()
        return self

    def forward(self, images: Tensor, masks: Masks | None = None) -> Tensor:
        x = self.scaled(images)
        if self.augment is not None and self.training:
            x = self.augment(x)
        return self.layers(x, masks)

    def scaled(self, images: Tensor) -> Tensor:
        """Pictures (batch, channels, height, width) in the type of the weights."""
        # contiguous: a mere permutation would run every layer in the channels-last layout, where
        # the CPU's batch norm sums its variance in plain float32 (1e-3 off at 64 x 63 x 63)
        dtype = next(self.parameters()).dtype
        return images.permute(0, 3, 1, 2).contiguous().to(dtype) * PIXEL_SCALE

    @contextmanager
    def recording(self) -> Iterator[dict[str, Tensor]]:
        """Every layer's output by its name, of the forward pass inside; read it afterwards."""
        record: dict[str, Tensor] = {}

        def kept(name: str) -> Callable[..., None]:
            def keep(_: nn.Module, taken: tuple[Tensor, ...], *given: Tensor) -> None:
                record[name] = (*taken, *given)[-1].clone()  # what follows may work in place

            return keep

        with ExitStack() as hooks:
            for path, name in self.outputs.items():
                hook = self.get_submodule(path).register_forward_hook(kept(name))
                hooks.callback(hook.remove)
            for path, name in self.sums.items():
                hook = self.get_submodule(path).register_forward_pre_hook(kept(name))
                hooks.callback(hook.remove)
            yield record


def _module(layer: NetworkLayer, source: Shape) -> nn.Module:
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
        case Scale():
            return ChannelScale(source[-1], layer.initial)
        case Dropout():
            return _dropout(layer, source)
        case Flatten():
            return nn.Flatten()
    assert isinstance(layer, Normalize)
    return Normalization(layer)


def _dropout(layer: Dropout, source: Shape) -> nn.Module:
    if layer.per == "picture":
        return PictureDropout(layer.rate)
    by_channel = layer.per == "channel" and len(source) == 3
    return nn.Dropout2d(layer.rate) if by_channel else nn.Dropout(layer.rate)


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


def _from_flat(model: GalaxyNet, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Give names of today to a state that was saved before blocks were modules."""
    for name in model.network.places:
        new, old = f"{prefix}{model.path(name)}.", f"{prefix}layers.layer_{name}."
        for key in [key for key in state if new != old and key.startswith(old)]:
            state[new + key.removeprefix(old)] = state.pop(key)


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
    return getattr(model.of(name), PARTS[part])


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
