"""Every pool forward and backward, in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from frameworks.numpy import windows
from frameworks.spec.layers import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
    Zeros,
    pair,
)
from frameworks.spec.shapes import parts, zeros_around

Backward = Callable[[np.ndarray], np.ndarray]
MaxLayer = MaxPool | AdaptiveMaxPool | GlobalMaxPool
AverageLayer = AveragePool | AdaptiveAveragePool | GlobalAveragePool


def maximum(
    layer: MaxLayer, x: np.ndarray, kinks: np.ndarray | None
) -> tuple[np.ndarray, Backward, np.ndarray]:
    """Output, gradient, and which place of its window each maximum was (see `first_maxima`).

    The gradient goes to the first maximum of the window in row order, as in all frameworks.
    """
    if not isinstance(layer, MaxPool):
        return _cut_maximum(layer, x, kinks)
    zeros = zeros_around(layer, x.shape[1:])
    around = windows.padded(x, zeros, -np.inf)
    view = windows.view(around, pair(layer.size), layer.steps)
    flat = view.reshape(*view.shape[:4], -1)
    chosen = flat.argmax(axis=-1) if kinks is None else kinks
    output = np.take_along_axis(flat, chosen[..., None], axis=-1)[..., 0]

    def backward(dy: np.ndarray) -> np.ndarray:
        return _spread(layer, x, zeros, lambda place: np.where(chosen == place, dy, 0))

    return output, backward, chosen


def first_maxima(layer: MaxLayer, x: np.ndarray) -> np.ndarray:
    """Place of each window's maximum; the first in row order if several are equal.

    Returns:
        int64 (batch, rows, columns, channels) or, of a global pool, (batch, channels): row * width
        + column within the window.
    """
    return maximum(layer, x, None)[2]


def average(layer: AverageLayer, x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """Output and gradient; a window's mean is of its places within the picture, or of all places
    where `count_padding`."""
    if not isinstance(layer, AveragePool):
        return _cut_average(layer, x)
    zeros = zeros_around(layer, x.shape[1:])
    size = pair(layer.size)
    inside = np.ones((1, *x.shape[1:3], 1), x.dtype)
    counts = windows.view(windows.padded(inside, zeros), size, layer.steps).sum(axis=(-2, -1))
    if layer.count_padding:
        counts = np.full_like(counts, size[0] * size[1])
    total = windows.view(windows.padded(x, zeros), size, layer.steps).sum(axis=(-2, -1))

    def backward(dy: np.ndarray) -> np.ndarray:
        return _spread(layer, x, zeros, lambda _: dy / counts)

    return total / counts, backward


def _spread(
    layer: MaxPool | AveragePool,
    x: np.ndarray,
    zeros: Zeros,
    share: Callable[[int], np.ndarray],
) -> np.ndarray:
    """Add up, over the places of a window, what each gives back to the pixels under it."""
    height, width = pair(layer.size)
    dx = np.zeros_like(windows.padded(x, zeros))
    for place in range(height * width):
        part = share(place)
        count = (part.shape[1], part.shape[2])
        windows.at(dx, divmod(place, width), count, layer.steps)[...] += part
    return windows.cropped(dx, zeros, x)


def _cuts(layer: MaxLayer | AverageLayer, x: np.ndarray) -> tuple[list[slice], list[slice]]:
    """The parts of rows and of columns that an adaptive or global pool takes together."""
    size = pair(layer.size) if isinstance(layer, AdaptiveAveragePool | AdaptiveMaxPool) else (1, 1)
    rows, columns = (parts(n, count) for n, count in zip(x.shape[1:3], size, strict=True))
    return rows, columns


def _shaped(layer: MaxLayer | AverageLayer, output: np.ndarray) -> np.ndarray:
    flat = isinstance(layer, GlobalAveragePool | GlobalMaxPool)
    return output[:, 0, 0] if flat else output


def _cut_average(layer: AverageLayer, x: np.ndarray) -> tuple[np.ndarray, Backward]:
    rows, columns = _cuts(layer, x)
    output = np.stack(
        [np.stack([x[:, r, c].mean(axis=(1, 2)) for c in columns], axis=1) for r in rows], axis=1
    )

    def backward(dy: np.ndarray) -> np.ndarray:
        dx = np.zeros_like(x)
        for row, r in enumerate(rows):
            for column, c in enumerate(columns):
                part = dx[:, r, c]
                slope = dy.reshape(len(x), len(rows), len(columns), -1)[:, row, column]
                part += (slope / (part.shape[1] * part.shape[2]))[:, None, None]
        return dx

    return _shaped(layer, output), backward


def _cut_maximum(
    layer: MaxLayer, x: np.ndarray, kinks: np.ndarray | None
) -> tuple[np.ndarray, Backward, np.ndarray]:
    rows, columns = _cuts(layer, x)
    shape = (len(x), len(rows), len(columns), x.shape[-1])
    output = np.empty(shape, x.dtype)
    given = None if kinks is None else kinks.reshape(shape)
    chosen = np.empty(shape, np.int64)
    for row, r in enumerate(rows):
        for column, c in enumerate(columns):
            flat = x[:, r, c].reshape(len(x), -1, x.shape[-1])
            best = flat.argmax(axis=1) if given is None else given[:, row, column]
            chosen[:, row, column] = best
            output[:, row, column] = np.take_along_axis(flat, best[:, None], axis=1)[:, 0]

    def backward(dy: np.ndarray) -> np.ndarray:
        dx = np.zeros_like(x)
        slopes = dy.reshape(shape)
        for row, r in enumerate(rows):
            for column, c in enumerate(columns):
                part = dx[:, r, c]
                places = np.arange(part.shape[1] * part.shape[2]).reshape(1, *part.shape[1:3], 1)
                here = chosen[:, row, column][:, None, None] == places
                part += np.where(here, slopes[:, row, column][:, None, None], 0)
        return dx

    return _shaped(layer, output), backward, _shaped(layer, chosen)
