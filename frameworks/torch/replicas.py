"""PyTorch on several replicas: DistributedDataParallel over Gloo, a process for each.

The process that builds the backend is the first replica; it starts the others and leads them
(`leader`, `ranks`). Each computes its slice of every batch. What makes several train as one does:

- batch norm takes its moments over the whole batch (`GlobalBatchNorm`);
- DistributedDataParallel averages over the replicas, so each one's loss is N times the sum over
  its images, divided by what the whole batch's mean is divided by;
- every replica adds the L2 terms whole, and their average counts them once;
- gradients are clipped once they are averaged; those of a group are averaged with each batch.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from frameworks.backend import EpochResult
from frameworks.replicas import Shard
from frameworks.spec.losses import takes_root
from frameworks.torch import leader
from frameworks.torch.backend import TorchBackend
from frameworks.torch.batches import tensors
from frameworks.torch.global_batch_norm import use_global_batch_norm
from frameworks.torch.losses import root_of_whole
from frameworks.torch.tuned import TunedTorchBackend

_APART = 2**32  # between the seeds of two replicas' own dropout


class _Replica(leader.Replica, TorchBackend):
    """One replica: it computes its slice of every batch."""

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
                    self.set_learning_rate(float(rates[step]))
                totals += self._step_of(shard)
            (loss, correct, count) = self.replicas.summed(totals).tolist()
        return EpochResult(loss / count, correct / (count * self.answers))

    def _step_of(self, shard: Shard) -> Tensor:
        """One step; this replica's part of (loss times images, right answers, images)."""
        images, labels, masks = self._to_device(*tensors(shard.batch))
        images = self._pictures(images)
        self._begin_batch()
        with self._autocast():
            logits = self.parallel(images, masks)
            self._share = shard.share
            loss = self._loss(logits, labels)
        self._backward(loss)
        self._step()
        right = self.batch_loss.right(logits, labels)
        total = loss.detach().double() * (shard.images / self.replicas.count)
        return torch.stack([total, right.double(), total.new_tensor(len(labels))])

    def _pictures(self, images: Tensor) -> Tensor:
        """The pictures of a slice, as it was sent."""
        return images

    def _mean_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The recipe's loss of the whole batch, as far as it is of these images, for an average
        over the replicas."""
        if not self.replicas.active:
            return super()._mean_loss(logits, labels)
        if self._share:
            mean = self.batch_loss.before_root(logits, labels)
            part = mean * (self._share * self.replicas.count)
        else:  # no image, or none that has a weight: its mean would be 0 / 0
            part = logits.to(self.dtype).sum() * 0.0
        if not takes_root(self.recipe.trained_loss):
            return part
        return root_of_whole(part, self.replicas.summed(part) / self.replicas.count)

    def settings(self) -> dict[str, str]:
        found = {"replicas": f"{self.processes()}, DistributedDataParallel (gloo)"}
        return super().settings() | found | {"batch_norm": "over the whole batch, own sums"}


class Follower(leader.Follower, _Replica):
    """Another replica, in a process that the first one started."""


class ReplicatedTorchBackend(leader.Leader, _Replica):
    """PyTorch, eager, the first of several replicas, which leads the others."""

    follower = Follower


class _TunedReplica(_Replica, TunedTorchBackend):
    """One replica of the tuned network, over its own copy of the data set."""

    compile = TorchBackend.compile

    def _pictures(self, images: Tensor) -> Tensor:
        if images.dim() > 1 or self._data is None:
            return images
        return self._data[0].index_select(0, images)


class TunedFollower(leader.Follower, _TunedReplica):
    """Another tuned replica, in a process that the first one started."""


class ReplicatedTunedTorchBackend(leader.StagedLeader, _TunedReplica):
    """PyTorch as it is tuned, the first of several replicas."""

    follower = TunedFollower
