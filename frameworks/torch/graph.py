"""A whole training step as one CUDA graph, replayed without any Python in between.

Of PyTorch, and of Keras on PyTorch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

WARM_UP_STEPS = 3  # ahead of a capture: kernels chosen, workspaces and gradients allocated

# Of (rows or (images, labels)) of a step: its images and labels.
Gather = Callable[[Any], tuple[Tensor, Tensor]]
# Trains on (images, labels, masks) of a step: its mean loss, and how many answers are right.
Train = Callable[[Tensor, Tensor, dict[str, Tensor]], tuple[Tensor, Tensor]]


class StepGraph:
    """Gather, training step and the sums of an epoch, recorded once.

    A replay trains on the place of the chunk that a counter says, and moves it on. The data, the
    weights, the optimizer's state and its rate are those at the time of the capture: where they
    move to other memory, or a rate that is no tensor changes, it must be captured anew, as
    `Recorder` does.
    """

    def __init__(
        self, what: Any, masks: Mapping[str, Tensor], *, gather: Gather, train: Train
    ) -> None:
        self._what = tuple(one.clone() for one in _flat(what))
        self._masks = {name: mask.clone() for name, mask in masks.items()}
        self._gather, self._train = gather, train
        device = self._what[0].device
        self._counter = torch.zeros(1, dtype=torch.int64, device=device)
        self._total_loss = torch.zeros((), dtype=torch.float64, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._graph = torch.cuda.CUDAGraph()

    def like(self) -> StepGraph:
        """One of the same step, not yet captured; a graph is recorded once."""
        what = self._what[0] if len(self._what) == 1 else self._what
        return StepGraph(what, self._masks, gather=self._gather, train=self._train)

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
        with torch.cuda.graph(self._graph, pool=pool):
            self._step()
        self.taken()

    def run(self, steps: int, what: Any, masks: Mapping[str, Tensor]) -> None:
        """Train on the first `steps` places of a chunk."""
        for mine, given in zip(self._what, _flat(what), strict=True):
            mine.copy_(given)
        for name, mask in masks.items():
            self._masks[name].copy_(mask)
        self._counter.zero_()
        for _ in range(steps):
            self._graph.replay()

    def taken(self) -> tuple[Tensor, Tensor]:
        """Loss summed over images, float64 (), and right answers, int64 (), since last taken."""
        sums = self._total_loss.clone(), self._correct.clone()
        self._total_loss.zero_()
        self._correct.zero_()
        return sums

    def _step(self) -> None:
        place = [one.index_select(0, self._counter).squeeze(0) for one in self._what]
        masks = {
            name: mask.index_select(0, self._counter).squeeze(0)
            for name, mask in self._masks.items()
        }
        images, labels = self._gather(place[0] if len(place) == 1 else tuple(place))
        loss, right = self._train(images, labels, masks)
        self._total_loss += loss.detach() * len(labels)
        self._correct += right
        self._counter += 1


class Recorder:
    """The graphs of a step, one of each batch size, recorded anew where what they hold has moved.

    Args:
        gather, train: of a step.
        places: addresses of all that a graph holds, and numbers that are fixed in it.
        capturing: makes a context around captures: the state is there, and in training mode.
    """

    def __init__(
        self,
        *,
        gather: Gather,
        train: Train,
        places: Callable[[], tuple[Any, ...]],
        capturing: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._gather, self._train = gather, train
        self._places, self._capturing = places, capturing
        self._captured: tuple[Any, ...] = ()
        self.graphs: dict[Any, StepGraph] = {}

    def record(
        self,
        steps: Iterable[tuple[Any, Mapping[str, Tensor]]],
        unchanged: AbstractContextManager[Any] | None = None,
    ) -> str:
        """Record a step of each batch size.

        Args:
            steps: what and masks of a chunk of each batch size.
            unchanged: restores what the warm-up changes; None where the caller does.

        Returns:
            Why none is recorded, or "": steps are then launched kernel by kernel.
        """
        made: dict[Any, StepGraph] = {}
        try:
            with unchanged or nullcontext():
                for what, masks in steps:
                    graph = StepGraph(what, masks, gather=self._gather, train=self._train)
                    made[_key(what, masks)] = graph
                    with self._capturing():
                        graph.warm_up()
            self._capture(self.graphs | made)
        except torch.OutOfMemoryError:  # which launching would not escape: the row says so
            raise
        except RuntimeError as error:  # of CUDA, or of what cannot be recorded
            self.graphs = {}
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            warnings.warn(f"no CUDA graph of a step: {reason}", stacklevel=2)
            return f"no CUDA graph of a step: {reason}"
        return ""

    def of(self, what: Any, masks: Mapping[str, Tensor]) -> StepGraph | None:
        """The graph that trains on such a chunk, if there is one."""
        return self.graphs.get(_key(what, masks)) if self.graphs else None

    def capture_if_moved(self) -> None:
        """Record the graphs anew if one would use memory, or a number, of the past."""
        if self.graphs and self._places() != self._captured:
            self._capture(self.graphs)

    def _capture(self, graphs: Mapping[Any, StepGraph]) -> None:
        """Record the step of each anew, from where weights and optimizer state are now."""
        with self._capturing():
            pool = torch.cuda.graph_pool_handle()  # no two run at once; nothing outlives a replay
            self.graphs = {key: graph.like() for key, graph in graphs.items()}
            for graph in self.graphs.values():
                graph.capture(pool)
        self._captured = self._places()


def _key(what: Any, masks: Mapping[str, Tensor]) -> tuple[Any, ...]:
    """Shapes that a recorded step depends on."""
    return tuple(array.shape for array in [*_flat(what), *masks.values()])


def _flat(what: Any) -> tuple[Tensor, ...]:
    return what if isinstance(what, tuple) else (what,)
