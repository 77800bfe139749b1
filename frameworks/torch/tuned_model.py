"""The PyTorch module of a network as it runs fastest: the same layers and weights as GalaxyNet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from frameworks.backend import PIXEL_SCALE
from frameworks.spec.graph import Block, Tree
from frameworks.spec.layers import (
    JOINS,
    Activation,
    BatchNorm,
    Conv,
    Dense,
    MaxPool,
    NetworkLayer,
    function_of,
)
from frameworks.spec.network import Network
from frameworks.torch.channels_last import batch_norm, convolve, is_wide
from frameworks.torch.model import GalaxyNet
from frameworks.torch.modules import BiasedBatchNorm2d

# Layers whose own gradient does not need their output.
_FORGOTTEN = (Conv, Dense, BatchNorm, *JOINS)


class TunedGalaxyNet(GalaxyNet):
    """GalaxyNet in channels-last layout, without the passes over memory that can be saved.

    A ReLU works in place. Ahead of a max-pool it is applied after it, to a quarter of the values:
    max(relu(x)) is relu(max(x)), and where every value of a window is negative both send no
    gradient.
    """

    def __init__(
        self, network: Network, *, channels_last: bool, delayed_relu: bool, **options: Any
    ) -> None:
        self.channels_last, self.delayed_relu = channels_last, delayed_relu
        self._delayed: list[str] = []
        super().__init__(network, **options)

    def scaled(self, images: Tensor) -> Tensor:
        x = images.permute(0, 3, 1, 2)  # of row, column, channel in memory: channels last
        dtype = next(self.parameters()).dtype
        return (x if self.channels_last else x.contiguous()).to(dtype) * PIXEL_SCALE

    def module(self, layer: NetworkLayer) -> nn.Module:
        made = super().module(layer)
        if self.channels_last and isinstance(made, nn.GroupNorm):
            return ContiguousGroupNorm(made.num_groups, made.num_channels, made.eps)
        if not (self.channels_last and isinstance(made, nn.BatchNorm2d)):
            return made
        biased = isinstance(made, BiasedBatchNorm2d)
        kind = ChannelsLastBiasedBatchNorm2d if biased else ChannelsLastBatchNorm2d
        return kind(made.num_features, made.eps, made.momentum)

    def function(self, layer: Activation | Conv | Dense) -> nn.Module:
        if function_of(layer) == "relu" and (self._free(layer) or isinstance(layer, Conv | Dense)):
            return nn.ReLU(inplace=True)
        return super().function(layer)

    def _free(self, layer: NetworkLayer) -> bool:
        """Nothing but this layer uses what it takes."""
        (source,) = self.network.sources[layer.name]
        ahead = self.network.by_name.get(source)
        alone = self.network.readers.get(source) == (layer.name,)
        return alone and isinstance(ahead, _FORGOTTEN) and function_of(ahead) == "linear"

    def ordered(
        self, tree: Tree, made: dict[str, nn.Module], path: str
    ) -> OrderedDict[str, nn.Module]:
        """A ReLU waits until after the max-pool that follows, if that alone reads from it."""
        keys = list(made)
        for own, part in tree.items() if self.delayed_relu else ():
            if isinstance(part, Block) or function_of(part) != "relu":
                continue
            key = f"layer_{own}" if isinstance(part, Activation) else f"relu_{own}"
            after = keys.index(key) + 1
            readers = [self.network.by_name[name] for name in self.network.readers[part.name]]
            reader = readers[0] if len(readers) == 1 else None
            if isinstance(reader, MaxPool):
                keys[after - 1 : after + 1] = keys[after], key
                self._delayed.append(part.name)
                self.outputs[f"{path}.{key}"] = reader.name
        return OrderedDict((key, made[key]) for key in keys)

    @contextmanager
    def recording(self) -> Iterator[dict[str, Tensor]]:
        with super().recording() as record:
            yield record
        for name in self._delayed:
            ahead = name if name in record else self.network.sources[name][0]
            record[name] = functional.relu(record[ahead])


def use_own_depthwise(model: nn.Module) -> None:
    """Give wide depthwise convolutions our gradient of the kernel, for training on a CPU."""
    for made in model.modules():
        if isinstance(made, nn.Conv2d) and _is_wide_depthwise(made):
            made._conv_forward = partial(_depthwise, made)  # type: ignore[method-assign]


def _is_wide_depthwise(made: nn.Conv2d) -> bool:
    """A depthwise convolution whose kernel's gradient is fast in parts."""
    alone = made.groups == made.in_channels == made.out_channels
    return alone and made.dilation == (1, 1) and is_wide(made.kernel_size, made.stride)


def _depthwise(made: nn.Conv2d, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution of a module; in float32 with our gradient of the kernel."""
    if x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return nn.Conv2d._conv_forward(made, x, kernel, bias)
    return convolve(x, kernel, bias, made.stride, made.padding)


class ContiguousGroupNorm(nn.GroupNorm):
    """GroupNorm that takes pictures channel by channel: its gradient of few channels in
    channels-last layout ends the process on a CPU (PyTorch 2.13, float32)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.contiguous())


class _OwnSums(nn.modules.batchnorm._BatchNorm):
    """Batch norm that takes its sums by `batch_norm` when it trains on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and x.device.type == "cpu"):
            return super().forward(x)
        if x.dtype.itemsize == 2:  # the sums below want float32
            return super().forward(x.contiguous()).contiguous(memory_format=torch.channels_last)
        x, mean, variance = batch_norm(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            count = x.numel() // x.shape[1]
            if not isinstance(self, BiasedBatchNorm2d):
                variance = variance * (count / (count - 1))
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance, self.momentum)  # type: ignore[union-attr]
        return x


class ChannelsLastBatchNorm2d(_OwnSums, nn.BatchNorm2d):
    """BatchNorm2d with our sums."""


class ChannelsLastBiasedBatchNorm2d(_OwnSums, BiasedBatchNorm2d):
    """BatchNorm2d with our sums and the biased running variance."""
