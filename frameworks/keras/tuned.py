"""Keras 3 as fast as it goes here, on any engine (siblings: torch, flax;
`docs/speed.md`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from datasets.batches import Batch
from frameworks import feed
from frameworks.backend import EpochResult, Runtime
from frameworks.keras import loops
from frameworks.keras.backend import KerasBackend
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from frameworks.spec.weights import Weights


class TunedKerasBackend(KerasBackend):
    """Keras' layers and optimizer in a training loop of the engine's own kind, over staged data.

    Weights, gradients and state are its parent's. host_wait_seconds: of the training so far,
    what the host waited for the next chunk of it.
    """

    CHOICES: ClassVar[Mapping[str, str]] = {
        "staged": "the data set on the device, gathered there by row",
        "many_steps": "many steps an execution (TensorFlow, JAX)",
        "fast_layers": "our convolution gradients and max-pool (JAX on CPUs)",
    }
    without: frozenset[str] = frozenset()  # choices left out, to see what each gains

    def __init__(
        self, network: Network, recipe: Recipe, runtime: Runtime, weights: Weights | None
    ) -> None:
        super().__init__(network, recipe, runtime, weights)
        fast_layers = "fast_layers" not in self.without
        self.loop = loops.make(
            self.model, self.optimizer, self.loss, runtime, fast_layers=fast_layers
        )
        self._length = 1 if "many_steps" in self.without else feed.CHUNK_STEPS
        self.host_wait_seconds = 0.0
        self._host_images: np.ndarray | None = None

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        """The data set to the device as uint8, unless it takes too much of its free memory."""
        if "staged" in self.without or not feed.staged(
            self.runtime.feed, images.nbytes, self.loop.free_bytes()
        ):
            return
        self.loop.stage(images, np.asarray(labels, np.int32))
        self._host_images = images

    def compile(self, epoch: Sequence[Batch]) -> None:
        """One step per batch size and one prediction trace and compile the functions."""
        staged = feed.is_of(epoch, self._host_images)
        with self._unchanged():
            chunks = feed.chunks(epoch, staged=staged, length=self._length, only_first=True)
            ready = map(self.loop.to_device, chunks)
            self._run(one for chunk in ready for one in self.loop.programs(chunk))
            self.predict(epoch[0].images)
        self.synchronize()

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        staged = feed.is_of(epoch, self._host_images)
        chunks = feed.chunks(epoch, staged=staged, length=self._length)
        return self._run(feed.ahead(chunks, self.loop.to_device, self._waited))

    def settings(self) -> dict[str, str]:
        staged = "streamed" if self._host_images is None else "on the device, uint8"
        return super().settings() | {"data": staged} | self.loop.settings()

    # ---- inside

    def _run(self, chunks: Any) -> EpochResult:
        """Train on chunks; losses and right answers are read when all is dispatched."""
        found: list[tuple[Any, Any]] = []
        counts: list[tuple[int, int]] = []
        with self.loop.training():
            for chunk in chunks:
                found.append(self.loop.run(chunk))
                counts.append((chunk.steps, chunk.batch_size))
        loss = right = images = 0.0
        for (losses, correct), (steps, size) in zip(found, counts, strict=True):
            loss += float(np.sum(self.loop.read(losses)[:steps], dtype=np.float64)) * size
            right += float(np.sum(self.loop.read(correct)[:steps]))
            images += steps * size
        return EpochResult(loss / images, right / images)

    def _waited(self, seconds: float) -> None:
        self.host_wait_seconds += seconds
