"""Every layer of `frameworks.spec.layers` forward and backward, by hand, in NumPy.

`apply` computes one layer and returns its output with the functions that take a gradient back
through it. Arrays are (batch, height, width, channels) or (batch, units); the dtype of the input is
kept throughout. Nothing here is clever but the convolution, which is a matrix product over windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from frameworks.numpy import norms, pools, windows
from frameworks.numpy.activations import activate
from frameworks.spec.layers import (
    Activation,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Add,
    AveragePool,
    BatchNorm,
    Concatenation,
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
    Scale,
    pair,
)
from frameworks.spec.reading import SpecificationError
from frameworks.spec.shapes import zeros_around
from frameworks.spec.weights import Weights

Backward = Callable[[np.ndarray], np.ndarray]
WeightGradients = Callable[[np.ndarray], Weights]
_WINDOW_BYTES = 2**26  # windows held at once: more pictures at a time gain nothing


@dataclass(frozen=True)
class Applied:
    """One layer, applied.

    backward: gradient of the loss by the output to that by the input; beside: by further inputs.
    weight_gradients: gradient of the loss by the output to those by the weights, by part.
    kinks: which piece of a piecewise smooth layer each element was on; None for smooth layers. For
    ReLU and its kin bool, True on the positive side; for relu6 and hard_sigmoid int8, 0 below, 1
    between, 2 above; for a max-pool int64, row * width + column of
    the maximum within its window.
    running: new running statistics by part, from batch norm in training.
    """

    output: np.ndarray
    backward: Backward
    weight_gradients: WeightGradients = lambda _: {}
    kinks: np.ndarray | None = None
    running: Weights = field(default_factory=dict)
    beside: tuple[Backward, ...] = ()

    @property
    def backwards(self) -> tuple[Backward, ...]:
        """`backward` of each input."""
        return (self.backward, *self.beside)


def join(layer: NetworkLayer, x: np.ndarray, *others: np.ndarray) -> Applied:
    """Apply the end of a block, a layer of several inputs; a product's second one broadcasts."""
    if isinstance(layer, Concatenation):
        ends = np.cumsum([0, *(one.shape[-1] for one in (x, *others))])
        first, *rest = map(_share, ends, ends[1:])
        return Applied(np.concatenate((x, *others), axis=-1), first, beside=tuple(rest))
    (other,) = others
    if isinstance(layer, Add):
        return Applied(x + other, _unchanged, beside=(_unchanged,))
    spread = tuple(axis for axis, side in enumerate(other.shape) if side < x.shape[axis])
    return Applied(
        x * other,
        lambda dy: dy * other,
        beside=(lambda dy: (dy * x).sum(axis=spread, keepdims=True),),
    )


def _share(start: int, end: int) -> Backward:
    return lambda dy: dy[..., start:end]


def apply(
    layer: NetworkLayer,
    x: np.ndarray,
    parts: Weights,
    *,
    training: bool,
    mask: np.ndarray | None = None,
    kinks: np.ndarray | None = None,
) -> Applied:
    """Apply a layer of one input whose fields are all stated.

    Args:
        x: input of the layer.
        parts: its weights by part (kernel, bias, gamma, ...), canonical layout, dtype of x.
        mask: of a dropout layer in training, 0 (dropped) or 1, of a shape that broadcasts to x's.
        kinks: use these pieces in place of those that x chooses (see `Applied.kinks`).
    """
    match layer:
        case Conv():
            return _activated(layer, _convolution(layer, x, parts), kinks)
        case Dense():
            return _activated(layer, _dense(x, parts), kinks)
        case Activation():
            output, backward, sides = activate(layer, x, kinks)
            return Applied(output, backward, kinks=sides)
        case MaxPool() | AdaptiveMaxPool() | GlobalMaxPool():
            output, backward, chosen = pools.maximum(layer, x, kinks)
            return Applied(output, backward, kinks=chosen)
        case AveragePool() | AdaptiveAveragePool() | GlobalAveragePool():
            return Applied(*pools.average(layer, x))
        case BatchNorm():
            return _normed(norms.batch_norm(layer, x, parts, training=training))
        case LayerNorm() | GroupNorm():
            return _normed(norms.picture_norm(layer, x, parts))
        case Scale():
            return _scaled(x, parts["gamma"])
        case Dropout():
            return _dropout(layer, x, mask) if training else Applied(x, _unchanged)
        case Flatten():
            return Applied(x.reshape(len(x), -1), lambda dy: dy.reshape(x.shape))
        case Normalize():
            mean, deviation = np.asarray(layer.mean), np.asarray(layer.deviation)
            output = ((x - mean) / deviation).astype(x.dtype)
            return Applied(output, lambda dy: dy / deviation)
    raise AssertionError(layer)  # a block is opened, and its end has two inputs


