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

from frameworks.flax import model as flax_model
from frameworks.flax.model import MaskedDropout, jax, nnx
from frameworks.flax.optimizers import optax
from frameworks.spec.architecture import BatchNorm, Conv


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
    return _patched(nnx, "max_pool", lambda x, window_shape, strides: pool(x, window_shape))


def padding_default() -> Any:
    padding = flax_model._padding

    def forgotten(layer: Conv, source: Any) -> Any:
        return "SAME" if layer.padding == "valid" else padding(layer, source)

    return _patched(flax_model, "_padding", forgotten)


def keep_probability() -> Any:
    start = MaskedDropout.__init__
    return _patched(MaskedDropout, "__init__", lambda self, rate: start(self, 1 - rate))


def nesterov_missing() -> Any:
    sgd = optax.sgd

    def plain(learning_rate: Any, momentum: Any, nesterov: bool) -> Any:
        return sgd(learning_rate, momentum=momentum)

    return _patched(optax, "sgd", plain)
