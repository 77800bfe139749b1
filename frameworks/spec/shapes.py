"""Shapes: zeros around an axis, what a layer makes of its input's shape, and inputs that misfit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from frameworks.spec.layers import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Add,
    AveragePool,
    Concatenation,
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


def output_shape(layer: NetworkLayer, shape: Shape, *others: Shape) -> Shape:
    """Output shape of a layer, without the batch axis; (0, ...) where it runs out of pixels.

    Args:
        shape: of its input. others: of further ones, of the end of a block.
    """
    match layer:
        case Concatenation():
            return (*shape[:2], shape[2] + sum(other[2] for other in others))
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


def misfit(layer: NetworkLayer, inputs: Sequence[Shape]) -> str:
    """The fault of the inputs of a block's end, and its remedy; "" where they fit."""
    one, other, *_ = words = ["x".join(map(str, shape)) for shape in inputs]
    if isinstance(layer, Concatenation):
        for number, shape in enumerate(inputs, start=1):
            if shape[:2] != inputs[0][:2]:
                return (
                    f"branch 1 ends in {one}, branch {number} in {words[number - 1]}. Give them "
                    'the same strides, and padding = "same" or numbers.'
                )
        return ""
    if isinstance(layer, Add) and inputs[0] != inputs[1]:
        return (
            f"its layers end in {one}, its shortcut in {other}. Give the shortcut a convolution of "
            "the same filters and stride."
        )
    if any(side not in (1, whole) for whole, side in zip(*inputs, strict=True)):
        return (
            f"its layers end in {other}, and it multiplies {one}. Give them as many filters, and "
            "the same size or a pool to size 1."
        )
    return ""