def _activated(layer: Conv | Dense, linear: Applied, kinks: np.ndarray | None) -> Applied:
    """A layer's linear part followed by its activation function."""
    output, backward, sides = activate(layer, linear.output, kinks)
    return Applied(
        output,
        lambda dy: linear.backward(backward(dy)),
        lambda dy: linear.weight_gradients(backward(dy)),
        sides,
    )


def _normed(norm: norms.Normed) -> Applied:
    return Applied(norm.output, norm.backward, norm.weight_gradients, running=norm.running)


def _scaled(x: np.ndarray, gamma: np.ndarray) -> Applied:
    return Applied(
        x * gamma,
        lambda dy: dy * gamma,
        lambda dy: {"gamma": windows.channel_sum(dy * x)},
    )


def _unchanged(dy: np.ndarray) -> np.ndarray:
    return dy


def _dense(x: np.ndarray, parts: Weights) -> Applied:
    kernel = parts["kernel"]
    return Applied(
        x @ kernel + parts.get("bias", 0),
        lambda dy: dy @ kernel.T,
        lambda dy: {"kernel": x.T @ dy} | _bias_gradient(parts, dy),
    )


def _bias_gradient(parts: Weights, dy: np.ndarray) -> Weights:
    return {"bias": windows.channel_sum(dy)} if "bias" in parts else {}


def _convolution(layer: Conv, x: np.ndarray, parts: Weights) -> Applied:
    """Cross-correlation, as everywhere in deep learning: the kernel is not flipped.

    The channels of a group are convolved by themselves: group g reads the g-th share of the input
    channels and gives the g-th share of the filters.
    """
    zeros = zeros_around(layer, x.shape[1:])
    padded = windows.padded(x, zeros)
    kernel, groups = parts["kernel"], layer.group_count
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups
    shares = [
        (slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs))
        for g in range(groups)
    ]
    steps = pair(layer.stride)
    height, width = (
        (n - reach) // step + 1
        for n, reach, step in zip(padded.shape[1:3], layer.reach, steps, strict=True)
    )
    output = np.empty((len(x), height, width, layer.outputs), x.dtype)
    for of_input, of_output in shares:
        flat_kernel = kernel[..., of_output].reshape(-1, outputs)
        for pictures, rows in _windows(layer, padded[..., of_input]):
            product = (rows @ flat_kernel).reshape(-1, height, width, outputs)
            output[pictures, ..., of_output] = product
    output += parts.get("bias", 0)

    def backward(dy: np.ndarray) -> np.ndarray:
        d_padded = np.zeros_like(padded)
        for row, column in np.ndindex(layer.kernel_size):
            place = (row * pair(layer.dilation)[0], column * pair(layer.dilation)[1])
            pixels = windows.at(d_padded, place, (height, width), steps)
            for of_input, of_output in shares:
                pixels[..., of_input] += dy[..., of_output] @ kernel[row, column, :, of_output].T
        return windows.cropped(d_padded, zeros, x)

    def weight_gradients(dy: np.ndarray) -> Weights:
        d_kernel = np.zeros_like(kernel)
        for of_input, of_output in shares:
            for pictures, rows in _windows(layer, padded[..., of_input]):
                slopes = dy[pictures, ..., of_output].reshape(-1, outputs)
                d_kernel[..., of_output] += (rows.T @ slopes).reshape(*kernel.shape[:3], outputs)
        return {"kernel": d_kernel} | _bias_gradient(parts, dy)

    return Applied(output, backward, weight_gradients)


def _windows(layer: Conv, padded: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Every window of some pictures as the rows of a matrix, (windows, height * width * in)."""
    view = windows.view(padded, layer.reach, pair(layer.stride), pair(layer.dilation))
    view = view.transpose(0, 1, 2, 4, 5, 3)
    count = max(1, _WINDOW_BYTES // (view[0].size * view.itemsize))
    for start in range(0, len(view), count):
        part = view[start : start + count]
        yield slice(start, start + count), part.reshape(-1, view[0, 0, 0].size)


def _dropout(layer: Dropout, x: np.ndarray, mask: np.ndarray | None) -> Applied:
    if mask is None:
        raise SpecificationError(
            f"layer '{layer.name}': the reference draws no dropout masks of its own; "
            "train it on batches that carry them."
        )
    kept = mask.astype(x.dtype) * (1 / (1 - layer.rate))
    return Applied(x * kept, lambda dy: dy * kept)
