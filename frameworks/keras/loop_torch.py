"""The training loop of Keras on PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from datasets.batches import MaskSpec
from frameworks import feed
from frameworks.keras.loop import DeviceChunk, Loop
from frameworks.keras.model import IMAGES
from frameworks.torch.philox import MaskDrawer


class TorchLoop(Loop):
    """Eager steps over tensors on the device; Keras hands cuDNN and oneDNN channels-last pictures.

    Nothing is compiled: Keras' variables and optimizer break the graph at every step.
    """

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.draws_masks = self.runtime.device == "cuda"

    def mask_drawer(self, spec: MaskSpec) -> MaskDrawer:
        return MaskDrawer(spec, torch.device(self.runtime.device))

    def send(self, array: np.ndarray) -> Any:
        device = self.runtime.device
        tensor = torch.from_numpy(np.array(array)) if device == "cpu" else torch.tensor(array)
        return tensor.to(device, non_blocking=True)

    def free_bytes(self) -> int:
        if self.runtime.device == "cuda":
            return torch.cuda.mem_get_info()[0]
        return super().free_bytes()

    def run(self, chunk: DeviceChunk) -> tuple[Any, Any]:
        results = [self._one(*self._part(chunk, step)) for step in range(chunk.steps)]
        losses, right = zip(*results, strict=True)
        return torch.stack(losses), torch.stack(right)

    @contextmanager
    def training(self) -> Iterator[None]:
        self.model.trainer.train()
        yield
        self.model.trainer.eval()

    def settings(self) -> dict[str, str]:
        return {"compiled": "eager"}

    def _part(self, chunk: DeviceChunk, step: int) -> tuple[Any, Any, dict[str, Any]]:
        masks = {name: mask[step] for name, mask in chunk.masks.items()}
        if isinstance(chunk.what, tuple):
            return chunk.what[0][step], chunk.what[1][step], masks
        assert self.data is not None
        images, labels = (array.index_select(0, chunk.what[step]) for array in self.data)
        return images, labels, masks

    def _one(self, images: Any, labels: Any, masks: dict[str, Any]) -> tuple[Any, Any]:
        if feed.RATE in masks:
            self.set_rate(masks.pop(feed.RATE))
        model = self.model.trainer
        logits = model({IMAGES: images, **masks}, training=True)
        loss = self.loss(labels, logits) + sum(model.losses)
        weights = model.trainable_variables
        gradients = torch.autograd.grad(loss, [variable.value for variable in weights])
        with torch.no_grad():
            self.optimizer.apply(list(gradients), weights)
            return loss.detach(), self.loss.right(labels, logits)
