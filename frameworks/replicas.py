"""Dealing of a batch to data-parallel replicas, whatever the framework.

The batch stays global: its order and masks are drawn for all of it, and each replica has a slice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from datasets.batches import Batch
from frameworks.spec.recipe import Recipe


@dataclass(frozen=True)
class Shard:
    """A replica's slice of a batch.

    share: of what the mean of the whole batch's loss is divided by, this slice's part; 0 of an
    empty slice. images: of the whole batch.
    """

    batch: Batch
    share: float
    images: int


def shards(batch: Batch, recipe: Recipe, replicas: int) -> list[Shard]:
    """The batch as one slice for each replica, as even as can be: the first ones are larger by one
    image, and of a batch smaller than the replicas the last ones are empty."""
    sizes = [len(part) for part in np.array_split(np.arange(len(batch)), replicas)]
    cuts = np.cumsum([0, *sizes])
    counts = [_divisor(batch.labels[a:b], recipe) for a, b in pairwise(cuts)]
    total = sum(counts)
    return [
        Shard(_slice(batch, cuts[rank], cuts[rank + 1]), counts[rank] / total, len(batch))
        for rank in range(replicas)
    ]


def share_under_way(spans: Iterable[tuple[float, float]], seconds: float) -> float:
    """Share of so many seconds in which any of the spans (start, end), in seconds, is under way."""
    covered, reached = 0.0, -np.inf
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered / seconds


def threads_of_each(threads: int, replicas: int) -> int:
    """CPU threads of one of several processes; threads: of all together, 0 is what may be used."""
    if not threads:
        affinity = getattr(os, "sched_getaffinity", None)
        threads = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, threads // replicas)


def _slice(batch: Batch, start: int, end: int) -> Batch:
    masks = {name: mask[start:end] for name, mask in batch.masks.items()}
    return Batch(batch.images[start:end], batch.labels[start:end], masks)


def _divisor(labels: np.ndarray, recipe: Recipe) -> float:
    """Divisor of the mean of these images' losses: their number, or the sum of their weights."""
    if recipe.class_weights is not None and recipe.class_weight_mean == "weights":
        return float(np.asarray(recipe.class_weights)[labels].sum())
    return float(len(labels))
