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
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from datasets.batches import Batch, distinct_sizes
from frameworks.backend import EpochResult, Runtime
from frameworks.feed import RATE, Chunk
from frameworks.flax.backend import FlaxBackend, fit
from frameworks.flax.tuned import TunedFlaxBackend
from frameworks.jax.communication import Traced
from frameworks.jax.settings import replica_devices


class Sharding:
    """Layout of arrays: dealt to the replicas along an axis, or whole on each of them."""

    def __init__(self, runtime: Runtime) -> None:
        self.count = runtime.replicas
        self._mesh = Mesh(np.array(replica_devices(runtime)), ("replica",))

    @property
    def whole(self) -> NamedSharding:
        """A copy on each."""
        return NamedSharding(self._mesh, PartitionSpec())

    def deal(self, arrays: Any, axis: int = 0) -> Any:
        """Arrays on the devices, each dealt along the axis where it can be, else whole."""
        return jax.tree.map(lambda array: jax.device_put(array, self._of(array, axis)), arrays)

    def _of(self, array: Any, axis: int) -> NamedSharding:
        if array.shape[axis] % self.count:
            return self.whole
        return NamedSharding(self._mesh, PartitionSpec(*[None] * axis, "replica"))

    def settings(self) -> dict[str, str]:
        """Settings that a run records."""
        return {"replicas": f"{self.count} devices of one process, batches sharded"}


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
        what = chunk.rows if chunk.rows is not None else (chunk.images, chunk.labels)
        masks = {name: mask for name, mask in chunk.masks.items() if name != RATE}
        what, masks = self.sharding.deal((what, masks), axis=1)
        if RATE in chunk.masks:
            masks[RATE] = jax.device_put(chunk.masks[RATE], self.sharding.whole)
        return chunk.steps, chunk.batch_size, what, masks

    def _own(self, array: np.ndarray) -> Array:
        return jax.device_put(super()._own(array), self.sharding.whole)

    def settings(self) -> dict[str, str]:
        return super().settings() | self.sharding.settings()


def place_whole(parts: Any, sharding: Sharding) -> None:
    """Every variable of model and optimizer on all devices, where the first step leaves them."""
    for _, variable in nnx.to_flat_state(nnx.state(parts)):
        variable.set_value(jax.device_put(variable[...], sharding.whole))
