"""Faults of a training on several replicas: what a user leaves out who only wraps the model.

Each is the methods that a faulty backend has instead. PyTorch's other replicas are processes of
their own, which get the fault from `follower`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.fidelity.faults.lifecycle import Fault, Methods
from datasets.batches import Batch
from frameworks.spec.layers import Conv, Dense


def _norms_stay(self: Any) -> None:
    """Batch norm over a replica's own images."""


def _own_mean(self: Any, logits: Any, labels: Any) -> Any:
    """The mean over a replica's own images, which are then averaged."""
    return self.batch_loss(logits, labels) if len(labels) else logits.sum() * 0.0


def _l2_of_each(self: Any, logits: Any, labels: Any) -> Any:
    """The L2 terms of every replica, summed where they should be averaged."""
    loss, count = self._mean_loss(logits, labels), self.replicas.count
    for layer in self.network.layers:
        if isinstance(layer, Conv | Dense) and layer.l2:
            kernel = self.model.of(layer.name).weight
            loss = loss + count * layer.l2 * kernel.square().sum()
    return loss


def _at_first_rate(self: Any, mine: Any, rates: Any) -> Any:
    """Every step of an epoch at the rate of its first."""
    from frameworks.torch.replicas import _Replica

    given = None if rates is None else np.full_like(rates, rates[0])
    return _Replica.fit_shards(self, mine, given)


def _norms_biased(self: Any) -> None:
    """Batch norm over all images that keeps the biased variance, whatever is asked for."""
    from frameworks.torch.global_batch_norm import GlobalBatchNorm, use_global_batch_norm

    use_global_batch_norm(self.model, self.replicas)
    for module in self.model.modules():
        if isinstance(module, GlobalBatchNorm):
            module.biased = True


def _remainder_dropped(kind: Any) -> Any:
    """Drop the images left over from a batch that cannot be dealt evenly."""
    deal = kind._sharded

    def dealt(self: Any, epoch: Sequence[Batch]) -> Iterator[Batch]:
        count = self.sharding.count
        return deal(self, [_cut(epoch[step], count) for step in range(len(epoch))])

    return dealt


def _cut(batch: Batch, count: int) -> Batch:
    kept = max(len(batch) // count * count, 1)
    masks = {name: mask[:kept] for name, mask in batch.masks.items()}
    return Batch(batch.images[:kept], batch.labels[:kept], masks)


_PROCESSES: dict[str, Methods] = {
    "wrapped_alone": {"use_global_norms": _norms_stay, "_mean_loss": _own_mean},
    "norm_of_each_replica": {"use_global_norms": _norms_stay},
    "l2_of_each_replica": {"_loss": _l2_of_each},
    "mean_of_replica_means": {"_mean_loss": _own_mean},
    "rate_of_first_step": {"fit_shards": _at_first_rate},
    "biased_over_replicas": {"use_global_norms": _norms_biased},
}


def follower(fault: str, *arguments: Any) -> Any:
    """Another replica's backend of PyTorch, with the fault."""
    from frameworks.torch.replicas import Follower

    for name, method in _PROCESSES[fault].items():
        setattr(Follower, name, method)
    return Follower(*arguments)


def _on_processes(fault: str) -> Fault:
    others = staticmethod(partial(follower, fault))
    return lambda kind: _PROCESSES[fault] | {"follower": others}


FAULTS: dict[str, Fault] = {fault: _on_processes(fault) for fault in _PROCESSES}
FAULTS["norm_of_each_device"] = lambda kind: {"use_global_norms": _norms_stay}
FAULTS["remainder_dropped"] = lambda kind: {"_sharded": _remainder_dropped(kind)}
