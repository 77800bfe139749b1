"""Batch order and dropout masks: pure functions of (seed, epoch, step), the same for all.

An `Epoch` is what a backend trains on: a sequence of batches, made on demand from arrays that stay
as they are. Nothing here knows of frameworks.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from results.words import count

_ORDER, _MASK = 1, 2  # streams: no order ever shares random numbers with a mask (weights: 3)


class Images(Protocol):
    """The pictures of a data set, uint8 (n, height, width, channels): an array, or a view that
    makes what is asked for (`augment.AugmentedImages`)."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        """The pictures of these rows, in their order, contiguous."""
        ...


@dataclass(frozen=True)
class Batch:
    """One training batch.

    images: uint8 (batch, height, width, channels); labels: int32 (batch,), or where votes are
    trained towards float32 (batch, outputs); masks: uint8 of 0 (dropped) and 1, (batch, *shape) by
    dropout layer; empty when the framework draws its own.
    """

    images: np.ndarray
    labels: np.ndarray
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)


def compact(labels: np.ndarray) -> np.ndarray:
    """Labels as batches and devices hold them: int32 (n,); votes float32 (n, outputs)."""
    labels = np.asarray(labels)
    return labels.astype(np.float32 if labels.dtype.kind == "f" else np.int32, copy=False)


@dataclass(frozen=True)
class MaskSpec:
    """The dropout layers of a network: shapes without the batch axis, and rates, by layer name."""

    shapes: Mapping[str, tuple[int, ...]]
    rates: Mapping[str, float]
    seed: int

    def draw(self, batch_size: int, epoch: int, step: int) -> dict[str, np.ndarray]:
        """Masks of one step, uint8 0 or 1 of shape (batch_size, *shape)."""
        return {
            name: dropout_mask(
                (batch_size, *shape), self.rates[name], self.seed, layer, epoch, step
            )
            for layer, (name, shape) in enumerate(self.shapes.items())
        }


def epoch_order(
    indices: np.ndarray, seed: int, epoch: int, window: int | None = None
) -> np.ndarray:
    """The training indices in the order of one epoch: a permutation, int64 (n,).

    window: galaxies that wait at a time, of which one is drawn and the next of `indices` takes its
    place, as `tf.data.Dataset.shuffle(window)` has it; by default all.
    """
    generator = _orders(seed, epoch)
    indices = np.asarray(indices, dtype=np.int64)
    if window is None or window >= len(indices):
        return generator.permutation(indices)
    waiting, found = indices[:window].copy(), np.empty_like(indices)
    through = len(indices) - window
    for place, drawn in enumerate(generator.integers(window, size=through)):
        found[place], waiting[drawn] = waiting[drawn], indices[window + place]
    found[through:] = generator.permutation(waiting)
    return found


@dataclass(frozen=True)
class Sampler:
    """Galaxies of a pass drawn by weight, as PyTorch's WeightedRandomSampler draws them.

    weights: float64 (n,), 0 or more, of each training index; draws: galaxies of a pass;
    replacement: a galaxy may be drawn again in the same pass.
    """

    weights: np.ndarray
    draws: int
    replacement: bool = True

    def order(self, indices: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """The training indices that one pass draws, in order: int64 (draws,)."""
        generator = _orders(seed, epoch)
        if self.replacement:
            reached = np.cumsum(self.weights)
            drawn = generator.random(self.draws) * reached[-1]
            places = np.searchsorted(reached, drawn, side="right")
        else:  # the first to arrive, each at the rate of its weight (Efraimidis & Spirakis 2006)
            with np.errstate(divide="ignore"):
                arrival = generator.standard_exponential(len(indices)) / self.weights
            places = np.argsort(arrival, kind="stable")[: self.draws]
        return np.asarray(indices, dtype=np.int64)[places]


def _orders(seed: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, _ORDER], counter=[0, 0, 0, epoch]))


def _times(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Earlier uses of each row within the batches of a pass: int64, by batch."""
    order = np.concatenate(rows)
    by_row = np.argsort(order, kind="stable")
    ordered = order[by_row]
    times = np.empty(len(order), dtype=np.int64)
    times[by_row] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return np.split(times, np.cumsum([len(one) for one in rows])[:-1])


