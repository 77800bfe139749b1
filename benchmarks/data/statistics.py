"""Mean and deviation of the training galaxies, for networks that normalise by them."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.data.staging import Galaxies
from datasets.augment import COUNTS
from frameworks.spec.normalization import Statistics
from results.schema import COPY

_AT_A_TIME = 256  # galaxies
_LEVELS = np.arange(256)


def statistics(galaxies: Galaxies) -> Statistics:
    """Mean and deviation of each channel over the training galaxies as staged, as values from 0 to
    1. Each galaxy counts once, whole, whatever copies or crops are trained on.

    Values are counted by level, so that the sums are exact and the same on every machine.
    """
    images = np.load(galaxies.directory / "images.npy", mmap_mode="r")
    train = np.load(galaxies.directory / "train.npy")
    rows = np.unique(train // COUNTS[galaxies.view.augmentation])
    rows = rows[np.load(galaxies.directory / "galaxies.npy")[rows] < COPY]  # oversampled copies
    channels = images.shape[3]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(rows), _AT_A_TIME):
        block = images[rows[start : start + _AT_A_TIME]]
        for channel in range(channels):
            counts[channel] += np.bincount(block[..., channel].ravel(), minlength=256)
    found = [_mean_and_deviation(levels) for levels in counts]
    return tuple(mean for mean, _ in found), tuple(deviation for _, deviation in found)


def _mean_and_deviation(counts: np.ndarray) -> tuple[float, float]:
    count = int(counts.sum())
    total, squares = (int((counts * _LEVELS**power).sum()) for power in (1, 2))
    spread = count * squares - total * total  # a whole number of any size
    return total / count / 255, math.sqrt(spread) / count / 255
