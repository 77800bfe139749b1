"""Pictures made smaller: by area averaging, exact to the last bit on any machine, or cropped."""

import numpy as np

_BYTES_AT_A_TIME = 1 << 20


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
    scaled = np.empty((len(images), size, size, images.shape[3]), dtype=np.uint8)
    area = side * side
    # The largest number that occurs is the sum of a white picture, counted in 1/size.
    whole = np.int32 if 255 * area * size < 2**31 else np.int64
    # A few pictures at a time: the sums take some thirty times the memory of the bytes.
    few = max(1, _BYTES_AT_A_TIME // (area * images.shape[3]))
    for start in range(0, len(images), few):
        values = images[start : start + few].astype(whole)
        sums = _sums_along(_sums_along(values, size, axis=1), size, axis=2)
        scaled[start : start + few] = (2 * sums + area) // (2 * area)
    return scaled


class ScaledImages:
    """The square pictures `base` scaled to `size` x `size` pixels, as if they were one array of
    uint8 (n, size, size, c); scaled when they are asked for, by an array of rows."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, base: np.ndarray, size: int) -> None:
        self.base = base
        self.shape = (len(base), size, size, base.shape[3])

    @property
    def nbytes(self) -> int:
        """Bytes in memory: those of the base."""
        return self.base.nbytes

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The pictures of these rows, in their order: a new contiguous array."""
        return box_downscale(self.base[rows], self.shape[1])


def middle(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of pictures (n, h, w, c), height x width pixels of them: a view."""
    top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
    return images[:, top : top + height, left : left + width]


def _sums_along(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Sums over each of ``size`` equal stretches of an axis, times ``size``.

    They are differences of the sum from the start to each border: through the pixel in which the
    border lies, less the part of that pixel beyond it.
    """
    side = values.shape[axis]
    pixel, part = np.divmod(np.arange(size + 1) * side, size)
    beyond = np.where(pixel < side, size - part, 0)  # the last border is the end
    pixel = np.minimum(pixel, side - 1)
    across = [-1 if dimension == axis else 1 for dimension in range(values.ndim)]
    to_border = size * np.take(np.cumsum(values, axis=axis, dtype=values.dtype), pixel, axis=axis)
    to_border -= beyond.astype(values.dtype).reshape(across) * np.take(values, pixel, axis=axis)
    return np.diff(to_border, axis=axis)
