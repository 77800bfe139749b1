"""Downscaling by area averaging, exact to the last bit on any machine."""

import numpy as np


def box_downscale(images: np.ndarray, size: int) -> np.ndarray:
    """Average square pictures over the area of each new pixel: uint8 (n, side, side, c) to
    uint8 (n, size, size, c), with size <= side.

    A new pixel is the mean of what it covers, old pixels that it covers in part counting by that
    part, rounded half up. All in whole numbers: lengths are counted in 1/size of an old pixel, of
    which a new pixel is ``side`` long.
    """
    side = images.shape[1]
    if size == side:
        return images
    sums = _sums_along(_sums_along(images.astype(np.int64), size, axis=1), size, axis=2)
    area = side * side
    return ((2 * sums + area) // (2 * area)).astype(np.uint8)


def _sums_along(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Sums over each of ``size`` equal stretches of an axis, times ``size``.

    They are differences of the sum from the start to each border; a border within a pixel takes
    that part of it along.
    """
    side = values.shape[axis]
    pixel, part = np.divmod(np.arange(size + 1) * side, size)
    before = np.cumsum(values, axis=axis)
    before = np.insert(before, 0, 0, axis=axis)  # before[i]: the sum of the first i pixels
    weights = part.reshape([-1 if dimension == axis else 1 for dimension in range(values.ndim)])
    cut = np.take(values, np.minimum(pixel, side - 1), axis=axis)
    to_border = size * np.take(before, pixel, axis=axis) + weights * cut
    return np.diff(to_border, axis=axis)
