"""The training loop of a Keras engine: many steps over staged data, nothing read in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import psutil

from datasets.batches import MaskSpec
from frameworks import feed
from frameworks.backend import Runtime
from frameworks.keras.model import GalaxyNet


@dataclass(frozen=True)
class DeviceChunk:
    """A `feed.Chunk` whose arrays are the engine's; what: rows, or (images, labels)."""

    steps: int
    batch_size: int
    what: Any
    masks: Mapping[str, Any]


class Loop:
    """Base of the loops. A loop keeps the model's variables between `training` and its end.

    set_rate: changes the learning rate from the next step on, in a compiled step too.
    records: a step can be recorded (`record`), and gains by it.
    draws_masks: the device can draw dropout masks (`mask_drawer`), and gains by it.
    """

    set_rate: Callable[[Any], None]
    records = False
    draws_masks = False

    def __init__(
        self, model: GalaxyNet, optimizer: Any, loss: Any, runtime: Runtime, *, fast_layers: bool
    ) -> None:
        self.model, self.optimizer, self.loss, self.runtime = model, optimizer, loss, runtime
        self.fast_layers = fast_layers  # where there are any
        self.data: tuple[Any, ...] | None = None

    def send(self, array: np.ndarray) -> Any:
        """An array on the device."""
        raise NotImplementedError

    def read(self, value: Any) -> np.ndarray:
        """An array back on the host; waits for it."""
        return np.asarray(keras.ops.convert_to_numpy(value))

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Put the data set on the device."""
        self.data = self.send(images), self.send(labels)

    def mask_drawer(self, spec: MaskSpec) -> Any:
        """The drawer of masks on the device, where `draws_masks`."""
        raise NotImplementedError

    def to_device(self, chunk: feed.Chunk, draw: Callable[[], Mapping[str, Any]]) -> Any:
        """A chunk with its arrays, and the masks that are drawn there, on the device or on the way
        (`arrived`)."""
        masks = {name: self.send(mask) for name, mask in chunk.masks.items()} | dict(draw())
        what: Any
        if chunk.rows is not None:
            what = self.send(chunk.rows)
        else:
            assert chunk.images is not None
            assert chunk.labels is not None
            what = self.send(chunk.images), self.send(chunk.labels)
        return DeviceChunk(chunk.steps, chunk.batch_size, what, masks)

    def arrived(self, chunk: Any) -> DeviceChunk:
        """The chunk that `to_device` gave, ready for the work given to the device from here on."""
        return chunk

    def free_bytes(self) -> int:
        """Free memory of the device."""
        return psutil.virtual_memory().available

    def programs(self, chunk: DeviceChunk) -> list[DeviceChunk]:
        """Chunks that compile every program of the shape of a chunk of one step."""
        return [chunk]

    def record(self, chunks: Iterable[DeviceChunk]) -> None:
        """Record a step of the shape of each chunk, where the engine can; the caller restores what
        that changes."""

    @contextmanager
    def training(self) -> Iterator[None]:
        """Around the chunks of an epoch."""
        yield

    def run(self, chunk: DeviceChunk) -> tuple[Any, Any]:
        """Train on a chunk: losses and right answers, (places,), or their sums, (1,), on the
        device."""
        raise NotImplementedError

    def settings(self) -> dict[str, str]:
        """Choices that the loop made."""
        return {}
