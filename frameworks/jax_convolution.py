"""Convolution and max-pool for JAX on CPUs, where XLA's own gradients of them are slow.

Exact to rounding: the same sums of the same products, in another order. The forward pass and the
gradient of the input run on Eigen's convolution, which XLA picks for padded pictures in row,
column, channel order, and on one thread unless the output has more rows or columns than the input;
the gradient of the kernel is a sum of matrix products over blocks of patches small enough to stay
in a core's cache.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from frameworks.architecture import Activation, AveragePool, Conv, Dense, MaxPool
from frameworks.network import Network

Padding = tuple[tuple[int, int], tuple[int, int]]  # zeros (before, after) of rows, of columns

LAYOUT = ("NHWC", "HWIO", "NHWC")
FEW_CHANNELS = 8  # below, a row of the kernel is too short to be multiplied by itself
PATCH_BYTES = 1 << 20  # of whole patches at a time: about a core's second-level cache
ROW_BYTES = 1 << 24  # of patches of one row of the kernel, each read once for every row of it


def settings(network: Network, *, on_cpu: bool) -> dict[str, str]:
    """What is recorded of a run."""
    if not on_cpu:
        return {"convolution": "XLA's", "max_pool": "XLA's"}
    own = own_pools(network)
    every = own >= {layer.name for layer in network.layers if isinstance(layer, MaxPool)}
    return {
        "convolution": "Eigen; kernel gradient as products of patches in cache-sized blocks",
        "max_pool": "reshape and maximum" + ("" if every else f" ({', '.join(own) or 'none'})"),
    }


def own_pools(network: Network) -> frozenset[str]:
    """Names of the max-pools that `max_pool` can stand for.

    Their windows do not overlap, and since the last pool there is no activation but ReLU: XLA keeps
    a costly one's output (tanh, sigmoid, silu) for the backward pass, which then reads it twice, by
    pixel and, through a bitcast, by window, and is written over it in place. The gradients are
    wrong (jax 0.10.2, CPU; not with --xla_cpu_experimental_ynn_fusion_type=).
    """
    found = set()
    smooth = False
    for layer in network.layers:
        if isinstance(layer, Conv | Dense):
            smooth |= layer.activation not in ("linear", "relu")
        elif isinstance(layer, Activation):
            smooth |= layer.function not in ("linear", "relu")
        elif isinstance(layer, MaxPool | AveragePool):
            if isinstance(layer, MaxPool) and layer.stride in (None, layer.size) and not smooth:
                found.add(layer.name)
            smooth = False
    return frozenset(found)


def convolve(
    images: Array,
    kernel: Array,
    window_strides: Sequence[int],
    padding: Any,
    *,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
    **options: Any,
) -> Array:
    """`lax.conv_general_dilated` for NHWC pictures; what is not a plain one at stride 1 goes there.

    Args:
        images: (batch, height, width, in); kernel: (height, width, in, out).
        padding: "VALID" or (before, after) of rows and of columns.

    Returns:
        (batch, height, width, out).
    """
    dilated = any(step != 1 for step in (*(lhs_dilation or ()), *(rhs_dilation or ())))
    if dilated or feature_group_count != 1 or max(window_strides) > 1 or padding == "SAME":
        return lax.conv_general_dilated(
            images,
            kernel,
            window_strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            dimension_numbers=dimension_numbers,
            feature_group_count=feature_group_count,
            precision=precision,
            **options,
        )
    zeros = ((0, 0), (0, 0)) if padding == "VALID" else tuple(tuple(pair) for pair in padding)
    return _convolve(images, kernel, zeros)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(images: Array, kernel: Array, padding: Padding) -> Array:
    return _by_eigen(images, kernel, padding)


def _forward(images: Array, kernel: Array, padding: Padding) -> tuple[Array, tuple[Array, Array]]:
    return _convolve(images, kernel, padding), (images, kernel)


def _backward(padding: Padding, kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    images, kernel = kept
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    (top, bottom), (left, right) = padding
    height, width = kernel.shape[:2]
    rest = ((height - 1 - top, height - 1 - bottom), (width - 1 - left, width - 1 - right))
    if min(map(min, rest)) < 0:  # padded by more than the kernel reaches: never by "same"
        raise ValueError(f"padding {padding} exceeds the kernel of {height}x{width}")
    return _by_eigen(gradient, turned, rest), _kernel_gradient(images, gradient, kernel, padding)


_convolve.defvjp(_forward, _backward)


def _by_eigen(images: Array, kernel: Array, padding: Padding) -> Array:
    """With rows of zeros too many, which are cut off again.

    One keeps an unpadded convolution on Eigen's, where XLA would unfold it into patches of the
    whole batch, which costs more than the products. As many as make the output one row higher than
    the input have all threads share the work (jax 0.10.2; measured in docs/tuning.md).
    """
    (top, bottom), columns = padding
    spare = int(not any((top, bottom, *columns)))
    if _cpus() > 1:
        spare = max(0, kernel.shape[0] - top - bottom)
    output = lax.conv_general_dilated(
        images, kernel, (1, 1), ((top, bottom + spare), columns), dimension_numbers=LAYOUT
    )
    return output[:, : output.shape[1] - spare]


def _cpus() -> int:
    """CPUs that XLA computes on: those that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _kernel_gradient(images: Array, gradient: Array, kernel: Array, padding: Padding) -> Array:
    """Sum over blocks of rows of (gradient transposed) times patches.

    A patch has as many rows of the kernel as are multiplied at a time: all of them where channels
    are few; else one, so that a patch is copied once and read for each row of the kernel.
    """
    height, width, channels, filters = kernel.shape
    count, rows, columns, _ = gradient.shape
    at_once, most = (height, PATCH_BYTES) if channels < FEW_CHANNELS else (1, ROW_BYTES)
    row_bytes = columns * at_once * width * channels * gradient.dtype.itemsize
    blocks = max(1, math.ceil(rows * row_bytes / most))  # an image is cut into so many
    block = math.ceil(rows / blocks)
    spare = block * blocks - rows  # rows of zeros, so that all blocks are alike
    gradient = jnp.pad(gradient, ((0, 0), (0, spare), (0, 0), (0, 0)))
    (top, bottom), sides = padding
    images = jnp.pad(images, ((0, 0), (top, bottom + spare), sides, (0, 0)))
    tall = block + height - 1
    wide = jnp.promote_types(gradient.dtype, jnp.float32)  # bfloat16 is summed in float32

    def add(totals: list[Array], number: Array) -> tuple[list[Array], None]:
        image, start = number // blocks, number % blocks * block
        part = lax.dynamic_slice(images, (image, start, 0, 0), (1, tall, *images.shape[2:]))[0]
        slope = lax.dynamic_slice(gradient, (image, start, 0, 0), (1, block, columns, filters))
        slope = slope.reshape(block * columns, filters).T
        reach = tall - at_once + 1
        patches = jnp.concatenate(
            [part[i : i + reach, j : j + columns] for i in range(at_once) for j in range(width)],
            axis=-1,
        )

        def product(row: int) -> Array:
            flat = patches[row : row + block].reshape(block * columns, -1)
            return jnp.matmul(slope, flat, preferred_element_type=wide)

        return [total + product(row * at_once) for row, total in enumerate(totals)], None

    zeros = jnp.zeros((filters, at_once * width * channels), wide)
    totals, _ = lax.scan(add, [zeros] * (height // at_once), jnp.arange(count * blocks))
    whole = jnp.concatenate(totals, axis=1)
    return whole.T.reshape(kernel.shape).astype(kernel.dtype)


def max_pool(images: Array, size: int) -> Array:
    """Maximum over size x size windows that do not overlap; the rest at the edge is left out.

    At ties the gradient goes to the first of the window in row, column order, as a max-pool's does
    (a maximum over an axis would share it out).
    """
    return _max_pool(images, size)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max_pool(images: Array, size: int) -> Array:
    return _max_and_place(images, size)[0]


def _max_and_place(images: Array, size: int) -> tuple[Array, Array]:
    """The maximum of each window, and the number of its first place, uint8.

    The places are found while the maximum is. Comparing with it afterwards would not do: XLA may
    compute what is compared a second time, in another loop and with another rounding.
    """
    windows = _windows(images, size)
    highest = windows[:, :, 0, :, 0]
    place = jnp.zeros(highest.shape, jnp.uint8)
    for number in range(1, size * size):
        value = windows[:, :, number // size, :, number % size]
        place = jnp.where(value > highest, jnp.uint8(number), place)
        highest = jnp.maximum(highest, value)  # which keeps a NaN
    return highest, place


def _max_pool_forward(images: Array, size: int) -> tuple[Array, tuple[Array, tuple[int, ...]]]:
    output, place = _max_and_place(images, size)
    return output, (place, images.shape)


def _max_pool_backward(
    size: int, kept: tuple[Array, tuple[int, ...]], gradient: Array
) -> tuple[Array]:
    place, shape = kept
    count, rows, columns, channels = place.shape
    numbers = jnp.arange(size * size, dtype=jnp.uint8).reshape(1, 1, size, 1, size, 1)
    chosen = numbers == place[:, :, None, :, None, :]
    spread = jnp.where(chosen, gradient[:, :, None, :, None, :], 0)
    spread = spread.reshape(count, rows * size, columns * size, channels)
    edge = [(0, whole - used) for whole, used in zip(shape, spread.shape, strict=True)]
    return (jnp.pad(spread, edge),)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def _windows(images: Array, size: int) -> Array:
    """(batch, rows, size, columns, size, channels)."""
    count, height, width, channels = images.shape
    rows, columns = height // size, width // size
    used = images[:, : rows * size, : columns * size]
    return used.reshape(count, rows, size, columns, size, channels)
