"""Pools of Flax with the zeros that a layer asks for (siblings: torch, keras)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import nnx
from jax import Array

from frameworks.spec.layers import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
    pair,
)
from frameworks.spec.shapes import Shape, parts, zeros_around

Pool = Callable[[Array], Array]


def pool(layer: MaxPool | AveragePool, source: Shape) -> Pool:
    """A pool over windows; padding never wins a maximum."""
    zeros = zeros_around(layer, source)
    made = partial(
        nnx.max_pool if isinstance(layer, MaxPool) else nnx.avg_pool,
        window_shape=pair(layer.size),
        strides=layer.steps,
        padding=zeros if any(map(any, zeros)) else "VALID",
    )
    if isinstance(layer, AveragePool) and any(map(any, zeros)):
        return partial(made, count_include_pad=bool(layer.count_padding))
    return made


def global_pool(layer: GlobalAveragePool | GlobalMaxPool, source: Shape) -> Pool:
    """(batch, height, width, channels) to (batch, channels)."""
    if isinstance(layer, GlobalAveragePool):
        return _mean
    return partial(_maximum, window=(source[0], source[1]))


def _mean(x: Array) -> Array:
    return x.mean(axis=(1, 2))


def _maximum(x: Array, *, window: tuple[int, int]) -> Array:
    """Global maximum as a pool: the gradient goes to the first maximum; `jnp.max` shares it out."""
    return nnx.max_pool(x, window)[:, 0, 0]


def adaptive_pool(layer: AdaptiveAveragePool | AdaptiveMaxPool, source: Shape) -> Pool:
    """A plain pool where the parts are alike, else part by part."""
    rows, columns = (parts(n, count) for n, count in zip(source[:2], pair(layer.size), strict=True))
    takes_maximum = isinstance(layer, AdaptiveMaxPool)
    if source[0] % len(rows) == 0 and source[1] % len(columns) == 0:
        window = source[0] // len(rows), source[1] // len(columns)
        plain = nnx.max_pool if takes_maximum else nnx.avg_pool
        return partial(plain, window_shape=window, strides=window)
    return partial(_by_part, rows=rows, columns=columns, takes_maximum=takes_maximum)


def _by_part(x: Array, *, rows: list[slice], columns: list[slice], takes_maximum: bool) -> Array:
    def of(part: Array) -> Array:
        return _maximum(part, window=part.shape[1:3]) if takes_maximum else _mean(part)  # type: ignore[arg-type]

    lines = [jnp.stack([of(x[:, r, c]) for c in columns], axis=1) for r in rows]
    return jnp.stack(lines, axis=1)
