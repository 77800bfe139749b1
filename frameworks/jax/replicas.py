"""Several replicas on JAX, a device each: layout of arrays, and time in sums, from a trace."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from datasets.batches import Batch
from frameworks.backend import Backend, Runtime
from frameworks.feed import RATE, Chunk
from frameworks.jax.settings import replica_devices
from frameworks.replicas import share_under_way
from results.writer import scratch_directory

# XLA's collectives; a trace has one event for each and device
_COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-permute")


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

    def deal_chunk(self, chunk: Chunk) -> tuple[Any, dict[str, Any]]:
        """A chunk's data and its masks, the images of each step dealt to the replicas."""
        what = chunk.rows if chunk.rows is not None else (chunk.images, chunk.labels)
        masks = {name: mask for name, mask in chunk.masks.items() if name != RATE}
        what, masks = self.deal((what, masks), axis=1)
        if RATE in chunk.masks:
            masks[RATE] = jax.device_put(chunk.masks[RATE], self.whole)
        return what, masks

    def settings(self) -> dict[str, str]:
        """Settings that a run records."""
        return {"replicas": f"{self.count} devices of one process, batches sharded"}


class Traced(Backend):
    """A backend on several devices. Mix it in ahead of a framework's."""

    def communication_share(self, epoch: Sequence[Batch]) -> float | None:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        with scratch_directory() as directory:
            with jax.profiler.trace(str(directory), profiler_options=options):
                start = time.perf_counter()
                self.train_epoch(epoch)
                seconds = time.perf_counter() - start
            return share_under_way(_spans(directory), seconds)


def _spans(directory: Path) -> Iterator[tuple[float, float]]:
    for path in directory.rglob("*.xplane.pb"):
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for event in (event for line in plane.lines for event in line.events):
                if event.name.startswith(_COLLECTIVES):
                    yield event.start_ns / 1e9, event.end_ns / 1e9
