"""PyTorch as fast as it goes here (siblings: flax, keras; `docs/speed.md`)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import numpy as np
import psutil
import torch
from torch import Tensor

from datasets.batches import Batch, MaskSpec
from frameworks.backend import EpochResult
from frameworks.feed import RATE, Chunk, FedBackend
from frameworks.spec.schedules import by_step
from frameworks.torch.backend import HALVES, TorchBackend
from frameworks.torch.graph import Recorder
from frameworks.torch.philox import MaskDrawer
from frameworks.torch.transfer import Sent, placed, sender
from frameworks.torch.tuned_model import TunedGalaxyNet, use_own_depthwise


class TunedTorchBackend(FedBackend, TorchBackend):
    """Data on the device, channels last, fused optimizer; compiled on a GPU.

    Weights, gradients and state are its parent's.
    """

    CHOICES: ClassVar[Mapping[str, str]] = {
        "staged": "the data set on the device, gathered there by row",
        "channels_last": "channels-last layout (with own batch-norm sums and wide depthwise "
        "gradients on CPUs)",
        "delayed_relu": "ReLU after the max-pool that follows it",
        "fused_optimizer": "Adam in one pass over the weights",
        "compiled": "torch.compile (GPU only)",
        "one_graph": "a whole step in one CUDA graph (GPU only; Adam, AdamW; no rate by step, no "
        "accumulation, no average of weights, no loss scale)",
        "device_masks": "dropout masks drawn on the device (GPU only)",
    }

    def build(self, *, draw: bool) -> None:
        # Tensor Cores read channels last; so does oneDNN. Plain float32 on a GPU does not gain.
        runtime = self.runtime
        gains = runtime.device == "cpu" or runtime.precision in ("tf32", *HALVES)
        self._channels_last = gains and "channels_last" not in self.without
        self.fused_optimizer = "fused_optimizer" not in self.without
        self._delayed_relu = "delayed_relu" not in self.without
        self.model_class = partial(
            TunedGalaxyNet, channels_last=self._channels_last, delayed_relu=self._delayed_relu
        )
        super().build(draw=draw)
        if self._channels_last and runtime.device == "cpu":
            use_own_depthwise(self.model)
        if self._channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.average = self._begin_average() if self.average else []
        torch.backends.cudnn.benchmark = self._on_gpu and not runtime.deterministic
        self._data: tuple[Tensor, ...] | None = None
        # the host sets the rate of a step
        self._sender = sender(self.device, label_type=np.int64, on_host=(RATE,))
        self._forward: Any = self._loss_and_right
        self._recorder = Recorder(
            gather=self._gather,
            train=self._train,
            places=self._places,
            capturing=self._capturing,
        )
        # the CPU's inductor leaves the convolutions to oneDNN and gains nothing on the rest
        self._compiled = "eager"
        self.draws_masks = self._on_gpu and "device_masks" not in self.without

    def put(self, images: np.ndarray, labels: np.ndarray) -> None:
        given = _shared(images), torch.from_numpy(self._sender.labels(labels))
        self._data = placed(given, self.device, self._data)

    def compile(self, epoch: Sequence[Batch]) -> None:
        """One step and one prediction per batch size; on a GPU they compile the forward and
        backward pass and record the step. Where that fails the reason is noted, and training is
        eager, or launches its kernels one by one."""
        one_graph = self._on_gpu and self._capturable and "one_graph" not in self.without
        if self._on_gpu and "compiled" not in self.without and self._compiled == "eager":
            # gradients that add up would stand in the graphs' own memory
            self._compile_forward(epoch, graphs=not one_graph and self.recipe.accumulation == 1)
        self._warm_up(epoch)
        if one_graph:
            self._record(epoch)
        self.synchronize()

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        return self._run(self.fed(epoch))

    def set_learning_rate(self, learning_rate: float) -> None:
        super().set_learning_rate(learning_rate)
        self._recorder.capture_if_moved()  # not in training, whose time it does not belong to

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        super().set_optimizer_state(state)
        self._recorder.capture_if_moved()  # not in training, whose time it does not belong to

    def settings(self) -> dict[str, str]:
        graph = "; a step in one CUDA graph" if self._recorder.graphs else ""
        return super().settings() | {
            "layout": "channels last" if self._channels_last else "channels first",
            "compiled": self._compiled + graph,
            "optimizer": "fused" if self.optimizer.defaults.get("fused") else "per tensor",
            "relu": "after the pool it precedes" if self._delayed_relu else "where it stands",
            "batch_norm": "own sums" if self._channels_last and not self._on_gpu else "PyTorch's",
        }

    # ---- inside

    @property
    def _capturable(self) -> bool:
        """True if a CUDA graph can record the optimizer's step with its rate; of a scaled loss the
        host decides whether it is skipped."""
        alike = not (by_step(self.recipe) or self.average) and self.recipe.accumulation == 1
        alike &= self.recipe.loss_scale is None
        return alike and bool(self.optimizer.defaults.get("capturable"))

    def _compile_forward(self, epoch: Sequence[Batch], *, graphs: bool) -> None:
        """Forward and backward pass by inductor, each as a CUDA graph with `graphs`; eager, with
        the reason, where it cannot."""
        self._compiled = "torch.compile"
        if graphs:
            self._compiled = "torch.compile, reduce-overhead (CUDA graphs)"
        # by default a second batch size, of the last batch, would make shapes dynamic for all
        self._forward = torch.compile(
            self._loss_and_right, mode="reduce-overhead" if graphs else None, dynamic=False
        )
        try:
            self._warm_up(epoch)
        except torch.OutOfMemoryError:  # which eager training would not escape: the row says so
            raise
        except Exception as error:  # inductor's, Triton's, a compiler's: all mean the same
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            warnings.warn(f"torch.compile failed, training is eager: {reason}", stacklevel=2)
            self._compiled = f"eager; torch.compile failed: {reason}"
            self._forward = self._loss_and_right

    def _record(self, epoch: Sequence[Batch]) -> None:
        """A step of each batch size as a CUDA graph."""
        steps = ((chunk.what, chunk.masks) for chunk in self.first_of_each_size(epoch))
        reason = self._recorder.record(steps, self._unchanged())
        self._compiled += f"; {reason}" if reason else ""

    @contextmanager
    def _capturing(self) -> Iterator[None]:
        self.model.train()  # a rate is changed after an evaluation
        if not self.optimizer.param_groups[0]["count"]:  # state that the first step would make
            super().set_optimizer_state(self.get_optimizer_state())
        self.optimizer.zero_grad()
        yield
        self.optimizer.zero_grad()  # recorded gradients live on in the graph's own memory

    def _train(
        self, images: Tensor, labels: Tensor, masks: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """One step, not counted: its mean loss, and how many answers are right."""
        self._begin_batch()
        loss, right = self._forward(images, labels, masks)
        self._backward(loss)
        self._update()
        return loss.detach(), right

    def _begin_average(self) -> list[Tensor]:
        return [torch.zeros_like(one) for one in self.trainable]

    @torch.no_grad()
    def _take_average(self, step: int) -> None:
        assert self.recipe.average_weights is not None
        share = self.recipe.average_weights.share(step)
        torch._foreach_lerp_(self.average, list(self.trainable), share)

    def _places(self) -> tuple[Any, ...]:
        """Rate, and addresses of data, weights and optimizer state: all that a graph holds."""
        state = [t for p in self.trainable for t in self.optimizer.state[p].values()]
        tensors = [*(self._data or ()), *self.model.state_dict().values(), *state]
        return (self.optimizer.param_groups[0]["lr"], *(one.data_ptr() for one in tensors))

    def _warm_up(self, epoch: Sequence[Batch]) -> None:
        with self._unchanged():
            # thrice: CUDA graphs are warmed up, then recorded, then replayed
            for _ in range(3 if self._on_gpu else 1):
                self._run(self.first_of_each_size(epoch))
            self.predict(epoch[0].images)

    def _run(self, chunks: Iterable[Sent]) -> EpochResult:
        self.model.train()
        total_loss = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        count = 0
        self._recorder.capture_if_moved()
        for chunk in chunks:
            steps, size, what, masks = chunk.steps, chunk.batch_size, chunk.what, chunk.masks
            count += steps * size
            graph = self._recorder.of(what, masks)
            if graph is not None:
                graph.run(steps, what, masks)
                self.optimizer.param_groups[0]["count"] += steps
                continue
            for step in range(steps):
                keep = {name: mask[step] for name, mask in masks.items()}
                if RATE in keep:
                    self.set_learning_rate(float(keep.pop(RATE)))
                images, labels = self._gather(_at(what, step))
                if self._on_gpu:
                    torch.compiler.cudagraph_mark_step_begin()
                loss, right = self._train(images, labels, keep)
                self.optimizer.param_groups[0]["count"] += self._taken
                total_loss += loss * size
                correct += right
        for graph in self._recorder.graphs.values():
            loss, right = graph.taken()
            total_loss += loss
            correct += right
        return EpochResult(total_loss.item() / count, correct.item() / (count * self.answers))

    def _loss_and_right(
        self, images: Tensor, labels: Tensor, masks: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The mean loss of the batch, and how many of its answers are right."""
        with self._autocast():
            logits = self.model(images, masks)
            loss = self._loss(logits, labels)
        return loss, self.batch_loss.right(logits.detach(), labels)

    def _gather(self, what: Any) -> tuple[Tensor, Tensor]:
        """Images uint8 (batch, height, width, channels) and labels of a step, on the device, from
        its rows of the data set; pictures that were sent are as they are."""
        if isinstance(what, tuple):
            return what
        assert self._data is not None
        images, labels = self._data
        return images.index_select(0, what), labels.index_select(0, what)

    def to_device(self, chunk: Chunk) -> Sent:
        return self._sender.send(chunk, partial(self.drawn, chunk))

    def arrived(self, chunk: Sent) -> Sent:
        return self._sender.received(chunk)

    def mask_drawer(self, spec: MaskSpec) -> MaskDrawer:
        return MaskDrawer(spec, self.device)

    def _tensor(self, key: str, array: np.ndarray) -> Tensor:
        """Tensor in the layout of the parameters: a fused optimizer walks both side by side."""
        tensor = super()._tensor(key, array)
        if self._channels_last and tensor.dim() == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def free_bytes(self) -> int:
        if self._on_gpu:
            return torch.cuda.mem_get_info()[0]
        return psutil.virtual_memory().available


def _at(what: Any, step: int) -> Any:
    """A step's part of what a chunk has."""
    return (what[0][step], what[1][step]) if isinstance(what, tuple) else what[step]


def _shared(array: np.ndarray) -> Tensor:
    """A tensor over the array's own memory, also where that is read-only: it is only read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
