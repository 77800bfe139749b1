"""Time that JAX's replicas spend in sums over all of them, from a trace of its profiler."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import jax

from datasets.batches import Batch
from frameworks.backend import Backend
from frameworks.replicas import share_under_way

# XLA's collectives; a trace has one event for each and device
_COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-permute")


class Traced(Backend):
    """A backend on several devices. Mix it in ahead of a framework's."""

    def communication_share(self, epoch: Sequence[Batch]) -> float | None:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        with TemporaryDirectory() as directory:
            with jax.profiler.trace(directory, profiler_options=options):
                start = time.perf_counter()
                self.train_epoch(epoch)
                seconds = time.perf_counter() - start
            return share_under_way(_spans(Path(directory)), seconds)


def _spans(directory: Path) -> Iterator[tuple[float, float]]:
    for path in directory.rglob("*.xplane.pb"):
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for event in (event for line in plane.lines for event in line.events):
                if event.name.startswith(_COLLECTIVES):
                    yield event.start_ns / 1e9, event.end_ns / 1e9
