"""Lead of one replica over the others' PyTorch processes: for PyTorch, and Keras on PyTorch.

The backend of several replicas is the first one's: it has the others do all that it does, and
sends them their slices of every batch. A replica says how it trains on its slices (`fit_shards`).
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from torch import profiler

from datasets.batches import Batch, Epoch, compact
from frameworks.backend import Backend, EpochResult, Runtime
from frameworks.feed import FedBackend, ahead, is_of, step_of
from frameworks.replicas import Shard, shards, share_under_way, threads_of_each
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from frameworks.spec.weights import Weights
from frameworks.torch.global_batch_norm import Replicas
from frameworks.torch.ranks import Followers
from results import words


class Replica(Backend):
    """One of several replicas. Mix it in ahead of a framework's backend.

    Args:
        replicas: the group that it is of.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        runtime: Runtime,
        weights: Weights | None,
        replicas: Replicas,
    ) -> None:
        self.replicas = replicas
        super().__init__(network, recipe, runtime, weights)

    def fit_shards(self, mine: Iterable[Shard], rates: np.ndarray | None) -> EpochResult:
        """Train on the slices of an epoch's batches, as all the other replicas do at once; the
        means over the images of all."""
        raise NotImplementedError

    def processes(self) -> str:
        """The replicas in words, for the row."""
        threads = self.runtime.threads
        each = words.count(threads, "thread")
        return f"{words.count(self.replicas.count, 'process')} of {each}"


class Follower(Replica):
    """Another replica, which does as the first one says; `ranks` has its process."""

    def serve(self, connection: Any) -> None:
        """Do what the first replica says until it is gone."""
        kept = ExitStack()
        while True:
            name, *arguments = connection.recv()
            if name == "fit":
                self.fit_shards(iter(connection.recv, None), *arguments)
            elif name == "keep":
                kept.enter_context(self._unchanged())  # type: ignore[attr-defined]
            elif name == "restore":
                kept.close()
            elif name.startswith(("get_", "peak_")):
                connection.send(("answer", getattr(self, name)()))
            else:
                getattr(self, name)(*arguments)

    def set_random_state(self, state: Mapping[str, np.ndarray]) -> None:
        mine = f"replica{self.replicas.rank}."
        own = {k.removeprefix(mine): v for k, v in state.items() if k.startswith(mine)}
        super().set_random_state(own)


class Leader(Replica):
    """The first of several replicas.

    follower: makes another replica's backend, in its process.
    """

    follower: ClassVar[Callable[..., Follower]]

    def __init__(
        self, network: Network, recipe: Recipe, runtime: Runtime, weights: Weights | None
    ) -> None:
        if runtime.device != "cpu":
            raise SpecificationError(
                "PyTorch trains on several replicas on the CPU alone so far; use --device cpu."
            )
        self._others = Followers(runtime.replicas)
        weakref.finalize(self, self._others.close)
        each = replace(runtime, threads=threads_of_each(runtime.threads, runtime.replicas))
        self._others.tell("begin", self.follower, network, recipe, each)
        super().__init__(network, recipe, each, weights, self._others.group())

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        self._others.tell("keep")
        with super()._unchanged():  # type: ignore[misc]
            yield
        self._others.tell("restore")

    def communication_share(self, epoch: Sequence[Batch]) -> float | None:
        with profiler.profile(activities=[profiler.ProfilerActivity.CPU]) as trace:
            start = time.perf_counter()
            self.train_epoch(epoch)
            seconds = time.perf_counter() - start
        sums = (event for event in trace.events() if event.name.startswith("gloo:"))
        spans = ((one.time_range.start / 1e6, one.time_range.end / 1e6) for one in sums)
        return share_under_way(spans, seconds)

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        return self._fit(epoch, rates)

    def _fit(self, epoch: Sequence[Batch], rates: np.ndarray | None = None) -> EpochResult:
        self._others.tell("fit", rates)
        with self._others.blamed():
            return self.fit_shards(self._dealt(epoch), rates)

    def _dealt(self, epoch: Sequence[Batch]) -> Iterator[Shard]:
        """This replica's slices; the others are sent theirs."""
        for batch in self._batches(epoch):
            mine, *theirs = shards(batch, self.recipe, self.replicas.count)
            self._others.deal(theirs)
            yield mine
        self._others.deal([None] * (self.replicas.count - 1))

    def _batches(self, epoch: Sequence[Batch]) -> Iterator[Batch]:
        """The batches of an epoch in order."""
        return (epoch[step] for step in range(len(epoch)))

    def set_learning_rate(self, learning_rate: float) -> None:
        if not self.replicas.active:  # in a training each has the rates
            self._others.tell("set_learning_rate", learning_rate)
        super().set_learning_rate(learning_rate)  # type: ignore[safe-super]

    def set_weights(self, weights: Weights) -> None:
        self._others.tell("set_weights", dict(weights))
        super().set_weights(weights)  # type: ignore[safe-super]

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._others.tell("set_optimizer_state", dict(state))
        super().set_optimizer_state(state)  # type: ignore[safe-super]

    def apply_gradients(self, gradients: Weights) -> None:
        self._others.tell("apply_gradients", dict(gradients))
        super().apply_gradients(gradients)

    def get_random_state(self) -> dict[str, np.ndarray]:
        found = dict(super().get_random_state())
        for rank, state in enumerate(self._others.ask("get_random_state"), start=1):
            found |= {f"replica{rank}.{name}": array for name, array in state.items()}
        return found

    def set_random_state(self, state: Mapping[str, np.ndarray]) -> None:
        super().set_random_state(state)
        self._others.tell("set_random_state", dict(state))

    def peak_memory(self) -> tuple[int, str]:
        """Peak bytes of all the replicas' processes together, and what they count."""
        mine, kind = super().peak_memory()
        return mine + sum(count for count, _ in self._others.ask("peak_memory")), kind


class StagedLeader(Leader, FedBackend):
    """A first replica whose data set is staged with every replica where it fits: slices are sent
    as rows of it. Batches are made ready ahead."""

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        super().stage(images, labels)
        if self._host_images is not None:
            self._others.tell("put", images, labels)

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        return self._fit(epoch)

    def _batches(self, epoch: Sequence[Batch]) -> Iterator[Batch]:
        by_row = is_of(epoch, self._host_images)

        def made(step: int) -> Batch:
            rows, batch, masks = step_of(epoch, step, by_row)
            if batch is not None:
                return batch
            assert isinstance(epoch, Epoch)
            assert rows is not None
            return Batch(rows, compact(epoch.labels[rows]), masks)

        return ahead(range(len(epoch)), made, self._waited)