def split_into_batches(
    order: np.ndarray, batch_size: int, *, keep_partial: bool = True
) -> list[np.ndarray]:
    """Cut an order into batches of `batch_size`; the last, smaller one is kept or dropped.

    Raises:
        ValueError: the batch is larger than the data.
    """
    if batch_size > len(order):
        raise ValueError(
            f"batch size {batch_size} is larger than the {count(len(order), 'training image')}; "
            f"use a batch size of at most {len(order)}."
        )
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return batches if keep_partial or len(batches[-1]) == batch_size else batches[:-1]


@dataclass(frozen=True)
class Plan:
    """The batches of one epoch, before their pictures are gathered.

    rows: the batches, as arrays of rows. passes: for each the pass through the data that it is of,
    from 1: the epoch's own number, unless epochs are counted in steps. times: how often each row
    was in its pass before, by batch. runs: the most batches in a row that any epoch has of a size,
    by size; None: as this one has them.
    """

    rows: list[np.ndarray]
    passes: list[int]
    times: list[np.ndarray]
    runs: dict[int, int] | None = None


def planned(
    indices: np.ndarray,
    seed: int,
    epoch: int,
    batch_size: int,
    *,
    keep_partial: bool = True,
    steps: int | None = None,
    window: int | None = None,
    sampler: Sampler | None = None,
) -> Plan:
    """The batches of an epoch (from 1): one pass through the training indices, or so many steps.

    A pass has every index once, or those that the sampler draws.

    Counted in steps, an epoch goes on where the one before it ended. Each pass has an order of its
    own, and its smaller batch where it ends, which may be within an epoch.

    Raises:
        ValueError: the batch is larger than the data.
    """

    def one_pass(number: int) -> list[tuple[np.ndarray, int, np.ndarray]]:
        if sampler is None:
            order = epoch_order(indices, seed, number, window)
        else:
            order = sampler.order(indices, seed, number)
        rows = split_into_batches(order, batch_size, keep_partial=keep_partial)
        times = [np.zeros_like(one) for one in rows] if sampler is None else _times(rows)
        return [(one, number, before) for one, before in zip(rows, times, strict=True)]

    if steps is None:
        return _plan(one_pass(epoch))
    whole, rest = divmod(sampler.draws if sampler else len(indices), batch_size)
    rest = rest if keep_partial else 0
    finished, begin = divmod((epoch - 1) * steps, max(1, whole + (rest > 0)))
    found: list[tuple[np.ndarray, int, np.ndarray]] = []
    while len(found) < begin + steps:
        finished += 1
        found += one_pass(finished)
    runs = {batch_size: min(steps, whole), rest: 1} if rest else {batch_size: steps}
    return _plan(found[begin : begin + steps], runs)


def _plan(
    batches: Sequence[tuple[np.ndarray, int, np.ndarray]], runs: dict[int, int] | None = None
) -> Plan:
    rows, passes, times = (list(part) for part in zip(*batches, strict=True))
    return Plan(rows, passes, times, runs)


def mask_key(seed: int, layer: int) -> tuple[int, int]:
    """Philox' key for the masks of one layer, two numbers of 64 bits."""
    return seed, (_MASK << 32) | layer


def mask_threshold(rate: float) -> int:
    """A place is kept where its 32 random bits are at least this number."""
    return min(round(rate * 2**32), 2**32 - 1)


