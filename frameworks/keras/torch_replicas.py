"""Keras on PyTorch on several replicas, a process each: a loop of our own over Gloo.

`fit` sums nothing over processes. The rest is as in `frameworks.torch.replicas`: moments of the
whole batch, the loss divided once, and what all replicas have in common counted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import torch

from datasets.batches import Batch
from frameworks.backend import EpochResult
from frameworks.keras import engines
from frameworks.keras.backend import KerasBackend, inputs_of
from frameworks.keras.model import IMAGES
from frameworks.keras.tuned import TunedKerasBackend
from frameworks.replicas import Shard
from frameworks.spec.losses import answers, takes_root
from frameworks.torch import leader
from frameworks.torch.global_batch_norm import Replicas, SumOverReplicas
from frameworks.torch.losses import root_of_whole

_APART = 2**16  # between the seeds of two replicas' own dropout


class _Moments:
    """The moments of a batch norm's inputs: in training those of all replicas' images together."""

    def __init__(self, layer: keras.layers.BatchNormalization, replicas: Replicas) -> None:
        self.axes = tuple(layer._reduction_axes)
        self.alone, self.replicas = layer._moments, replicas

    def __call__(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        if not self.replicas.active:
            return self.alone(inputs, mask)
        count = inputs.new_tensor([inputs.numel() // inputs.shape[-1]])
        sums = SumOverReplicas.apply(torch.cat([inputs.sum(self.axes), count]), self.replicas)
        total = sums[-1].detach()
        mean = sums[:-1] / total
        squares = (inputs - mean).square().sum(self.axes)
        return mean, SumOverReplicas.apply(squares, self.replicas) / total


class _Replica(leader.Replica, KerasBackend):
    """One replica: it computes its slice of every batch."""

    _joined = False  # built, and with the weights of the first

    def build(self, *, draw: bool) -> None:
        super().build(draw=draw)
        for layer in self.model.trainer.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer._moments = _Moments(layer, self.replicas)
        for variable in self.model.trainer.variables:  # the first one's
            first = variable.value.detach() * (not self.replicas.rank)
            variable.assign(self.replicas.summed(first))
        torch.manual_seed(self.runtime.seed + _APART * self.replicas.rank)
        for _, seed in self._seeds():
            seed.assign(engines.to_numpy(seed) + self.replicas.rank)
        self._joined = True

    def fit_shards(self, mine: Iterable[Shard], rates: np.ndarray | None) -> EpochResult:
        self.model.trainer.train()
        totals = torch.zeros(3, dtype=torch.float64)  # loss, right answers, images
        with self.replicas.together():
            for step, shard in enumerate(mine):
                if rates is not None:
                    self.set_learning_rate(float(rates[step]))
                totals += self._step_of(shard)
            loss, correct, count = self.replicas.summed(totals).tolist()
        self.model.trainer.eval()
        each = answers(self.recipe.trained_loss, self.network.classes)
        return EpochResult(loss / count, correct / (count * each))

    def _step_of(self, shard: Shard) -> torch.Tensor:
        """One step; this replica's part of (loss times images, right answers, images)."""
        model, count = self.model.trainer, self.replicas.count
        labels = keras.ops.convert_to_tensor(shard.batch.labels)
        inputs = inputs_of(shard.batch)
        inputs[IMAGES] = self._pictures(inputs[IMAGES])
        logits = model(inputs, training=True)
        if shard.share:
            loss = self.loss.before_root(labels, logits) * shard.share
        else:  # no image, or none that has a weight: its mean would be 0 / 0
            loss = logits.sum() * 0.0
        if takes_root(self.recipe.trained_loss):
            loss = root_of_whole(loss * count, self.replicas.summed(loss)) / count
        # each adds a part of the L2 terms: the gradients are summed
        loss = loss + sum(model.losses) / count
        variables = model.trainable_variables
        gradients = torch.autograd.grad(loss, [variable.value for variable in variables])
        with torch.no_grad():
            self.optimizer.apply([self.replicas.summed(one) for one in gradients], variables)
            right = self.loss.right(labels, logits) if len(labels) else torch.zeros(())
        total = loss.detach().double() * shard.images
        return torch.stack([total, right.double(), total.new_tensor(len(labels))])

    def _pictures(self, images: torch.Tensor) -> torch.Tensor:
        """The pictures of a slice, as it was sent."""
        return images

    def settings(self) -> dict[str, str]:
        found = {"replicas": f"{self.processes()}, own loop (gloo)"}
        return super().settings() | found | {"batch_norm": "over the whole batch, own sums"}


class Follower(leader.Follower, _Replica):
    """Another replica, in a process that the first one started."""


class _Leader(leader.Leader):
    _joined: bool

    def _fit(self, epoch: Sequence[Batch], rates: Any = None) -> EpochResult:
        if not self._joined:  # a first `fit` of each by itself, which builds Keras' metrics
            return KerasBackend._fit(self, epoch)  # type: ignore[arg-type]
        return super()._fit(epoch, rates)


class ReplicatedKerasBackend(_Leader, _Replica):
    """Keras on PyTorch, the first of several replicas, which leads the others."""

    follower = Follower


class _TunedReplica(_Replica, TunedKerasBackend):
    """One replica over its own copy of the data set."""

    compile = KerasBackend.compile

    def _pictures(self, images: torch.Tensor) -> torch.Tensor:
        if images.dim() > 1 or self.loop.data is None:
            return images
        return self.loop.data[0].index_select(0, images)


class TunedFollower(leader.Follower, _TunedReplica):
    """Another tuned replica, in a process that the first one started."""


class ReplicatedTunedKerasBackend(_Leader, leader.StagedLeader, _TunedReplica):
    """Keras on PyTorch as it is tuned, the first of several replicas."""

    follower = TunedFollower
