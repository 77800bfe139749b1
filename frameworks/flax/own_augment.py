"""Augmentation drawn by JAX, on its device (siblings: torch, keras)."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.scipy.ndimage import map_coordinates

from datasets.drawn.settings import Augment
from frameworks.spec.own_augment import taken_from

NAME = "native: jax.random, map_coordinates"
_DRAWS = 16  # more than there are numbers to draw
_ORDERS = {"bilinear": 1, "nearest": 0}


class OwnAugment(nnx.Module):
    """Pictures (batch, height, width, channels) of values from 0 to 1, changed each by itself.

    They are moved by `map_coordinates`; values are changed as dm-pix changes them. In inference
    they stay.
    """

    def __init__(self, settings: Augment, rngs: nnx.Rngs) -> None:
        self.settings = settings
        self.stream = rngs.augment.fork()
        self.deterministic = False

    def __call__(self, x: Array) -> Array:
        if self.deterministic:
            return x
        settings = self.settings
        # all at once: a program with a draw for each number takes long to compile
        drawn = iter(jax.random.uniform(self.stream(), (_DRAWS, len(x)), x.dtype))

        def uniform(low: float, high: float) -> Array:
            return low + (high - low) * next(drawn)

        def each(numbers: Array) -> Array:
            return numbers[:, None, None, None]

        for name, axis in (("horizontal", 2), ("vertical", 1)):
            if settings.flip in (name, "both"):
                x = jnp.where(each(uniform(0, 1) < 0.5), jnp.flip(x, axis), x)
        if settings.resampled:
            height, width = x.shape[1:3]
            moves = taken_from(settings, jnp, uniform, height, width)
            a, b, c, d, e, f = (numbers[:, None, None] for numbers in moves)
            middle = (height - 1) / 2, (width - 1) / 2
            rows = (jnp.arange(height, dtype=x.dtype) - middle[0])[:, None]
            columns = jnp.arange(width, dtype=x.dtype) - middle[1]
            places = [
                a * rows + b * columns + c + middle[0],
                d * rows + e * columns + f + middle[1],
            ]
            order = _ORDERS[settings.interpolation]
            one = partial(map_coordinates, order=order, mode=settings.edge)
            of_channels = jax.vmap(one, in_axes=(2, None), out_axes=2)
            x = jax.vmap(of_channels)(x, places)
        if settings.contrast:
            mean = x.mean((1, 2), keepdims=True)
            change = each(uniform(1 - settings.contrast, 1 + settings.contrast))
            x = jnp.clip(mean + change * (x - mean), 0, 1)
        if settings.brightness:
            change = each(uniform(-settings.brightness, settings.brightness))
            x = jnp.clip(x + change, 0, 1)
        if settings.noise:
            noise = jax.random.normal(self.stream(), x.shape, x.dtype)
            x = jnp.clip(x + settings.noise * noise, 0, 1)
        return x
