"""Every layer of `architecture` forward and backward, by hand, in NumPy.

`apply` computes one layer and returns its output with the functions that take a gradient back
through it. Arrays are (batch, height, width, channels) or (batch, units); the dtype of the input is
kept throughout. Nothing here is clever but the convolution, which is a matrix product over windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from frameworks.spec.architecture import (
    Activation,
    ActivationName,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool,
)
from frameworks.spec.network import same_padding
from frameworks.spec.reading import SpecificationError
from frameworks.spec.weights import Weights

Backward = Callable[[np.ndarray], np.ndarray]
WeightGradients = Callable[[np.ndarray], Weights]
_WINDOW_BYTES = 2**26  # windows held at once: more pictures at a time gain nothing


@dataclass(frozen=True)
class Applied:
    """One layer, applied.

    backward: gradient of the loss by the output to that by the input.
    weight_gradients: gradient of the loss by the output to those by the weights, by part.
    kinks: which piece of a piecewise linear layer each element was on; None for smooth layers. For
    ReLU bool, True where it let through; for max-pool int64, row * size + column of the maximum.
    running: new running statistics by part, from batch norm in training.
    """

    output: np.ndarray
    backward: Backward
    weight_gradients: WeightGradients = lambda _: {}
    kinks: np.ndarray | None = None
    running: Weights = field(default_factory=dict)


def apply(
    layer: Layer,
    x: np.ndarray,
    parts: Weights,
    *,
    training: bool,
    mask: np.ndarray | None = None,
    kinks: np.ndarray | None = None,
) -> Applied:
    """Apply a layer whose fields are all stated.

    Args:
        x: input of the layer.
        parts: its weights by part (kernel, bias, gamma, ...), canonical layout, dtype of x.
        mask: of a dropout layer in training, 0 (dropped) or 1, shape of x.
        kinks: use these pieces in place of those that x chooses (see `Applied.kinks`).
    """
    match layer:
        case Conv():
            return _activated(layer.activation, _convolution(layer, x, parts), kinks)
        case Dense():
            return _activated(layer.activation, _dense(x, parts), kinks)
        case Activation():
            return _activation(layer.function, x, kinks)
        case MaxPool():
            return _max_pool(layer, x, kinks)
        case AveragePool():
            return _average_pool(layer, x)
        case BatchNorm():
            return _batch_norm(layer, x, parts, training=training)
        case Dropout():
            return _dropout(layer, x, mask) if training else Applied(x, _unchanged)
        case Flatten():
            return Applied(x.reshape(len(x), -1), lambda dy: dy.reshape(x.shape))


def first_maxima(layer: MaxPool, x: np.ndarray) -> np.ndarray:
    """Where each window's maximum is, the first in row order where several are equal.

    Returns:
        int64 (batch, rows, columns, channels): row * size + column within the window.
    """
    return _pool_windows(layer, x).argmax(axis=-1)


def _activated(function: ActivationName, linear: Applied, kinks: np.ndarray | None) -> Applied:
    """A layer's linear part followed by its activation function."""
    activation = _activation(function, linear.output, kinks)
    return Applied(
        activation.output,
        lambda dy: linear.backward(activation.backward(dy)),
        lambda dy: linear.weight_gradients(activation.backward(dy)),
        activation.kinks,
    )


def _unchanged(dy: np.ndarray) -> np.ndarray:
    return dy


