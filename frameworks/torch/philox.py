"""Dropout masks drawn on the device by PyTorch, equal to NumPy's (sibling: jax)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from datasets.batches import MaskSpec, mask_key, mask_threshold
from frameworks.spec import philox

_LOW = 2**32 - 1
_Numbers = tuple[Tensor, Tensor, Tensor, Tensor]


class MaskDrawer:
    """Draws the masks of many steps at once, all layers together: the same few hundred operations
    however many layers and steps there are."""

    def __init__(self, spec: MaskSpec, device: torch.device) -> None:
        self.spec, self.device = spec, device
        self._counters = lru_cache(maxsize=None)(self._of_batch_size)

    def draw(self, batch_size: int, epoch: int, first: int, places: int) -> dict[str, Tensor]:
        """uint8 (places, batch_size, *shape) by layer, of the steps from `first` on."""
        block, *keys = self._counters(batch_size)
        steps = torch.arange(first, first + places, device=self.device)[:, None]
        drawn = _philox(
            (block, torch.zeros_like(block), steps, torch.full_like(steps, epoch)), keys
        )
        words = torch.stack(drawn, dim=-1).view(torch.int32).flatten(1)
        masks, start = {}, 0
        for name, shape in self.spec.shapes.items():
            size = batch_size * int(np.prod(shape))
            mine = words[:, start : start + size]
            # of unsigned numbers, by signed ones: both sides moved down by half of the range
            least = mask_threshold(self.spec.rates[name]) - 2**31
            kept = mine.bitwise_xor(-(2**31)) >= least
            masks[name] = kept.to(torch.uint8).view(places, batch_size, *shape)
            start += philox.blocks(size) * philox.BLOCK_WORDS
        return masks

    def _of_batch_size(self, batch_size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Number of each block within its layer (blocks,), and the halves of the keys in every
        round, (rounds, 1) and (rounds, blocks)."""
        numbers, second = [], []
        for layer, shape in enumerate(self.spec.shapes.values()):
            count = philox.blocks(batch_size * int(np.prod(shape)))
            numbers.append(np.arange(philox.FIRST_BLOCK, philox.FIRST_BLOCK + count))
            keys = philox.round_keys(mask_key(self.spec.seed, layer)[1], 1)
            second.append(np.repeat(np.array(keys, np.uint64)[:, None], count, axis=1))
        first = np.array(philox.round_keys(mask_key(self.spec.seed, 0)[0], 0), np.uint64)[:, None]
        arrays = [np.concatenate(numbers), first, np.concatenate(second, axis=1)]
        return tuple(torch.from_numpy(one.view(np.int64)).to(self.device) for one in arrays)  # type: ignore[return-value]


def _philox(counter: _Numbers, keys: list[Tensor]) -> _Numbers:
    """Four numbers of 64 bits for each counter; int64 stands for unsigned, as it wraps alike."""
    first, second, third, fourth = counter
    for left, right in zip(*keys, strict=True):
        high, low = _product(philox.MULTIPLIERS[0], first)
        other_high, other_low = _product(philox.MULTIPLIERS[1], third)
        first, second, third, fourth = (
            other_high ^ second ^ left,
            other_low,
            high ^ fourth ^ right,
            low,
        )
    return tuple(torch.broadcast_tensors(first, second, third, fourth))


def _product(factor: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Upper and lower 64 bits of a product of unsigned numbers, by halves of 32 bits."""
    upper, lower = factor >> 32, factor & _LOW
    x_upper, x_lower = _upper(x), x & _LOW
    middle = x_lower * upper + _upper(x_lower * lower)
    other = x_upper * lower + (middle & _LOW)
    high = x_upper * upper + _upper(middle) + _upper(other)
    return high, x * (factor - 2**64)  # both factors are above 2**63


def _upper(x: Tensor) -> Tensor:
    return (x >> 32) & _LOW
