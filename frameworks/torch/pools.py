"""Pools of PyTorch with the zeros that a layer asks for (siblings: flax, keras)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from frameworks.spec.layers import AveragePool, MaxPool, pair
from frameworks.spec.shapes import Shape, zeros_around

_Sides = tuple[int, int, int, int]  # left, right, top, bottom: the order of `functional.pad`


def max_pool(layer: MaxPool, source: Shape) -> nn.Module:
    """PyTorch's own where the sides are alike; else the picture is padded with -inf first."""
    rows, columns = zeros_around(layer, source)
    size = pair(layer.size)
    if rows[0] == rows[1] and columns[0] == columns[1]:
        return nn.MaxPool2d(size, layer.steps, padding=(rows[0], columns[0]))
    pad = nn.ConstantPad2d((*columns, *rows), float("-inf"))
    return nn.Sequential(pad, nn.MaxPool2d(size, layer.steps))


def average_pool(layer: AveragePool, source: Shape) -> nn.Module:
    """PyTorch's own where the sides are alike; else padded first, and its mean of all places turned
    into that of the places within the picture unless padding counts."""
    rows, columns = zeros_around(layer, source)
    size = pair(layer.size)
    if not any((*rows, *columns)):
        return nn.AvgPool2d(size, layer.steps)
    if rows[0] == rows[1] and columns[0] == columns[1]:
        return nn.AvgPool2d(
            size,
            layer.steps,
            padding=(rows[0], columns[0]),
            count_include_pad=bool(layer.count_padding),
        )
    pool = PaddedAvgPool2d(size, layer.steps, zeros=(*columns, *rows))
    if not layer.count_padding:
        pool.count_inside(source)
    return pool


class PaddedAvgPool2d(nn.AvgPool2d):
    """AvgPool2d with other zeros on the one side than on the other."""

    def __init__(self, size: tuple[int, int], steps: tuple[int, int], *, zeros: _Sides) -> None:
        super().__init__(size, steps)
        self.zeros = zeros
        self.register_buffer("share", None, persistent=False)

    def count_inside(self, source: Shape) -> None:
        """Divide by the places within pictures of this shape, (height, width, channels)."""
        inside = torch.ones(1, 1, *source[:2], dtype=torch.float64)
        self.share = super().forward(functional.pad(inside, self.zeros))

    def forward(self, x: Tensor) -> Tensor:
        means = super().forward(functional.pad(x, self.zeros))
        return means if self.share is None else means / self.share.to(x.dtype)
