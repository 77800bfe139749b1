"""The PyTorch module of a network as it runs fastest: the same layers and weights as GalaxyNet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from frameworks.backend import PIXEL_SCALE
from frameworks.spec.graph import PICTURES
from frameworks.spec.layers import MaxPool, function_of
from frameworks.torch.global_batch_norm import GlobalBatchNorm
from frameworks.torch.model import BiasedBatchNorm2d, GalaxyNet

_BatchNorm = nn.modules.batchnorm._BatchNorm


class TunedGalaxyNet(GalaxyNet):
    """GalaxyNet in channels-last layout, without the passes over memory that can be saved.

    A ReLU ahead of a max-pool is applied after it, to a quarter of the values: max(relu(x)) is
    relu(max(x)), and where every value of a window is negative both send no gradient. With
    `record` the layers' own outputs are asked for, and it is applied where it stands.
    """

    channels_last = False
    delayed_relu = True

    def forward(
        self,
        images: Tensor,
        masks: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        dtype = next(self.parameters()).dtype
        x = images.permute(0, 3, 1, 2)  # of row, column, channel in memory: channels last
        x = (x if self.channels_last else x.contiguous()).to(dtype) * PIXEL_SCALE
        outputs = {PICTURES: x}
        delayed = self._delayed_relus if record is None else frozenset()
        for layer in self.network.layers:
            name = layer.name
            first, *others = (outputs[source] for source in self.network.sources[name])
            x = first + others[0] if others else self._applied(name, first, masks)
            if self.network.sources[name][0] in delayed or (
                name in self.functions and function_of(layer) == "relu" and name not in delayed
            ):
                x = functional.relu(x, inplace=True)
            elif name in self.functions and name not in delayed:
                x = self.functions[name](x)
            outputs[name] = x
            if record is not None:
                record[name] = x
        return x

    @cached_property
    def _delayed_relus(self) -> frozenset[str]:
        """Layers whose ReLU waits until after the max-pool, which alone reads from them."""
        if not self.delayed_relu:
            return frozenset()
        readers = self.network.readers
        return frozenset(
            name
            for name in self.functions
            if function_of(self.network.by_name[name]) == "relu"
            and len(readers[name]) == 1
            and isinstance(self.network.by_name[readers[name][0]], MaxPool)
        )

    def _applied(self, name: str, x: Tensor, masks: Mapping[str, Tensor] | None) -> Tensor:
        module = self.layers[f"layer_{name}"]
        if isinstance(module, _BatchNorm) and not isinstance(module, GlobalBatchNorm):
            return self._normalised(module, x)
        return super()._applied(name, x, masks)

    def _normalised(self, module: _BatchNorm, x: Tensor) -> Tensor:
        if not (module.training and self.channels_last and x.dim() == 4 and x.device.type == "cpu"):
            return module(x)
        if x.dtype == torch.bfloat16:  # the sums below want float32
            return module(x.contiguous()).contiguous(memory_format=torch.channels_last)
        x, mean, variance = batch_norm(x, module.weight, module.bias, module.eps)
        with torch.no_grad():
            count = x.numel() // x.shape[1]
            if not isinstance(module, BiasedBatchNorm2d):
                variance = variance * (count / (count - 1))
            assert module.momentum is not None
            module.running_mean.lerp_(mean, module.momentum)  # type: ignore[union-attr]
            module.running_var.lerp_(variance, module.momentum)  # type: ignore[union-attr]
        return x


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, ...]:
    """Batch normalisation of (batch, channels, height, width) over all axes but channels.

    For channels-last tensors on CPUs, where PyTorch's own adds up the variance in plain float32
    (1e-3 off at 64 x 63 x 63 values a channel); `Tensor.sum` adds pairwise.

    Returns:
        The output, and the batch's mean and biased variance (channels,), which carry no gradient.
    """
    return _ChannelsLastBatchNorm.apply(x, gamma, beta, epsilon)


class _ChannelsLastBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Any:
        count = x.numel() // x.shape[1]
        mean = x.sum((0, 2, 3)) / count
        centred = x - _by_channel(mean)
        variance = centred.square().sum((0, 2, 3)) / count
        inverse = (variance + epsilon).rsqrt()
        ctx.save_for_backward(centred, gamma, inverse)
        ctx.mark_non_differentiable(mean, variance)
        output = torch.addcmul(_by_channel(beta), centred, _by_channel(gamma * inverse))
        return output, mean, variance

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        """Ioffe & Szegedy 2015, section 3, with the channels' factors multiplied out first.

        gamma * inverse * (slope - mean(slope) - centred * inverse**2 * mean(slope * centred))
        """
        centred, gamma, inverse = ctx.saved_tensors
        slope = slopes[0]
        count = slope.numel() // slope.shape[1]
        beta_slope = slope.sum((0, 2, 3))
        gamma_slope = (slope * centred).sum((0, 2, 3)) * inverse
        scale = gamma * inverse
        x_slope = torch.addcmul(_by_channel(-scale * beta_slope / count), slope, _by_channel(scale))
        x_slope.addcmul_(centred, _by_channel(-scale * inverse * gamma_slope / count))
        return x_slope, gamma_slope, beta_slope, None


def _by_channel(vector: Tensor) -> Tensor:
    return vector[None, :, None, None]
