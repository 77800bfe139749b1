"""Convolution and max-pool for JAX on CPUs, where XLA's own gradients of them are slow.

Exact to rounding: the same sums of the same products, in another order. A training program computes
with Eigen's convolution throughout: forward, gradient of the input and gradient of the kernel are
unpadded convolutions, which XLA hands to Eigen, and Eigen to all threads, where it is told to leave
them (`compiler_options`).
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from frameworks.jax.depthwise import depthwise
from frameworks.spec.graph import PICTURES
from frameworks.spec.layers import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    GroupNorm,
    LayerNorm,
    MaxPool,
    function_of,
    pair,
)
from frameworks.spec.network import Network

Padding = tuple[tuple[int, int], tuple[int, int]]  # zeros (before, after) of rows, of columns
NO_PADDING: Padding = ((0, 0), (0, 0))

LAYOUT = ("NHWC", "HWIO", "NHWC")
# Pictures at a time in a gradient of a kernel: few enough for a cache, a vector's worth in a row.
TOGETHER = 8
# XLA's choice of what its other library (YNNPACK) computes, without convolutions: those are three
# to five times slower there than Eigen's, and of a large kernel, which a gradient is, less exact
# (jax 0.10.2; measured in docs/evidence/speed.md).
_OPTIONS = {
    "xla_cpu_experimental_ynn_fusion_type": (
        "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
    )
}


@functools.cache
def compiler_options() -> dict[str, str]:
    """Options of `jax.jit` for a training program on a CPU.

    Empty if XLA does not know them; that changes the speed alone.
    """
    try:
        jax.jit(lambda x: x, compiler_options=_OPTIONS).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return dict(_OPTIONS)


def settings(network: Network, *, on_cpu: bool) -> dict[str, str]:
    """Convolution and max-pool settings to record with a run."""
    if not on_cpu:
        return {"convolution": "XLA's", "max_pool": "XLA's"}
    own = own_pools(network)
    every = own >= {layer.name for layer in network.layers if isinstance(layer, MaxPool)}
    library = "Eigen's" if compiler_options() else "XLA's choice of library"
    return {
        "convolution": f"{library}, kernel gradient too, {TOGETHER} pictures at a time",
        "max_pool": "reshape and maximum" + ("" if every else f" ({', '.join(own) or 'none'})"),
    }


def own_pools(network: Network) -> frozenset[str]:
    """Names of the max-pools that `max_pool` can stand for.

    Their windows do not overlap, and since the last pool there is no activation but ReLU: XLA keeps
    a costly one's output (tanh, sigmoid, silu) for the backward pass, which then reads it twice, by
    pixel and, through a bitcast, by window, and is written over it in place. The gradients are
    wrong (jax 0.10.2, CPU; not with --xla_cpu_experimental_ynn_fusion_type=).
    """
    return frozenset(
        layer.name
        for layer in network.layers
        if isinstance(layer, MaxPool)
        and _plain_windows(layer)
        and not any(_is_smooth_since_pool(network, one) for one in network.sources[layer.name])
    )


def _plain_windows(layer: MaxPool) -> bool:
    """Square windows that lie side by side, without padding."""
    rows, columns = pair(layer.size)
    return rows == columns and layer.steps == (rows, columns) and layer.padding in ("valid", 0)


def _is_smooth_since_pool(network: Network, name: str) -> bool:
    """A costly function on some way from the last pool to the output of layer `name`."""
    if name == PICTURES:
        return False
    layer = network.by_name[name]
    if isinstance(layer, MaxPool | AveragePool | AdaptiveAveragePool | AdaptiveMaxPool):
        return False
    if function_of(layer) not in ("linear", "relu") or isinstance(layer, LayerNorm | GroupNorm):
        return True
    return any(_is_smooth_since_pool(network, source) for source in network.sources[name])


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
    """`lax.conv_general_dilated` for NHWC pictures; dilated, grouped and very wide ones go there.

    Args:
        images: (batch, height, width, in); kernel: (height, width, in, out).
        padding: "VALID" or (before, after) of rows and of columns.

    Returns:
        (batch, height, width, out).
    """
    dilated = any(step != 1 for step in (*(lhs_dilation or ()), *(rhs_dilation or ())))
    strides = tuple(window_strides)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(images.shape[1:3], kernel.shape[:2], strides, padding)
    rows, columns = (tuple(both) for both in padding)
    wide = any(
        max(sides) >= reach for sides, reach in zip((rows, columns), kernel.shape[:2], strict=True)
    )
    grouped = feature_group_count != 1
    each = images.shape[-1] == kernel.shape[-1] == feature_group_count
    if grouped and each and not dilated:
        return depthwise(images, kernel, strides, (rows, columns))
    dense = not (dilated or grouped or wide)
    if dense and max(strides) == 1:
        return _convolve(images, kernel, (rows, columns))
    if dense and _gains_as_channels(images.shape[1:3], kernel.shape[:2], strides, (rows, columns)):
        return _strided(_padded(images, (rows, columns), kernel), kernel, strides)
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


def _gains_as_channels(
    size: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], zeros: Padding
) -> bool:
    """True where `_strided` is faster than XLA's convolution by steps: it adds few zeros to the
    kernel, or the output is smaller than the kernel, and XLA's gradients would go value by value.
    """
    sides = zip(size, zeros, kernel, strides, strict=True)
    output = [(rows + sum(around) - reach) // step + 1 for rows, around, reach, step in sides]
    reaches = _whole_steps(kernel, strides)
    return 3 * math.prod(reaches) <= 4 * math.prod(kernel) or math.prod(output) < math.prod(kernel)


def _whole_steps(kernel: tuple[int, ...], strides: tuple[int, ...]) -> list[int]:
    """The sides of a kernel with zeros up to the end of its last step."""
    return [math.ceil(reach / step) * step for reach, step in zip(kernel, strides, strict=True)]


def _strided(images: Array, kernel: Array, strides: tuple[int, ...]) -> Array:
    """Unpadded convolution of steps above 1, as one of step 1: the pixels of a step become channels
    of one, those of the kernel likewise."""
    reaches, missing = _whole_steps(kernel.shape[:2], strides), []
    for axis, (reach, step) in enumerate(zip(reaches, strides, strict=True), start=1):
        end = (images.shape[axis] - kernel.shape[axis - 1]) // step * step + reach
        images = lax.slice_in_dim(images, 0, min(end, images.shape[axis]), axis=axis)
        missing.append((0, end - images.shape[axis]))
    images = jnp.pad(images, ((0, 0), *missing, (0, 0)))
    zeros = [(0, wide - side) for wide, side in zip(reaches, kernel.shape[:2], strict=True)]
    kernel = _as_channels(jnp.pad(kernel, (*zeros, (0, 0), (0, 0)))[None], strides)[0]
    return _convolve(_as_channels(images[..., None], strides)[..., 0], kernel, NO_PADDING)


def _as_channels(array: Array, steps: tuple[int, ...]) -> Array:
    """(n, rows, columns, channels, m) with the pixels of each step as channels of one pixel."""
    count, height, width, channels, last = array.shape
    rows, columns = steps
    parts = array.reshape(count, height // rows, rows, width // columns, columns, channels, last)
    parts = parts.transpose(0, 1, 3, 2, 4, 5, 6)
    return parts.reshape(count, height // rows, width // columns, rows * columns * channels, last)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(images: Array, kernel: Array, padding: Padding) -> Array:
    """Forward-only version. Pads extra zero rows, then crops them; this makes XLA choose Eigen.

    One row is enough for that. So many rows that the output is one row higher than the input let
    all threads share the work.
    """
    (top, bottom), columns = padding
    spare = int(not any((top, bottom, *columns)))
    if _cpus() > 1:
        spare = max(0, kernel.shape[0] - top - bottom)
    zeros = ((top, bottom + spare), columns)
    if _is_below(images, kernel):
        output = _plain(_padded(images, zeros, kernel), kernel)
    else:
        output = _plain(images, kernel, zeros)
    return output[:, : output.shape[1] - spare]


def _forward(images: Array, kernel: Array, padding: Padding) -> tuple[Array, tuple[Array, Array]]:
    return _plain(_padded(images, padding, kernel), kernel), (images, kernel)


def _backward(padding: Padding, kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    images, kernel = kept
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    (top, bottom), (left, right) = padding
    height, width = kernel.shape[:2]
    rest = ((height - 1 - top, height - 1 - bottom), (width - 1 - left, width - 1 - right))
    if min(map(min, rest)) < 0:  # padded by more than the kernel reaches: never by "same"
        raise ValueError(f"padding {padding} exceeds the kernel of {height}x{width}")
    of_images = _plain(_padded(gradient, rest, kernel), turned)
    return of_images, _kernel_gradient(_padded(images, padding, kernel), gradient, kernel)


_convolve.defvjp(_forward, _backward)


def _plain(images: Array, kernel: Array, padding: Padding = NO_PADDING) -> Array:
    return lax.conv_general_dilated(images, kernel, (1, 1), padding, dimension_numbers=LAYOUT)


def _padded(images: Array, padding: Padding, kernel: Array) -> Array:
    if not any(map(any, padding)):
        return images
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    return lax.optimization_barrier(padded) if _is_below(images, kernel) else padded


def _is_below(images: Array, kernel: Array) -> bool:
    """Pictures of fewer pixels than the kernel: XLA would take the zeros for padding of the
    convolution, exchange pictures and kernel, and compute that value by value."""
    return math.prod(images.shape[1:3]) < math.prod(kernel.shape[:2])


def _cpus() -> int:
    """CPUs that XLA computes on: those that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _kernel_gradient(images: Array, gradient: Array, kernel: Array) -> Array:
    """The convolution of the images, with channels for pictures, by the gradient, with pictures for
    channels; TOGETHER of them at a time, which are added up."""
    if gradient.dtype == jnp.float64:  # which Eigen's convolution does not have
        return jax.vjp(lambda kernel: _plain(images, kernel), kernel)[1](gradient)[0]
    count = len(images)
    groups = math.ceil(count / TOGETHER)
    size = math.ceil(count / groups)
    spare = ((0, groups * size - count), (0, 0), (0, 0), (0, 0))  # so that all groups are alike
    images, gradient = jnp.pad(images, spare), jnp.pad(gradient, spare)

    def add(total: Array, number: Array) -> tuple[Array, None]:
        some, slopes = (
            lax.dynamic_slice_in_dim(array, number * size, size).astype(jnp.float32)
            for array in (images, gradient)
        )
        # transposed in memory, and not in the convolution's layout, which Eigen would not take
        turned = lax.optimization_barrier(
            (some.transpose(3, 1, 2, 0), slopes.transpose(1, 2, 0, 3))
        )
        return total + _plain(*turned), None

    height, width, channels, filters = kernel.shape
    total = jnp.zeros((channels, height, width, filters), jnp.float32)  # bfloat16's sums, too
    total, _ = lax.scan(add, total, jnp.arange(groups))
    return total.transpose(1, 2, 0, 3).astype(kernel.dtype)


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