def dropout_mask(
    shape: tuple[int, ...], rate: float, seed: int, layer: int, epoch: int, step: int
) -> np.ndarray:
    """Dropout mask of one layer and step: uint8, 1 with probability 1 - rate (to 2**-32).

    Counter-based (Philox, Salmon et al. 2011): key = (seed, layer), counter = (epoch, step), so
    that any step can be drawn without those before it. `frameworks.torch.philox` and
    `frameworks.jax.philox` draw the same bits on a device.
    """
    size = int(np.prod(shape))
    bits = np.random.Philox(key=list(mask_key(seed, layer)), counter=[0, 0, step, epoch])
    words = bits.random_raw((size + 1) // 2).view(np.uint32)[:size]
    return (words >= np.uint32(mask_threshold(rate))).view(np.uint8).reshape(shape)


@dataclass(frozen=True)
class Epoch(Sequence[Batch]):
    """The batches of one epoch, gathered when asked for.

    images: uint8 (n, height, width, channels) of the whole data set, an array or a view of one;
    labels: int (n,), or votes float (n, outputs); indices: the batches as arrays of rows; masks:
    None where the framework draws its own.
    served: the steps asked for so far, in order, so that what a framework did can be checked.
    runs: as in `Plan`. before: of a part of an epoch, the epoch's steps ahead of it.
    """

    images: Images
    labels: np.ndarray
    indices: Sequence[np.ndarray]
    number: int
    masks: MaskSpec | None = None
    served: list[int] = field(default_factory=list, compare=False, repr=False)
    runs: Mapping[int, int] | None = None
    before: int = 0

    def __len__(self) -> int:
        return len(self.indices)

    def part(self, start: int, stop: int) -> Epoch:
        """The steps from `start` up to `stop`, with the masks that they have in this epoch."""
        before = self.before + start
        return replace(self, indices=self.indices[start:stop], before=before, served=[])

    def masks_of(self, step: int) -> dict[str, np.ndarray]:
        """Masks of a step, uint8 (batch, *shape) by dropout layer; none where none are drawn."""
        if self.masks is None:
            return {}
        return self.masks.draw(len(self.indices[step]), self.number, self.before + step)

    def __getitem__(self, step):
        step = range(len(self))[step]  # a step counted from the end draws its own masks too
        rows = self.indices[step]
        self.served.append(step)
        return Batch(self.images[rows], compact(self.labels[rows]), self.masks_of(step))

    def __iter__(self) -> Iterator[Batch]:
        return (self[step] for step in range(len(self)))


def laid_out(epoch: Epoch, places: int) -> Epoch:
    """The epoch over arrays of its own: its pictures, made of a view, and its labels, batch behind
    batch.

    places: length of these arrays, the same for every epoch, so that it is compiled for once.
    """
    images = np.zeros((places, *epoch.images.shape[1:]), np.uint8)
    labels = np.zeros((places, *epoch.labels.shape[1:]), epoch.labels.dtype)
    indices = np.split(np.arange(places), np.cumsum([len(rows) for rows in epoch.indices]))[:-1]
    for own, rows in zip(indices, epoch.indices, strict=True):
        images[own], labels[own] = epoch.images[rows], epoch.labels[rows]
    return replace(epoch, images=images, labels=labels, indices=indices, served=[])


def few_of(epoch: Epoch, accumulation: int = 1) -> Epoch:
    """A short epoch of two steps: the epoch's first batches, and at the end its last, which may be
    smaller.

    Args:
        epoch: with batches of every size that training compiled for.
        accumulation: batches of a step.
    """
    places = [place % len(epoch) for place in range(2 * accumulation - 1)]
    indices = [epoch.indices[place] for place in (*places, -1)]
    return replace(epoch, indices=indices, runs=epoch.runs or Counter(map(len, epoch.indices)))


def order_sha256(epochs: Sequence[Sequence[np.ndarray]]) -> str:
    """Hash of the batches of every epoch, in order: what `order_hash` records."""
    digest = hashlib.sha256()
    for batches in epochs:
        for rows in batches:
            digest.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
            digest.update(b"|")
        digest.update(b"#")
    return digest.hexdigest()


def distinct_sizes(epoch: Sequence[Batch]) -> list[Batch]:
    """One batch of each size in the epoch, in order of their first."""
    rows: Sequence[Sized] = epoch.indices if isinstance(epoch, Epoch) else epoch
    places = {len(one): place for place, one in reversed(list(enumerate(rows)))}
    return [epoch[place] for place in sorted(places.values())]
