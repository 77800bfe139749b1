"""PyTorch on several replicas: DistributedDataParallel over Gloo, a process for each.

The process that builds the backend is the first replica; it starts the others and leads them
(`ranks`). Each computes its slice of every batch. What makes N replicas train as one does:

- batch norm takes its moments over the whole batch (`GlobalBatchNorm`);
- DistributedDataParallel averages over the replicas, so each one's loss is N times the sum over
  its images, divided by what the whole batch's mean is divided by;
- every replica adds the L2 terms whole, and their average counts them once;
- gradients are clipped once they are averaged.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from datasets.batches import Batch
from frameworks.backend import EpochResult, Runtime
from frameworks.replicas import Shard, shards, threads_of_each
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from frameworks.spec.weights import Weights
from frameworks.torch import optimizers
from frameworks.torch.backend import TorchBackend, tensors
from frameworks.torch.global_batch_norm import Replicas, use_global_batch_norm
from frameworks.torch.ranks import Followers

_APART = 2**32  # between the seeds of two replicas' own dropout


class _Replica(TorchBackend):
    """One replica: it computes its slice of every batch.

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

    def build(self, *, draw: bool) -> None:
        super().build(draw=draw)
        self.use_global_norms()
        # it sends the first replica's weights to the others
        self.parallel = DistributedDataParallel(self.model, process_group=self.replicas.group)
        torch.manual_seed(self.runtime.seed + _APART * self.replicas.rank)

    def use_global_norms(self) -> None:
        """Have every batch norm take the moments of the whole batch."""
        use_global_batch_norm(self.model, self.replicas)

    def fit_shards(self, mine: Iterable[Shard], rates: np.ndarray | None) -> EpochResult:
        """Train on the slices of an epoch's batches, as all the other replicas do at once; the
        means over the images of all."""
        self.model.train()
        totals = torch.zeros(3, dtype=torch.float64)  # loss, right answers, images
        with self.replicas.together():
            for step, shard in enumerate(mine):
                if rates is not None:
                    self._set_rate(float(rates[step]))
                totals += self._step_of(shard)
            (loss, correct, count) = self.replicas.summed(totals).tolist()
        return EpochResult(loss / count, correct / (count * self.answers))

    def _step_of(self, shard: Shard) -> Tensor:
        """One step; this replica's part of (loss times images, right answers, images)."""
        images, labels, masks = self._to_device(*tensors(shard.batch))
        self.optimizer.zero_grad()
        with self._autocast():
            logits = self.parallel(images, masks)
            self._share = shard.share
            loss = self._loss(logits, labels)
        loss.backward()
        self._step()
        right = self.batch_loss.right(logits, labels)
        total = loss.detach().double() * (shard.images / self.replicas.count)
        return torch.stack([total, right.double(), total.new_tensor(len(labels))])

    def _mean_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The recipe's loss of the whole batch, as far as it is of these images, for an average
        over the replicas."""
        if not self.replicas.active:
            return super()._mean_loss(logits, labels)
        if not self._share:  # no image, or none that has a weight: its mean would be 0 / 0
            return logits.to(self.dtype).sum() * 0.0
        return self.batch_loss(logits, labels) * (self._share * self.replicas.count)

    def _set_rate(self, rate: float) -> None:
        optimizers.set_learning_rate(self.optimizer, self.recipe.optimizer, rate)


class Follower(_Replica):
    """Another replica, which does as the first one says; `ranks` has its process."""

    def serve(self, connection: Any) -> None:
        """Do what the first replica says until it is gone."""
        kept = ExitStack()
        while True:
            name, *arguments = connection.recv()
            if name == "fit":
                self.fit_shards(iter(connection.recv, None), *arguments)
            elif name == "keep":
                kept.enter_context(self._unchanged())
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


class ReplicatedTorchBackend(_Replica):
    """PyTorch, eager, the first of several replicas, which leads the others.

    follower: makes another replica's backend, in its process.
    """

    follower: ClassVar[Callable[..., Follower]] = Follower

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
        group = self._others.group()
        super().__init__(network, recipe, each, weights, group)

    def compile(self, epoch: Sequence[Batch]) -> None:
        self._others.tell("keep")
        super().compile(epoch)
        self._others.tell("restore")

    def _fit(self, epoch: Sequence[Batch], rates: np.ndarray | None = None) -> EpochResult:
        self._others.tell("fit", rates)
        with self._others.blamed():
            return self.fit_shards(self._dealt(epoch), rates)

    def _dealt(self, epoch: Sequence[Batch]) -> Iterator[Shard]:
        """This replica's slices; the others are sent theirs."""
        for step in range(len(epoch)):
            mine, *theirs = shards(epoch[step], self.recipe, self.replicas.count)
            self._others.deal(theirs)
            yield mine
        self._others.deal([None] * (self.replicas.count - 1))

    def set_learning_rate(self, learning_rate: float) -> None:
        self._others.tell("set_learning_rate", learning_rate)
        super().set_learning_rate(learning_rate)

    def set_weights(self, weights: Weights) -> None:
        self._others.tell("set_weights", dict(weights))
        super().set_weights(weights)

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._others.tell("set_optimizer_state", dict(state))
        super().set_optimizer_state(state)

    def apply_gradients(self, gradients: Weights) -> None:
        self._others.tell("apply_gradients", dict(gradients))
        super().apply_gradients(gradients)

    def get_random_state(self) -> dict[str, np.ndarray]:
        found = super().get_random_state()
        for rank, state in enumerate(self._others.ask("get_random_state"), start=1):
            found |= {f"replica{rank}.{name}": array for name, array in state.items()}
        return found

    def set_random_state(self, state: Mapping[str, np.ndarray]) -> None:
        super().set_random_state(state)
        self._others.tell("set_random_state", dict(state))

    def peak_memory(self) -> tuple[int, str]:
        """Of all the replicas' processes together."""
        mine, kind = super().peak_memory()
        return mine + sum(bytes_ for bytes_, _ in self._others.ask("peak_memory")), kind

    def settings(self) -> dict[str, str]:
        count = self.replicas.count
        found = {"replicas": f"{count} processes, DistributedDataParallel (gloo)"}
        return super().settings() | found | {"batch_norm": "over the whole batch, own sums"}
