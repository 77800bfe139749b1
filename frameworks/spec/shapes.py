"""Shapes: zeros around an axis, and what a layer makes of the shape that it is given."""

from __future__ import annotations

import math

from frameworks.spec.layers import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    Conv,
    Dense,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
    NetworkLayer,
    Padding,
    Pair,
    Zeros,
    pair,
)

Shape = tuple[int, ...]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis for `padding="same"`: the odd one comes after.

    TensorFlow's rule (tensorflow.org/api_docs/python/tf/nn, "SAME"): output = ceil(size / stride).
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def zeros_around(layer: Conv | MaxPool | AveragePool, source: Shape) -> Zeros:
    """Zeros (before, after) of rows and of columns that a layer puts around its input.

    Args:
        source: (height, width, channels) of the input.
    """
    reach, steps = windows(layer)
    rows, columns = (
        _zeros(layer.padding, axis, source[axis], reach[axis], steps[axis]) for axis in (0, 1)
    )
    return rows, columns


def windows(layer: Conv | MaxPool | AveragePool) -> tuple[Pair, Pair]:
    """The reach of a window and the steps between windows, each (rows, columns)."""
    if isinstance(layer, Conv):
        return layer.reach, pair(layer.stride)
    return pair(layer.size), layer.steps


def _zeros(padding: Padding, axis: int, size: int, reach: int, step: int) -> Pair:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        return same_padding(size, reach, step)
    sides = padding if isinstance(padding, int) else padding[axis]
    return pair(sides)


def parts(size: int, count: int) -> list[slice]:
    """The parts of an axis that adaptive pooling cuts: floor(i n / count) to ceil((i+1) n / count).

    PyTorch's rule (aten/src/ATen/native/AdaptivePooling.h); parts may overlap.
    """
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def output_shape(layer: NetworkLayer, shape: Shape) -> Shape:
    """Output shape of a layer, without the batch axis; (0, ...) where it runs out of pixels."""
    match layer:
        case Conv() | MaxPool() | AveragePool():
            (reach, steps), zeros = windows(layer), zeros_around(layer, shape)
            size = tuple(
                (n + sum(around) - width) // step + 1
                for n, around, width, step in zip(shape[:2], zeros, reach, steps, strict=True)
            )
            channels = layer.outputs if isinstance(layer, Conv) else shape[2]
            return (*size, channels)
        case AdaptiveAveragePool() | AdaptiveMaxPool():
            return (*pair(layer.size), shape[2])
        case GlobalAveragePool() | GlobalMaxPool():
            return (shape[-1],)
        case Flatten():
            return (math.prod(shape),)
        case Dense():
            return (layer.outputs,)
    return shape
