"""Keras on JAX on several replicas: `keras.distribution.DataParallel`, a device for each.

Keras deals every batch to the devices of one process. A batch that cannot be dealt evenly goes to
all of them whole, which is ours: Keras would have JAX refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import jax
import keras
import numpy as np

from datasets.batches import Batch
from frameworks.backend import EpochResult, Runtime
from frameworks.feed import Chunk, batch_sizes
from frameworks.jax.replicas import Sharding, Traced
from frameworks.jax.settings import replica_devices
from frameworks.keras.backend import KerasBackend, Rates
from frameworks.keras.loops import DeviceChunk, JaxLoop
from frameworks.keras.tuned import TunedKerasBackend


class DealtEvenly(keras.distribution.DataParallel):
    """Data parallelism in which a batch that cannot be dealt evenly is on every device whole."""

    def get_data_layout(self, data_shape: Sequence[int]) -> Any:
        """Layout of a batch's array of this shape: dealt to the devices, or whole on each."""
        if data_shape[0] % self.num_model_replicas:
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)
        return super().get_data_layout(data_shape)


class _Part(Sequence[Batch]):
    """Batches of an epoch, one after another and of equal size.

    The first is kept: Keras looks at it before it trains, and an epoch counts what it is asked.
    """

    def __init__(self, epoch: Sequence[Batch], start: int, count: int, size: int) -> None:
        self.epoch, self.start, self.length, self.images = epoch, start, count, count * size
        self.first = epoch[start]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, step: Any) -> Any:
        place = range(self.length)[step]
        return self.epoch[self.start + place] if place else self.first


def _of_equal_size(epoch: Sequence[Batch]) -> Iterator[_Part]:
    start = 0
    for size, alike in groupby(batch_sizes(epoch)):
        count = len(list(alike))
        yield _Part(epoch, start, count, size)
        start += count


class ReplicatedKerasBackend(Traced, KerasBackend):
    """Keras, `fit`, with the model and its data distributed."""

    def build(self, *, draw: bool) -> None:
        self.distribution = _distribution(self.runtime)
        with self.distribution.scope():
            super().build(draw=draw)

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        return _joined(
            (part, self._fit_part(part, [Rates(self, rates[part.start :])]))
            for part in _of_equal_size(epoch)
        )

    def _fit(self, epoch: Sequence[Batch], callbacks: Sequence[Any] = ()) -> EpochResult:
        return _joined((part, self._fit_part(part, callbacks)) for part in _of_equal_size(epoch))

    def _fit_part(self, part: _Part, callbacks: Sequence[Any]) -> EpochResult:
        """One `fit`, which deals all its batches as it deals the first."""
        with self.distribution.scope():
            return super()._fit(part, callbacks)

    def predict(self, images: np.ndarray) -> np.ndarray:
        with self.distribution.scope():
            return super().predict(images)

    def settings(self) -> dict[str, str]:
        found = f"{self.runtime.replicas} devices of one process, DataParallel"
        return super().settings() | {"replicas": found}


class _ShardedLoop(JaxLoop):
    """The steps of one replica over arrays that are dealt to several devices."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.sharding = Sharding(self.runtime)
        self.place = self.sharding.whole

    def to_device(self, chunk: Chunk, draw: Callable[[], Mapping[str, Any]]) -> DeviceChunk:
        return DeviceChunk(chunk.steps, chunk.batch_size, *self.sharding.deal_chunk(chunk))

    def settings(self) -> dict[str, str]:
        return super().settings() | self.sharding.settings()

    def _own(self, value: Any, places: set[int]) -> Any:
        return jax.device_put(jax.numpy.array(value, copy=True), self.place)


class ReplicatedTunedKerasBackend(Traced, TunedKerasBackend):
    """Keras' layers in one compiled loop, over data that every device has whole."""

    loop_class = _ShardedLoop


def _joined(found: Iterable[tuple[_Part, EpochResult]]) -> EpochResult:
    """The means over the images of all parts."""
    loss = right = images = 0.0
    for part, result in found:
        loss += result.loss * part.images
        right += result.accuracy * part.images
        images += part.images
    return EpochResult(loss / images, right / images)


def _distribution(runtime: Runtime) -> DealtEvenly:
    devices = replica_devices(runtime)
    return DealtEvenly(devices=[f"{one.platform}:{one.id}" for one in devices])
