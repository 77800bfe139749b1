"""A whole PyTorch training step as one CUDA graph, replayed without any Python in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

WARM_UP_STEPS = 3  # ahead of a capture: kernels chosen, workspaces and gradients allocated

# Of (images, labels, masks) of a step: its mean loss, and how many answers are right.
Forward = Callable[[Tensor, Tensor, Mapping[str, Tensor]], tuple[Tensor, Tensor]]
# Of (rows or (images, labels)) of a step: its images and labels.
Gather = Callable[[Any], tuple[Tensor, Tensor]]


class StepGraph:
    """Gather, forward, backward, optimizer and the sums of an epoch, recorded once.

    A replay trains on the place of the chunk that a counter says, and moves it on. The data, the
    weights, the optimizer's state and its rate are those at the time of the capture: where they
    move to other memory, or the rate changes, it must be captured anew, as
    `TunedTorchBackend._capture` does.

    total_loss float64 () and correct int64 () add up over the replays.
    """

    def __init__(
        self,
        what: Any,
        masks: Mapping[str, Tensor],
        *,
        gather: Gather,
        forward: Forward,
        optimizer: torch.optim.Optimizer,
        update: Callable[[], None],
    ) -> None:
        self._what = tuple(one.clone() for one in _flat(what))
        self._masks = {name: mask.clone() for name, mask in masks.items()}
        self._gather, self._forward = gather, forward
        self._optimizer, self._update = optimizer, update
        device = self._what[0].device
        self._counter = torch.zeros(1, dtype=torch.int64, device=device)
        self.total_loss = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self._graph = torch.cuda.CUDAGraph()

    def like(self) -> StepGraph:
        """One of the same step, not yet captured; a graph is recorded once."""
        what = self._what[0] if len(self._what) == 1 else self._what
        return StepGraph(
            what,
            self._masks,
            gather=self._gather,
            forward=self._forward,
            optimizer=self._optimizer,
            update=self._update,
        )

    def warm_up(self) -> None:
        """Train a few steps as they will be recorded; the caller restores what they change."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                self._counter.zero_()
                self._step()
        torch.cuda.current_stream().wait_stream(stream)

    def capture(self, pool: Any) -> None:
        """Record a step, with its memory from `pool`; nothing is computed. The optimizer must have
        its state already."""
        self._optimizer.zero_grad()
        with torch.cuda.graph(self._graph, pool=pool):
            self._step()
        self._optimizer.zero_grad()  # the recorded gradients live on in the graph's own memory
        self.total_loss.zero_()
        self.correct.zero_()

    def run(self, steps: int, what: Any, masks: Mapping[str, Tensor]) -> None:
        """Train on the first `steps` places of a chunk."""
        for mine, given in zip(self._what, _flat(what), strict=True):
            mine.copy_(given)
        for name, mask in masks.items():
            self._masks[name].copy_(mask)
        self._counter.zero_()
        for _ in range(steps):
            self._graph.replay()

    def _step(self) -> None:
        place = [one.index_select(0, self._counter).squeeze(0) for one in self._what]
        masks = {
            name: mask.index_select(0, self._counter).squeeze(0)
            for name, mask in self._masks.items()
        }
        images, labels = self._gather(place[0] if len(place) == 1 else tuple(place))
        self._optimizer.zero_grad()
        loss, right = self._forward(images, labels, masks)
        loss.backward()
        self._update()
        self.total_loss += loss.detach() * len(labels)
        self.correct += right
        self._counter += 1


def _flat(what: Any) -> tuple[Tensor, ...]:
    return what if isinstance(what, tuple) else (what,)
