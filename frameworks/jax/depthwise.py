"""Depthwise convolution for JAX on CPUs, where XLA computes it value by value, and its gradients.

Exact to rounding: the same products in another order. A place of the kernel at a time the shifted
pictures are multiplied and added up, which XLA fuses into one loop over the channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
from jax import Array, lax

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def wide(array: Array) -> Array:
    """The array in the type that sums are taken in."""
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise(images: Array, kernel: Array, steps: Pair, padding: Padding) -> Array:
    """The convolution of each channel by itself.

    Args:
        images: (batch, height, width, channels); kernel: (height, width, 1, channels).
        steps: strides of rows and of columns; padding: (before, after) of each.

    Returns:
        (batch, rows, columns, channels).
    """
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    height, width = kernel.shape[:2]
    size = [
        (whole - part) // step + 1
        for whole, part, step in zip(padded.shape[1:3], (height, width), steps, strict=True)
    ]
    shifted = _shifted(wide(padded), (height, width), steps, (size[0], size[1]))
    products = (part * wide(kernel[row, column, 0]) for (row, column), part in shifted)
    return sum(products, start=jnp.zeros((), wide(images).dtype)).astype(images.dtype)


def _shifted(images: Array, reach: Pair, steps: Pair, size: Pair) -> Iterator[tuple[Pair, Array]]:
    """The values of (.., height, width, channels) under each place of a kernel."""
    down, right = (step * (count - 1) + 1 for step, count in zip(steps, size, strict=True))
    for row, column in product(*map(range, reach)):
        rows, columns = slice(row, row + down, steps[0]), slice(column, column + right, steps[1])
        yield (row, column), images[..., rows, columns, :]


def _forward(
    images: Array, kernel: Array, steps: Pair, padding: Padding
) -> tuple[Array, tuple[Array, Array]]:
    return depthwise(images, kernel, steps, padding), (images, kernel)


def _backward(
    steps: Pair, padding: Padding, kept: tuple[Array, Array], slope: Array
) -> tuple[Array, Array]:
    images, kernel = kept
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    # the slopes stand as far apart as the kernel was moved, with room for all of it around them
    around = [
        (part - 1, whole - (step * (count - 1) + 1), step - 1)
        for whole, part, step, count in zip(
            padded.shape[1:3], kernel.shape[:2], steps, slope.shape[1:3], strict=True
        )
    ]
    apart = lax.pad(slope, jnp.zeros((), slope.dtype), [(0, 0, 0), *around, (0, 0, 0)])
    whole = depthwise(apart, kernel[::-1, ::-1], (1, 1), ((0, 0), (0, 0)))
    (top, _), (left, _) = padding
    of_images = whole[:, top : top + images.shape[1], left : left + images.shape[2]]

    (down, right), (rows, columns) = kernel.shape[:2], slope.shape[1:3]
    reach, size = (down, right), (rows, columns)

    def add(number: Array, total: Array) -> Array:
        """A picture at a time, which stays in a cache."""
        one, its = wide(padded[number]), wide(slope[number])
        sums = [jnp.sum(part * its, (0, 1)) for _, part in _shifted(one, reach, steps, size)]
        return total + jnp.stack(sums).reshape(kernel.shape)

    start = jnp.zeros(kernel.shape, wide(kernel).dtype)
    of_kernel = lax.fori_loop(0, len(images), add, start)
    return of_images, of_kernel.astype(kernel.dtype)


depthwise.defvjp(_forward, _backward)
