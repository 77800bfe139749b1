"""The modules of which a network is made in PyTorch, besides its own (sibling: flax)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from frameworks.spec.layers import Dropout, Normalize

Masks = Mapping[str, Tensor]


class MaskedDropout(nn.Module):
    """Inverted dropout whose mask (0 or 1, any dtype), in canonical layout, is an input."""

    def __init__(self, layer: Dropout, image: tuple[int, ...] | None) -> None:
        """Dropout by the mask of the layer's name; `image` is what was flattened ahead, if any."""
        super().__init__()
        self.name, self.image, self.scale = layer.name, image, 1 / (1 - layer.rate)

    def forward(self, x: Tensor, masks: Masks | None) -> Tensor:
        if not self.training:
            return x
        assert masks is not None
        return self.dropped(x, self.laid_out(masks[self.name]))

    def dropped(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask.to(x.dtype) * self.scale

    def laid_out(self, mask: Tensor) -> Tensor:
        """A canonical mask (row, column, channel) in PyTorch's order (channel, row, column)."""
        if mask.dim() == 4:
            return mask.permute(0, 3, 1, 2)
        if self.image is None or mask.shape[1] == 1:
            return mask
        return mask.reshape(-1, *self.image).permute(0, 3, 1, 2).flatten(1)


class Layers(nn.Sequential):
    """Modules one after another, which hands the dropout masks on."""

    def forward(self, x: Tensor, masks: Masks | None = None) -> Tensor:
        for module in self:
            takes_masks = isinstance(module, MaskedDropout | Residual | Gate | Concatenate)
            x = module(x, masks) if takes_masks else module(x)
        return x


class Residual(nn.Module):
    """activation(body(x) + shortcut(x))."""

    def __init__(self, body: Layers, shortcut: Layers, activation: nn.Module) -> None:
        super().__init__()
        self.body, self.activation = body, activation
        self.shortcut = shortcut if len(shortcut) else nn.Identity()

    def forward(self, x: Tensor, masks: Masks | None = None) -> Tensor:
        side = self.shortcut(x, masks) if isinstance(self.shortcut, Layers) else x
        return self.activation(self.body(x, masks) + side)


class Gate(nn.Module):
    """x * body(x)."""

    def __init__(self, body: Layers) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor, masks: Masks | None = None) -> Tensor:
        return x * self.body(x, masks)


class Concatenate(nn.Module):
    """The channels of each branch, one behind the other."""

    def __init__(self, branches: Mapping[str, Layers]) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch if len(branch) else nn.Identity())

    def forward(self, x: Tensor, masks: Masks | None = None) -> Tensor:
        branches = self.children()
        return torch.cat([one(x, masks) if isinstance(one, Layers) else x for one in branches], 1)


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


class ChannelScale(nn.Module):
    """x times a trained number for each channel, or unit."""

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), initial))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype)
        return x * (weight[:, None, None] if x.dim() == 4 else weight)


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
