"""Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019): pictures and their targets, mixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.drawn import draws
from datasets.drawn.settings import Augment


@dataclass(frozen=True)
class Mixes:
    """Partners that pictures are mixed with, drawn for each by itself.

    partners: int64 (k,), rows. shares: float64 (k,), of the picture's own; the partner has the
    rest. boxes: int64 (k, 4), top, bottom, left and right of the part that is the partner's; an
    empty one where the pictures are laid over each other.
    """

    partners: np.ndarray
    shares: np.ndarray
    boxes: np.ndarray

    def pictures(self, own: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The pictures mixed with those of their partners: uint8 (k, height, width, channels)."""
        shares = self.shares[:, None, None, None].astype(np.float32)
        laid = shares * own + (1 - shares) * other
        made = np.rint(laid).astype(np.uint8)
        for row, (top, bottom, left, right) in enumerate(self.boxes):
            if bottom > top:
                made[row] = own[row]
                made[row, top:bottom, left:right] = other[row, top:bottom, left:right]
        return made


def mixes(
    settings: Augment, seed: int, epoch: int, galaxies: np.ndarray, pool: np.ndarray, size: tuple
) -> Mixes:
    """The mixes of an epoch for galaxies of these numbers.

    The share is of a beta distribution of `mixup` or `cutmix`, twice; of both stated one is drawn.
    A part that is cut has a drawn middle, the picture's shape, and ends at its borders; the share
    is then of what is left.

    Args:
        pool: int (n,), the rows that partners are drawn from.
        size: (height, width) of the pictures.
    """
    from scipy.special import betaincinv

    drawn = draws.uniforms(seed, epoch, galaxies)

    def number(name: str) -> np.ndarray:
        return drawn[:, draws.PLACES[name]]

    partners = pool[np.floor(number("partner") * len(pool)).astype(np.int64)]
    chance = (settings.cutmix > 0) * (0.5 if settings.mixup else 1.0)
    cut = number("cut") < chance
    strength = np.where(cut, settings.cutmix or 1.0, settings.mixup or 1.0)
    shares = betaincinv(strength, strength, number("share"))
    sides = np.array(size)
    half = np.floor(0.5 * np.sqrt(1 - shares)[:, None] * sides)
    middle = np.floor(np.stack([number("cut_row"), number("cut_column")], axis=1) * sides)
    low = np.clip(middle - half, 0, sides) * cut[:, None]
    high = np.clip(middle + half, 0, sides) * cut[:, None]
    taken = (high - low).prod(axis=1) / sides.prod()
    boxes = np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1).astype(np.int64)
    # without a part the picture is its own
    return Mixes(partners, np.where(cut, 1 - taken, shares), boxes)
