"""The mutants of Flax and optax: see `torch`.

JAX keeps what it compiled by function and structure, not by what a module's names now mean: the
compiled functions are dropped on entering and on leaving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from frameworks.flax import backend as flax_backend
from frameworks.flax import model as flax_model
from frameworks.flax.model import jax, jnp, nnx
from frameworks.flax.modules import MaskedDropout
from frameworks.flax.optimizers import optax
from frameworks.jax import convolution
from frameworks.spec.architecture import BatchNorm, Conv, Dense


@contextmanager
def _patched(target: Any, name: str, value: Callable[..., Any]) -> Iterator[None]:
    jax.clear_caches()
    with patch.object(target, name, value):
        yield
    jax.clear_caches()


def fast_variance() -> Any:
    make = flax_model._batch_norm

    def making(layer: BatchNorm, source: Any, **options: Any) -> Any:
        return make(msgspec.structs.replace(layer, variance="fast"), source, **options)

    return _patched(flax_model, "_batch_norm", making)


def pool_stride_one() -> Any:
    pool = nnx.max_pool
    return _patched(nnx, "max_pool", lambda x, window_shape, strides, **_: pool(x, window_shape))


def padding_default() -> Any:
    around = flax_model.zeros_around

    def forgotten(layer: Conv, source: Any) -> Any:
        padding = "same" if layer.padding == "valid" else layer.padding
        return around(msgspec.structs.replace(layer, padding=padding), source)

    return _patched(flax_model, "zeros_around", forgotten)


def keep_probability() -> Any:
    start = MaskedDropout.__init__

    def turned(self: Any, layer: Any) -> None:
        start(self, msgspec.structs.replace(layer, rate=1 - layer.rate))

    return _patched(MaskedDropout, "__init__", turned)


def nesterov_missing() -> Any:
    trace = optax.trace
    return _patched(optax, "trace", lambda decay, nesterov: trace(decay))


def loss_clamped() -> Any:
    name = "softmax_cross_entropy_with_integer_labels"
    loss = getattr(optax, name)
    return _patched(optax, name, lambda z, y: loss(jnp.clip(z, -20, 20), y))


def decay_spares_norms() -> Any:
    """Weight decay spares everything that has one axis, as in many training scripts."""
    decayed = optax.add_decayed_weights

    def sparing(share: Any, *_: Any) -> Any:
        return decayed(share, mask=lambda p: jax.tree.map(lambda one: one.ndim > 1, p))

    return _patched(optax, "add_decayed_weights", sparing)


@contextmanager
def max_norm_axis() -> Iterator[None]:
    def project(model: Any, taken: Any) -> None:
        for layer in model.network.layers:
            if isinstance(layer, Conv | Dense) and layer.max_norm is not None:
                kernel = flax_model.variable_of(model, f"{layer.name}/kernel")
                axes = tuple(range(max(1, kernel.ndim - 2)))
                norm = jnp.sqrt(jnp.sum(jnp.square(kernel[...]), axis=axes, keepdims=True))
                factor = jnp.minimum(norm, layer.max_norm) / (1e-7 + norm)
                kernel[...] = kernel[...] * factor

    with _patched(flax_backend, "project", project):
        yield


@contextmanager
def ties_shared() -> Iterator[None]:
    def pool(x: Any, window_shape: Any, strides: Any = (1, 1), padding: Any = "VALID") -> Any:
        if padding != "VALID":
            x = jnp.pad(x, [(0, 0), *padding, (0, 0)], constant_values=-jnp.inf)
        (height, width), (down, right) = window_shape, strides
        rows, columns = (x.shape[1] - height) // down + 1, (x.shape[2] - width) // right + 1
        parts = [
            x[:, i : i + down * (rows - 1) + 1 : down, j : j + right * (columns - 1) + 1 : right]
            for i in range(height)
            for j in range(width)
        ]
        return jnp.max(jnp.stack(parts), axis=0)

    def own(x: Any, size: int) -> Any:
        return pool(x, (size, size), (size, size))

    with _patched(nnx, "max_pool", pool), _patched(convolution, "max_pool", own):
        yield
