"""Pools of Keras with the zeros that a layer asks for, alike on its engines.

On PyTorch Keras pads pools by copying the edge: what is padded is padded here, by hand.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from frameworks.keras.activations import constant
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

PoolLayer = (
    MaxPool
    | AveragePool
    | AdaptiveAveragePool
    | AdaptiveMaxPool
    | GlobalAveragePool
    | GlobalMaxPool
)


def pool_layer(layer: PoolLayer, source: Shape) -> keras.layers.Layer:
    """The Keras layer of a pool of pictures of shape (height, width, channels)."""
    match layer:
        case MaxPool() | AveragePool():
            return _windowed(layer, source)
        case GlobalAveragePool():
            return keras.layers.GlobalAveragePooling2D(name=layer.name)
        case GlobalMaxPool():
            return GlobalMaximum(name=layer.name)
        case AdaptiveAveragePool() | AdaptiveMaxPool():
            size = pair(layer.size)
            takes_maximum = isinstance(layer, AdaptiveMaxPool)
            if _divides(layer, source):
                kind = keras.layers.MaxPooling2D if takes_maximum else keras.layers.AveragePooling2D
                return kind((source[0] // size[0], source[1] // size[1]), name=layer.name)
            return AdaptivePooling(size, takes_maximum=takes_maximum, name=layer.name)


def standard_pool(layer: PoolLayer, source: Shape, x: Any) -> Any:
    """The pool by Keras' own layers alone, for models that load without this project."""
    match layer:
        case GlobalMaxPool():
            return keras.layers.GlobalMaxPooling2D(name=layer.name)(x)
        case AdaptiveAveragePool() | AdaptiveMaxPool() if _divides(layer, source):
            return pool_layer(layer, source)(x)  # Keras' own takes one window for both axes
        case AdaptiveAveragePool():
            return keras.layers.AdaptiveAveragePooling2D(pair(layer.size), name=layer.name)(x)
        case AdaptiveMaxPool():
            return keras.layers.AdaptiveMaxPooling2D(pair(layer.size), name=layer.name)(x)
        case MaxPool() | AveragePool() if any(map(any, zeros_around(layer, source))):
            return _standard_padded(layer, source, x)
    return pool_layer(layer, source)(x)


def _divides(layer: AdaptiveAveragePool | AdaptiveMaxPool, source: Shape) -> bool:
    """True where the parts of an axis are all alike."""
    return not any(n % count for n, count in zip(source[:2], pair(layer.size), strict=True))


def _windowed(layer: MaxPool | AveragePool, source: Shape) -> keras.layers.Layer:
    takes_maximum = isinstance(layer, MaxPool)
    zeros = zeros_around(layer, source)
    plain = keras.layers.MaxPooling2D if takes_maximum else keras.layers.AveragePooling2D
    if not any(map(any, zeros)):
        return plain(pair(layer.size), strides=layer.steps, name=layer.name)
    return PaddedPooling(layer, source, name=layer.name)


def _standard_padded(layer: MaxPool | AveragePool, source: Shape, x: Any) -> Any:
    sides = ((0, 0), *zeros_around(layer, source), (0, 0))
    window = {"pool_size": pair(layer.size), "strides": layer.steps, "name": layer.name}
    if isinstance(layer, MaxPool):
        lowest = float(np.finfo("float32").min)
        return keras.layers.MaxPooling2D(**window)(ops.pad(x, sides, constant_values=lowest))
    means = keras.layers.AveragePooling2D(**window)(ops.pad(x, sides))
    return means if layer.count_padding else means / _share(layer, source, "float32")


def _share(layer: AveragePool, source: Shape, dtype: Any) -> Any:
    """Share of each window's places that lie within the picture: (1, rows, columns, 1)."""
    rows, columns = (
        np.array(
            [
                sum(0 <= place < size for place in range(start, start + width))
                for start in range(-before, size + after - width + 1, step)
            ]
        )
        / width
        for size, (before, after), width, step in zip(
            source[:2], zeros_around(layer, source), pair(layer.size), layer.steps, strict=True
        )
    )
    return constant(np.outer(rows, columns)[None, :, :, None], dtype)


class PaddedPooling(keras.layers.Layer):
    """A pool over pictures that are padded first: with -inf, or with zeros."""

    def __init__(self, layer: MaxPool | AveragePool, source: Shape, **options: Any) -> None:
        super().__init__(**options)
        self.layer, self.source = layer, source

    def call(self, x: Any) -> Any:
        layer = self.layer
        sides = ((0, 0), *zeros_around(layer, self.source), (0, 0))
        window = {"pool_size": pair(layer.size), "strides": layer.steps, "padding": "valid"}
        if isinstance(layer, MaxPool):
            return ops.max_pool(ops.pad(x, sides, constant_values=-np.inf), **window)
        means = ops.average_pool(ops.pad(x, sides), **window)
        return means if layer.count_padding else means / _share(layer, self.source, x.dtype)


class GlobalMaximum(keras.layers.Layer):
    """The maximum of each channel as a pool has it: its gradient goes to the first, where a
    reduction would share it out."""

    def call(self, x: Any) -> Any:
        return ops.max_pool(x, x.shape[1:3], strides=1, padding="valid")[:, 0, 0]


class AdaptivePooling(keras.layers.Layer):
    """The mean or the maximum of each part of the pictures."""

    def __init__(self, size: tuple[int, int], *, takes_maximum: bool, **options: Any) -> None:
        super().__init__(**options)
        self.size, self.takes_maximum = size, takes_maximum

    def call(self, x: Any) -> Any:
        rows, columns = (parts(n, count) for n, count in zip(x.shape[1:3], self.size, strict=True))
        lines = [ops.stack([self._of(x[:, r, c]) for c in columns], axis=1) for r in rows]
        return ops.stack(lines, axis=1)

    def _of(self, part: Any) -> Any:
        if self.takes_maximum:
            return ops.max_pool(part, part.shape[1:3], strides=1, padding="valid")[:, 0, 0]
        return ops.mean(part, axis=(1, 2))
