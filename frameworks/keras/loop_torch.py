"""The training loop of Keras on PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from datasets.batches import MaskSpec
from frameworks import feed
from frameworks.keras.loop import DeviceChunk, Loop
from frameworks.keras.model import IMAGES
from frameworks.torch.graph import Recorder
from frameworks.torch.philox import MaskDrawer
from frameworks.torch.recordable import Recordable
from frameworks.torch.transfer import Sent, placed, sender


class TorchLoop(Loop):
    """Steps over tensors on the device; Keras hands cuDNN and oneDNN channels-last pictures.

    On a GPU a whole step is one CUDA graph; else it is eager. Nothing is compiled: Keras' variables
    and optimizer break PyTorch's graph at every step.
    """

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._device = torch.device(self.runtime.device)
        self._sender = sender(self._device)
        self.draws_masks = self.records = self.runtime.device == "cuda"
        self._recordable = Recordable()
        self._recorder = Recorder(
            gather=self._gather,
            train=self._one,
            places=self._places,
            capturing=self._capturing,
        )
        self._not_recorded = ""

    def mask_drawer(self, spec: MaskSpec) -> MaskDrawer:
        return MaskDrawer(spec, self._device)

    def send(self, array: np.ndarray) -> Any:
        return torch.from_numpy(np.array(array)).to(self._device)

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        given = torch.from_numpy(np.array(images)), torch.from_numpy(np.array(labels))
        self.data = placed(given, self._device, self.data)

    def to_device(self, chunk: feed.Chunk, draw: Callable[[], Mapping[str, Any]]) -> Sent:
        return self._sender.send(chunk, draw)

    def arrived(self, chunk: Sent) -> DeviceChunk:
        sent = self._sender.received(chunk)
        return DeviceChunk(sent.steps, sent.batch_size, sent.what, sent.masks)

    def free_bytes(self) -> int:
        if self.runtime.device == "cuda":
            return torch.cuda.mem_get_info()[0]
        return super().free_bytes()

    def record(self, chunks: Iterable[DeviceChunk]) -> None:
        if self.records:
            steps = ((chunk.what, chunk.masks) for chunk in chunks)
            self._not_recorded = self._recorder.record(steps)

    def run(self, chunk: DeviceChunk) -> tuple[Any, Any]:
        graph = self._recorder.of(chunk.what, chunk.masks)
        if graph is not None:
            graph.run(chunk.steps, chunk.what, chunk.masks)
            total_loss, correct = graph.taken()
            return total_loss[None] / chunk.batch_size, correct[None]
        results = [self._one(*self._part(chunk, step)) for step in range(chunk.steps)]
        losses, right = zip(*results, strict=True)
        return torch.stack(losses), torch.stack(right)

    @contextmanager
    def training(self) -> Iterator[None]:
        self.model.trainer.train()
        self._recorder.capture_if_moved()
        yield
        self.model.trainer.eval()

    def settings(self) -> dict[str, str]:
        graph = "a step in one CUDA graph" if self._recorder.graphs else self._not_recorded
        return {"compiled": f"eager; {graph}" if graph else "eager"}

    @contextmanager
    def _capturing(self) -> Iterator[None]:
        self.model.trainer.train()
        with self._recordable:
            yield

    def _places(self) -> tuple[int, ...]:
        """Addresses of data, weights and optimizer state, the rate among them."""
        variables = [*self.model.trainer.variables, *self.optimizer.variables]
        tensors = [*(self.data or ()), *(variable.value for variable in variables)]
        return tuple(one.data_ptr() for one in tensors)

    def _part(self, chunk: DeviceChunk, step: int) -> tuple[Any, Any, dict[str, Any]]:
        masks = {name: mask[step] for name, mask in chunk.masks.items()}
        what = chunk.what
        part = tuple(array[step] for array in what) if isinstance(what, tuple) else what[step]
        return *self._gather(part), masks

    def _gather(self, what: Any) -> tuple[Any, Any]:
        """Images and labels of a step, from its rows or as they were sent."""
        if isinstance(what, tuple):
            return what[0], what[1]
        assert self.data is not None
        images, labels = (array.index_select(0, what) for array in self.data)
        return images, labels

    def _one(self, images: Any, labels: Any, masks: dict[str, Any]) -> tuple[Any, Any]:
        if feed.RATE in masks:
            self.set_rate(masks.pop(feed.RATE))
        model = self.model.trainer
        logits = model({IMAGES: images, **masks}, training=True)
        loss = self.loss(labels, logits) + sum(model.losses)
        weights = model.trainable_variables
        scaled = self.optimizer.scale_loss(loss)
        gradients = torch.autograd.grad(scaled, [variable.value for variable in weights])
        with torch.no_grad():
            self.optimizer.apply(list(gradients), weights)
            return loss.detach(), self.loss.right(labels, logits)
