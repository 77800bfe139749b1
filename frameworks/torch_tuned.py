"""PyTorch as fast as it goes here (siblings: flax_tuned, keras_tuned; `docs/tuning.md`)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import psutil
import torch
from torch import Tensor

from datasets.batches import Batch
from frameworks import feed
from frameworks.backend import EpochResult, Runtime
from frameworks.network import Network
from frameworks.recipe import Recipe
from frameworks.torch_backend import TorchBackend
from frameworks.torch_tuned_model import TunedGalaxyNet
from frameworks.weights import Weights

# What a feed's chunk is on the device: steps, batch size, rows or (images, labels), masks.
_Chunk = tuple[int, int, Any, dict[str, Tensor]]


class TunedTorchBackend(TorchBackend):
    """Data on the device, channels last, fused optimizer; compiled on a GPU.

    Weights, gradients and state are its parent's. host_wait_seconds: of the training so far,
    what the host waited for the next chunk of it.
    """

    CHOICES: ClassVar[Mapping[str, str]] = {
        "staged": "the data set on the device, gathered there by row",
        "channels_last": "channels-last layout (with own batch-norm sums on CPUs)",
        "delayed_relu": "ReLU after the max-pool that follows it",
        "fused_optimizer": "Adam in one pass over the weights",
        "compiled": "torch.compile with CUDA graphs (GPU only)",
    }
    without: frozenset[str] = frozenset()  # choices left out, to see what each gains
    model_class = TunedGalaxyNet

    def __init__(
        self, network: Network, recipe: Recipe, runtime: Runtime, weights: Weights | None
    ) -> None:
        # Tensor Cores read channels last; so does oneDNN. Plain float32 on a GPU does not gain.
        gains = runtime.device == "cpu" or runtime.precision in ("tf32", "bfloat16")
        self._channels_last = gains and "channels_last" not in self.without
        self.fused_optimizer = "fused_optimizer" not in self.without
        super().__init__(network, recipe, runtime, weights)
        assert isinstance(self.model, TunedGalaxyNet)
        self.model.channels_last = self._channels_last
        self.model.delayed_relu = "delayed_relu" not in self.without
        if self._channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.backends.cudnn.benchmark = self._on_gpu and not runtime.deterministic
        self.host_wait_seconds = 0.0
        self._data: tuple[Tensor, Tensor] | None = None
        self._host_images: np.ndarray | None = None
        self._forward: Any = self._logits_and_loss
        # the CPU's inductor leaves the convolutions to oneDNN and gains nothing on the rest
        self._compiled = "eager"

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        """The data set to the device as uint8, unless it takes too much of its free memory."""
        if "staged" in self.without or not feed.staged(
            self.runtime.feed, images.nbytes, self._free_bytes()
        ):
            return
        self._data = (_shared(images).to(self.device), self._labels(labels))
        self._host_images = images

    def compile(self, epoch: Sequence[Batch]) -> None:
        """One step and one prediction per batch size; on a GPU they compile the forward and
        backward pass, and where that fails the reason is noted and training is eager."""
        if self._on_gpu and "compiled" not in self.without:
            self._compile_forward(epoch)
        self._warm_up(epoch)
        self.synchronize()

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        chunks = feed.chunks(epoch, staged=feed.is_of(epoch, self._host_images))
        return self._run(feed.ahead(chunks, self._chunk_to_device, self._waited))

    def settings(self) -> dict[str, str]:
        assert isinstance(self.model, TunedGalaxyNet)
        return {
            "layout": "channels last" if self._channels_last else "channels first",
            "compiled": self._compiled,
            "data": "streamed" if self._data is None else "on the device, uint8",
            "optimizer": "fused" if self.optimizer.defaults.get("fused") else "per tensor",
            "relu": "after the pool it precedes" if self.model.delayed_relu else "where it stands",
            "batch_norm": "own sums" if self._channels_last and not self._on_gpu else "PyTorch's",
        }

    # ---- inside

    def _compile_forward(self, epoch: Sequence[Batch]) -> None:
        """Forward and backward pass by inductor; eager, with the reason, where it cannot."""
        self._compiled = "torch.compile, reduce-overhead (CUDA graphs)"
        # by default a second batch size, of the last batch, would make shapes dynamic for all
        self._forward = torch.compile(self._logits_and_loss, mode="reduce-overhead", dynamic=False)
        try:
            self._warm_up(epoch)
        except Exception as error:  # inductor's, Triton's, a compiler's: all mean the same
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            warnings.warn(f"torch.compile failed, training is eager: {reason}", stacklevel=2)
            self._compiled = f"eager; torch.compile failed: {reason}"
            self._forward = self._logits_and_loss

    def _warm_up(self, epoch: Sequence[Batch]) -> None:
        staged = feed.is_of(epoch, self._host_images)
        with self._unchanged():
            # thrice: CUDA graphs are warmed up, then recorded, then replayed
            for _ in range(3 if self._on_gpu else 1):
                chunks = feed.chunks(epoch, staged=staged, only_first=True)
                self._run(map(self._chunk_to_device, chunks))
            self.predict(epoch[0].images)

    def _run(self, chunks: Any) -> EpochResult:
        self.model.train()
        total_loss = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        count = 0
        for steps, size, what, masks in chunks:
            for step in range(steps):
                keep = {name: mask[step] for name, mask in masks.items()}
                images, labels = self._gather(what, step)
                if self._on_gpu:
                    torch.compiler.cudagraph_mark_step_begin()
                self.optimizer.zero_grad()
                logits, loss = self._forward(images, labels, keep)
                loss.backward()
                self._step()
                total_loss += loss.detach() * size
                correct += (logits.detach().argmax(1) == labels).sum()
            count += steps * size
        return EpochResult(total_loss.item() / count, correct.item() / count)

    def _logits_and_loss(
        self, images: Tensor, labels: Tensor, masks: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        with self._autocast():
            logits = self.model(images, masks)
            return logits, self._loss(logits, labels)

    def _gather(self, what: Any, step: int) -> tuple[Tensor, Tensor]:
        """Images uint8 (batch, height, width, channels) and labels of a step, on the device."""
        if isinstance(what, tuple):
            return what[0][step], what[1][step]
        assert self._data is not None
        images, labels = self._data
        return images.index_select(0, what[step]), labels.index_select(0, what[step])

    def _chunk_to_device(self, chunk: feed.Chunk) -> _Chunk:
        masks = {name: self._send(mask) for name, mask in chunk.masks.items()}
        if chunk.rows is not None:
            return chunk.steps, chunk.batch_size, self._send(chunk.rows), masks
        assert chunk.images is not None
        assert chunk.labels is not None
        pictures = self._send(chunk.images), self._labels(chunk.labels)
        return chunk.steps, chunk.batch_size, pictures, masks

    def _send(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._on_gpu:
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def _labels(self, labels: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(labels, np.int64)).to(self.device)

    def _tensor(self, key: str, array: np.ndarray) -> Tensor:
        """In the layout of the parameters: a fused optimizer walks them side by side in memory."""
        tensor = super()._tensor(key, array)
        if self._channels_last and tensor.dim() == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def _waited(self, seconds: float) -> None:
        self.host_wait_seconds += seconds

    def _free_bytes(self) -> int:
        if self._on_gpu:
            return torch.cuda.mem_get_info()[0]
        return psutil.virtual_memory().available


def _shared(array: np.ndarray) -> Tensor:
    """A tensor over the array's own memory, also where that is read-only: it is only read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