def _activation(function: ActivationName, x: np.ndarray, kinks: np.ndarray | None) -> Applied:
    """relu'(0) = 0, as all three frameworks have it; silu(x) = x sigmoid(x)."""
    match function:
        case "linear":
            return Applied(x, _unchanged)
        case "relu":
            # NaN counts as let through: a broken layer must not look like a dead one
            passed = ~(x <= 0) if kinks is None else kinks
            return Applied(np.where(passed, x, 0), lambda dy: np.where(passed, dy, 0), kinks=passed)
        case "tanh":
            y = np.tanh(x)
            return Applied(y, lambda dy: dy * (1 - y**2))
        case "sigmoid":
            y = _sigmoid(x)
            return Applied(y, lambda dy: dy * y * (1 - y))
        case "silu":
            gate = _sigmoid(x)
            return Applied(x * gate, lambda dy: dy * gate * (1 + x * (1 - gate)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow and without cancellation at either end."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _dense(x: np.ndarray, parts: Weights) -> Applied:
    kernel = parts["kernel"]
    return Applied(
        x @ kernel + parts["bias"],
        lambda dy: dy @ kernel.T,
        lambda dy: {"kernel": x.T @ dy, "bias": _sum(dy)},
    )


def _convolution(layer: Conv, x: np.ndarray, parts: Weights) -> Applied:
    """Cross-correlation, as everywhere in deep learning: the kernel is not flipped."""
    kernel, stride = parts["kernel"], layer.stride
    size = layer.kernel_size
    if layer.padding == "same":
        rows = same_padding(x.shape[1], size[0], stride)
        columns = same_padding(x.shape[2], size[1], stride)
    else:
        rows = columns = (0, 0)
    padded = np.pad(x, ((0, 0), rows, columns, (0, 0)))
    height, width = ((n - k) // stride + 1 for n, k in zip(padded.shape[1:3], size, strict=True))
    flat_kernel = kernel.reshape(-1, layer.filters)
    output = np.empty((len(x), height, width, layer.filters), x.dtype)
    for pictures, windows in _windows(padded, size, stride):
        output[pictures] = (windows @ flat_kernel).reshape(-1, height, width, layer.filters)
    output += parts["bias"]

    def backward(dy: np.ndarray) -> np.ndarray:
        d_padded = np.zeros_like(padded)
        flat_dy = dy.reshape(-1, layer.filters)
        for row in range(size[0]):
            for column in range(size[1]):
                part = (flat_dy @ kernel[row, column].T).reshape(*dy.shape[:3], -1)
                _at(d_padded, row, column, (height, width), stride)[...] += part
        return d_padded[:, rows[0] :, columns[0] :][:, : x.shape[1], : x.shape[2]]

    def weight_gradients(dy: np.ndarray) -> Weights:
        d_kernel = np.zeros_like(flat_kernel)
        for pictures, windows in _windows(padded, size, stride):
            d_kernel += windows.T @ dy[pictures].reshape(-1, layer.filters)
        return {"kernel": d_kernel.reshape(kernel.shape), "bias": _sum(dy)}

    return Applied(output, backward, weight_gradients)


def _windows(
    padded: np.ndarray, size: tuple[int, int], stride: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Every window of some pictures as the rows of a matrix, (windows, height * width * in)."""
    view = sliding_window_view(padded, size, axis=(1, 2))[:, ::stride, ::stride]
    view = view.transpose(0, 1, 2, 4, 5, 3)
    count = max(1, _WINDOW_BYTES // (view[0].size * view.itemsize))
    for start in range(0, len(view), count):
        part = view[start : start + count]
        yield slice(start, start + count), part.reshape(-1, view[0, 0, 0].size)


def _at(
    pictures: np.ndarray, row: int, column: int, windows: tuple[int, int], stride: int
) -> np.ndarray:
    """View of the pixels at (row, column) of each window: (batch, rows, columns, channels)."""
    last_row = row + stride * (windows[0] - 1)
    last_column = column + stride * (windows[1] - 1)
    return pictures[:, row : last_row + 1 : stride, column : last_column + 1 : stride]


def _pool_windows(layer: MaxPool | AveragePool, x: np.ndarray) -> np.ndarray:
    """(batch, rows, columns, channels, size * size): each window in row order."""
    stride = layer.stride or layer.size
    view = sliding_window_view(x, (layer.size, layer.size), axis=(1, 2))[:, ::stride, ::stride]
    return view.reshape(*view.shape[:4], -1)


def _max_pool(layer: MaxPool, x: np.ndarray, kinks: np.ndarray | None) -> Applied:
    """The gradient goes to the first maximum of the window, as in all three frameworks."""
    windows = _pool_windows(layer, x)
    chosen = windows.argmax(axis=-1) if kinks is None else kinks
    output = np.take_along_axis(windows, chosen[..., None], axis=-1)[..., 0]

    def backward(dy: np.ndarray) -> np.ndarray:
        return _spread(layer, x, lambda position: np.where(chosen == position, dy, 0))

    return Applied(output, backward, kinks=chosen)


def _average_pool(layer: AveragePool, x: np.ndarray) -> Applied:
    def backward(dy: np.ndarray) -> np.ndarray:
        return _spread(layer, x, lambda _: dy / layer.size**2)

    return Applied(_pool_windows(layer, x).mean(axis=-1), backward)


def _spread(
    layer: MaxPool | AveragePool, x: np.ndarray, share: Callable[[int], np.ndarray]
) -> np.ndarray:
    """Add up, over the positions of a window, what each gives back to the pixels under it."""
    stride = layer.stride or layer.size
    dx = np.zeros_like(x)
    for position in range(layer.size**2):
        part = share(position)
        row, column = divmod(position, layer.size)
        _at(dx, row, column, (part.shape[1], part.shape[2]), stride)[...] += part
    return dx


def _batch_norm(layer: BatchNorm, x: np.ndarray, parts: Weights, *, training: bool) -> Applied:
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over all axes but the channels.

    In training with the mean and the biased variance of the batch, through which the gradient goes
    too (Ioffe & Szegedy 2015, arXiv 1502.03167, section 3):
    dx = gamma / sqrt(variance + epsilon) * (dy - mean(dy) - x_hat mean(dy x_hat)).
    """
    assert layer.epsilon is not None
    assert layer.momentum is not None
    count = x.size // x.shape[-1]
    running: Weights = {}
    if training:
        mean = _sum(x) / count
        variance = _variance(layer, x, mean)
        keep = layer.momentum
        correction = _correction(layer, count)
        running["moving_mean"] = keep * parts["moving_mean"] + (1 - keep) * mean
        running["moving_variance"] = (
            keep * parts["moving_variance"] + (1 - keep) * correction * variance
        )
    else:
        mean, variance = parts["moving_mean"], parts["moving_variance"]
    scale = 1 / np.sqrt(variance + layer.epsilon)
    x_hat = (x - mean) * scale

    def backward(dy: np.ndarray) -> np.ndarray:
        if training:
            dy = dy - _sum(dy) / count - x_hat * (_sum(dy * x_hat) / count)
        return parts["gamma"] * scale * dy

    def weight_gradients(dy: np.ndarray) -> Weights:
        return {"gamma": _sum(dy * x_hat), "beta": _sum(dy)}

    output = parts["gamma"] * x_hat + parts["beta"]
    return Applied(output, backward, weight_gradients, running=running)


def _variance(layer: BatchNorm, x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Biased variance: the mean of (x - mean)^2, or Flax's max(0, mean(x^2) - mean^2)."""
    count = x.size // x.shape[-1]
    if layer.variance == "fast":
        return np.maximum(0, _sum(x**2) / count - mean**2)
    return _sum((x - mean) ** 2) / count


def _sum(x: np.ndarray) -> np.ndarray:
    """Sum over all axes but the channels, pairwise.

    Along a leading axis NumPy adds one by one, and the error grows with the number of pixels.
    """
    return np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T).sum(axis=1)


def _correction(layer: BatchNorm, count: int) -> float:
    """What the running variance takes of the biased one: 1, or n / (n - 1)."""
    if layer.running_variance == "biased":
        return 1.0
    if count < 2:
        raise SpecificationError(
            f"layer '{layer.name}': the unbiased variance needs more than one value per channel; "
            'use a larger batch, drop the partial batch, or state running_variance = "biased".'
        )
    return count / (count - 1)


def _dropout(layer: Dropout, x: np.ndarray, mask: np.ndarray | None) -> Applied:
    if mask is None:
        raise SpecificationError(
            f"layer '{layer.name}': the reference draws no dropout masks of its own; "
            "train it on batches that carry them."
        )
    kept = mask.astype(x.dtype) * (1 / (1 - layer.rate))
    return Applied(x * kept, lambda dy: dy * kept)
