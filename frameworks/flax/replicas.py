"""Flax on several replicas: one process, a device of JAX for each, and every batch sharded.

The step is that of one replica: the compiler deals what it computes to the devices, with sums over
all of them where the formula has a sum over the batch. A batch that cannot be dealt evenly goes to
all of them whole: JAX shards no axis whose length is no multiple of the devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import NamedSharding

from datasets.batches import Batch, distinct_sizes
from frameworks.backend import EpochResult
from frameworks.feed import Chunk
from frameworks.flax.backend import FlaxBackend, fit
from frameworks.flax.tuned import TunedFlaxBackend
from frameworks.jax.replicas import Sharding, Traced


class ReplicatedFlaxBackend(Traced, FlaxBackend):
    """Flax NNX and optax, jitted, on several devices."""

    def build(self, *, draw: bool) -> None:
        self.sharding = Sharding(self.runtime)
        super().build(draw=draw)
        place_whole((self.model, self.optimizer), self.sharding)

    def compile(self, epoch: Sequence[Batch]) -> None:
        model, optimizer = nnx.clone((self.model, self.optimizer))
        fit(model, optimizer, self._sharded(distinct_sizes(epoch)), self.batch_loss)
        self.predict(epoch[0].images)

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        return fit(self.model, self.optimizer, self._sharded(epoch), self.batch_loss)

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        steps = self._at(zip(self._sharded(epoch), rates, strict=True))
        return fit(self.model, self.optimizer, steps, self.batch_loss)

    def _sharded(self, epoch: Sequence[Batch]) -> Iterator[Batch]:
        for step in range(len(epoch)):
            batch = epoch[step]
            yield Batch(*self.sharding.deal((batch.images, batch.labels, dict(batch.masks))))

    def _own(self, array: np.ndarray) -> Array:
        return jax.device_put(super()._own(array), self.sharding.whole)

    def settings(self) -> dict[str, str]:
        return super().settings() | self.sharding.settings()


class ReplicatedTunedFlaxBackend(Traced, TunedFlaxBackend):
    """Many steps a dispatch over data that every device has whole; the rows are dealt."""

    def build(self, *, draw: bool) -> None:
        self.sharding = Sharding(self.runtime)
        super().build(draw=draw)
        place_whole((self.model, self.optimizer), self.sharding)

    @property
    def _place(self) -> NamedSharding:
        return self.sharding.whole

    def to_device(self, chunk: Chunk) -> tuple[int, int, Any, Any]:
        return chunk.steps, chunk.batch_size, *self.sharding.deal_chunk(chunk)

    def _own(self, array: np.ndarray) -> Array:
        return jax.device_put(super()._own(array), self.sharding.whole)

    def settings(self) -> dict[str, str]:
        return super().settings() | self.sharding.settings()


def place_whole(parts: Any, sharding: Sharding) -> None:
    """Every variable of model and optimizer on all devices, where the first step leaves them."""
    for _, variable in nnx.to_flat_state(nnx.state(parts)):
        variable.set_value(jax.device_put(variable[...], sharding.whole))
