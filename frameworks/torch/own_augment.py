"""Augmentation drawn by PyTorch, on its device (siblings: keras, flax)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from datasets.drawn.settings import Augment
from frameworks.spec.own_augment import taken_from

NAME = "native: affine_grid, grid_sample"
_EDGES = {"reflect": "reflection", "nearest": "border", "constant": "zeros"}
_GREY = (0.299, 0.587, 0.114)


class OwnAugment(nn.Module):
    """Pictures (batch, channels, height, width) of values from 0 to 1, changed each by itself.

    They are moved by `grid_sample`; values are changed as torchvision's ColorJitter changes them.
    """

    def __init__(self, settings: Augment) -> None:
        super().__init__()
        self.settings = settings

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        settings, given = self.settings, x

        def uniform(low: float, high: float) -> Tensor:
            return torch.empty(len(x), dtype=x.dtype, device=x.device).uniform_(low, high)

        def factor(most: float) -> Tensor:
            return uniform(1 - most, 1 + most)[:, None, None, None]

        for name, axis in (("horizontal", 3), ("vertical", 2)):
            if settings.flip in (name, "both"):
                x = torch.where(factor(1) < 1, x.flip(axis), x)
        if settings.resampled:
            height, width = x.shape[2:]
            a, b, c, d, e, f = taken_from(settings, torch, uniform, height, width)
            tall = height / width  # of coordinates from -1 to 1, column first
            rows = [e, d * tall, f * 2 / width, b / tall, a, c * 2 / height]
            map_ = torch.stack(rows, 1).view(-1, 2, 3)
            grid = functional.affine_grid(map_, list(x.shape), align_corners=False)
            how = settings.interpolation, _EDGES[settings.edge]
            x = functional.grid_sample(x, grid, *how, align_corners=False)
        if settings.contrast:
            x = _blended(x, x.mean((1, 2, 3), keepdim=True), factor(settings.contrast))
        if settings.brightness:
            x = (x * factor(settings.brightness)).clamp(0, 1)
        if settings.saturation:
            grey = sum(x[:, place, None] * share for place, share in enumerate(_GREY))
            x = _blended(x, grey, factor(settings.saturation))
        if settings.noise:
            x = (x + settings.noise * torch.randn_like(x)).clamp(0, 1)
        return torch.empty_like(given).copy_(x)  # in the layout that was given


def _blended(x: Tensor, other: Tensor | int, share: Tensor) -> Tensor:
    return (other + share * (x - other)).clamp(0, 1)
