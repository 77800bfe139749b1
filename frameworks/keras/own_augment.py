"""Augmentation drawn by Keras' layers, in the network itself (siblings: torch, flax)."""

from __future__ import annotations

from typing import Any

import keras

from datasets.drawn.settings import Augment


def layers(settings: Augment) -> list[keras.layers.Layer]:
    """The layers that change pictures of values from 0 to 1, in their order; none in inference."""
    kinds = keras.layers
    dtype = "float32"  # in float64 Keras on TensorFlow cannot move a picture
    moved: dict[str, Any] = {"fill_mode": settings.edge, "interpolation": settings.interpolation}
    moved["dtype"] = dtype
    valued: dict[str, Any] = {"value_range": (0, 1), "dtype": dtype}
    made: list[keras.layers.Layer] = []
    for way in ("horizontal", "vertical"):  # one layer of both turns a picture by 180 degrees
        if settings.flip in (way, "both"):
            made.append(kinds.RandomFlip(way, dtype=dtype))
    if settings.zoom != (1, 1):  # Keras divides by its factor
        low, high = settings.zoom
        made.append(kinds.RandomZoom((1 / high - 1, 1 / low - 1), **moved))
    if settings.rotation:
        made.append(kinds.RandomRotation(settings.rotation / 360, **moved))
    if settings.shift:
        made.append(kinds.RandomTranslation(settings.shift, settings.shift, **moved))
    if settings.shrink != (1, 1):
        low, high = settings.shrink
        made.append(kinds.RandomZoom(*[(low - 1, high - 1)] * 2, **moved))
    if settings.contrast:
        made.append(kinds.RandomContrast(settings.contrast, **valued))
    if settings.brightness:
        made.append(kinds.RandomBrightness(settings.brightness, **valued))
    if most := settings.saturation:  # a factor f multiplies it by f / (1 - f)
        range_ = (1 - most) / (2 - most), (1 + most) / (2 + most)
        made.append(kinds.RandomSaturation(range_, **valued))
    if settings.hue:
        made.append(kinds.RandomHue(2 * settings.hue, **valued))
    if settings.noise:
        made.append(kinds.GaussianNoise(settings.noise, dtype=dtype))
    if keras.backend.backend() == "jax":
        for layer in made:  # only TensorFlow's XLA lacks what moves pictures
            layer.supports_jit = True
    return made


def name(made: list[keras.layers.Layer]) -> str:
    """Words of a row for these layers."""
    return f"native: {', '.join(type(layer).__name__ for layer in made)}"
