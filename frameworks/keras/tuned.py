"""Keras 3 as fast as it goes here, on any engine (siblings: torch, flax;
`docs/speed.md`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from datasets.batches import Batch, MaskSpec, compact
from frameworks.backend import EpochResult
from frameworks.feed import Chunk, FedBackend, means
from frameworks.keras import loops, optimizers
from frameworks.keras.backend import KerasBackend
from frameworks.spec.losses import answers


class TunedKerasBackend(FedBackend, KerasBackend):
    """Keras' layers and optimizer in a training loop of the engine's own kind, over staged data.

    Weights, gradients and state are its parent's.
    """

    CHOICES: ClassVar[Mapping[str, str]] = {
        "staged": "the data set on the device, gathered there by row",
        "many_steps": "many steps an execution (TensorFlow, JAX)",
        "fast_layers": "our convolution gradients and max-pool (JAX on CPUs)",
        "one_graph": "a whole step in one CUDA graph (PyTorch on GPUs; no accumulation or average)",
        "device_masks": "dropout masks drawn on the device (PyTorch and JAX on GPUs)",
    }

    loop_class: type[loops.Loop] | None = None  # else the engine's

    def build(self, *, draw: bool) -> None:
        super().build(draw=draw)
        fast_layers = "fast_layers" not in self.without
        kind = self.loop_class or loops.of_engine()
        parts = (self.model, self.optimizer, self.loss, self.runtime)
        self.loop = kind(*parts, fast_layers=fast_layers)
        self.loop.set_rate = self._set_rate
        # a recorded step is the same each time, and is not skipped by the host
        alike = self.recipe.accumulation == 1 and self.recipe.average_weights is None
        alike &= self.recipe.loss_scale is None
        self.loop.records &= "one_graph" not in self.without and alike
        self.draws_masks = self.loop.draws_masks and "device_masks" not in self.without

    def free_bytes(self) -> int:
        return self.loop.free_bytes()

    def put(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.loop.stage(images, compact(labels))

    def to_device(self, chunk: Chunk) -> Any:
        return self.loop.to_device(chunk, partial(self.drawn, chunk))

    def arrived(self, chunk: Any) -> loops.DeviceChunk:
        return self.loop.arrived(chunk)

    def mask_drawer(self, spec: MaskSpec) -> Any:
        return self.loop.mask_drawer(spec)

    def compile(self, epoch: Sequence[Batch]) -> None:
        """One step per batch size and one prediction trace, compile or record the functions."""
        with self._unchanged():
            ready = self.first_of_each_size(epoch)
            self._run(one for chunk in ready for one in self.loop.programs(chunk))
            self.loop.record(self.first_of_each_size(epoch))
            self.predict(epoch[0].images)
        self.synchronize()

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        return self._run(self.fed(epoch))

    def settings(self) -> dict[str, str]:
        return super().settings() | self.loop.settings()

    # ---- inside

    def _set_rate(self, rate: Any) -> None:
        optimizers.set_learning_rate(self.optimizer, self.recipe.optimizer, rate)

    def _run(self, chunks: Any) -> EpochResult:
        """Train on chunks; losses and right answers are read when all is dispatched."""
        found: list[tuple[Any, Any]] = []
        counts: list[tuple[int, int]] = []
        with self.loop.training():
            for chunk in chunks:
                found.append(self.loop.run(chunk))
                counts.append((chunk.steps, chunk.batch_size))
        read = self.loop.read
        read_all = [(read(losses), read(correct)) for losses, correct in found]
        return means(read_all, counts, answers(self.recipe.trained_loss, self.network.classes))
