"""Dropout masks drawn on the device by JAX, equal to NumPy's (sibling: torch).

Numbers of 64 bits are pairs (upper, lower) of 32, since JAX has 64 only in float64 runs.
"""

from __future__ import annotations

from functools import partial, reduce
from operator import xor

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from datasets.batches import MaskSpec, mask_key, mask_threshold
from frameworks.spec import philox

_LOW = 2**16 - 1
_Pair = tuple[Array, Array]


class MaskDrawer:
    """Draws the masks of many steps at once, in one compiled function for each batch size."""

    def __init__(self, spec: MaskSpec, device: jax.Device) -> None:
        self.spec, self.device = spec, device
        self._draw = jax.jit(partial(_masks, spec), static_argnums=(0, 3))

    def draw(self, batch_size: int, epoch: int, first: int, places: int) -> dict[str, Array]:
        """uint8 (places, batch_size, *shape) by layer, of the steps from `first` on."""
        numbers = jax.device_put((np.uint32(epoch), np.uint32(first)), self.device)
        return self._draw(batch_size, *numbers, places)


def _masks(
    spec: MaskSpec, batch_size: int, epoch: Array, first: Array, places: int
) -> dict[str, Array]:
    steps = (first + jnp.arange(places, dtype=jnp.uint32))[:, None]
    masks = {}
    for layer, (name, shape) in enumerate(spec.shapes.items()):
        size = batch_size * int(np.prod(shape))
        start = jnp.uint32(philox.FIRST_BLOCK)
        block = (start + jnp.arange(philox.blocks(size), dtype=jnp.uint32))[None]
        zeros = jnp.zeros_like(block + steps)
        counter = [(zeros, block + zeros), (zeros, zeros), (zeros, steps + zeros)]
        drawn = _philox([*counter, (zeros, epoch + zeros)], mask_key(spec.seed, layer))
        words = jnp.stack([half for upper, lower in drawn for half in (lower, upper)], axis=-1)
        kept = words.reshape(places, -1)[:, :size] >= jnp.uint32(mask_threshold(spec.rates[name]))
        masks[name] = kept.astype(jnp.uint8).reshape(places, batch_size, *shape)
    return masks


def _philox(counter: list[_Pair], key: tuple[int, int]) -> list[_Pair]:
    """Four numbers of 64 bits for each counter.

    The rounds are a loop: written out, XLA compiles them for minutes.
    """
    halves = [_halves(philox.round_keys(key[which], which)) for which in (0, 1)]

    def one_round(number: Array, counter: list[_Pair]) -> list[_Pair]:
        first, second, third, fourth = counter
        left, right = ((upper[number], lower[number]) for upper, lower in halves)
        high, low = _product(philox.MULTIPLIERS[0], first)
        other_high, other_low = _product(philox.MULTIPLIERS[1], third)
        return [_xor(other_high, second, left), other_low, _xor(high, fourth, right), low]

    return jax.lax.fori_loop(0, philox.ROUNDS, one_round, counter)


def _xor(*numbers: _Pair) -> _Pair:
    uppers, lowers = zip(*numbers, strict=True)
    return reduce(xor, uppers), reduce(xor, lowers)


def _product(factor: int, x: _Pair) -> tuple[_Pair, _Pair]:
    """Upper and lower 64 bits of a product of unsigned numbers."""
    upper, lower = (half[0] for half in _halves([factor]))
    low = _product_32(lower, x[1])
    middle, other = _product_32(upper, x[1]), _product_32(lower, x[0])
    high = _product_32(upper, x[0])
    second, carry = _sum(low[0], middle[1], other[1])
    third, carry = _sum(high[1], middle[0], other[0], carry)
    return (high[0] + carry, third), (second, low[1])


def _product_32(factor: Array, x: Array) -> _Pair:
    """A product of two numbers of 32 bits, by halves of 16."""
    upper, lower = factor >> 16, factor & _LOW
    x_upper, x_lower = x >> 16, x & _LOW
    middle = x_lower * upper + ((x_lower * lower) >> 16)
    other = x_upper * lower + (middle & _LOW)
    return x_upper * upper + (middle >> 16) + (other >> 16), factor * x


def _sum(*numbers: Array) -> _Pair:
    """The lower 32 bits of a sum, and what is carried."""
    total, carry = numbers[0], jnp.zeros_like(numbers[0])
    for number in numbers[1:]:
        total = total + number
        carry = carry + (total < number).astype(jnp.uint32)
    return total, carry


def _halves(numbers: list[int]) -> _Pair:
    found = np.array(numbers, np.uint64)
    return jnp.asarray(found >> 32, jnp.uint32), jnp.asarray(found & (2**32 - 1), jnp.uint32)
