"""Windows over pictures: the views and sums that convolutions and pools are made of."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from frameworks.spec.layers import Pair, Zeros


def padded(x: np.ndarray, zeros: Zeros, value: float = 0.0) -> np.ndarray:
    """Pictures (batch, height, width, channels) with `value` around them."""
    return np.pad(x, ((0, 0), *zeros, (0, 0)), constant_values=value)


def cropped(x: np.ndarray, zeros: Zeros, like: np.ndarray) -> np.ndarray:
    """The inverse of `padded`: what lies on the pictures `like`."""
    (top, _), (left, _) = zeros
    return x[:, top : top + like.shape[1], left : left + like.shape[2]]


def view(x: np.ndarray, reach: Pair, steps: Pair, dilation: Pair = (1, 1)) -> np.ndarray:
    """(batch, rows, columns, channels, height, width): every window, nothing copied."""
    found = sliding_window_view(x, reach, axis=(1, 2))[:, :: steps[0], :: steps[1]]
    return found[..., :: dilation[0], :: dilation[1]]


def at(pictures: np.ndarray, place: Pair, windows: Pair, steps: Pair) -> np.ndarray:
    """View of the pixels at `place` of each window: (batch, rows, columns, channels)."""
    rows, columns = (
        slice(start, start + step * (count - 1) + 1, step)
        for start, count, step in zip(place, windows, steps, strict=True)
    )
    return pictures[:, rows, columns]


def channel_sum(x: np.ndarray) -> np.ndarray:
    """Sum over all axes but the channels, pairwise.

    Along a leading axis NumPy adds one by one, and the error grows with the number of pixels.
    """
    return np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T).sum(axis=1)
