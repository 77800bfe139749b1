"""Batch norm over the whole batch, of which each replica has a slice.

PyTorch's SyncBatchNorm refuses the CPU and keeps the unbiased variance whatever is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from frameworks.torch.model import GalaxyNet
from frameworks.torch.modules import BiasedRunningVariance


class Replicas:
    """The group of the replicas, and this one's place in it.

    active: whether all of them compute a step now; else this one computes by itself.
    """

    def __init__(self, group: Any, rank: int, count: int) -> None:
        self.group, self.rank, self.count = group, rank, count
        self.active = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """All replicas train inside."""
        self.active = True
        try:
            yield
        finally:
            self.active = False

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over the replicas, a new tensor; no gradient goes through it."""
        total = tensor.detach().clone()
        self.group.allreduce([total]).wait()
        return total


class SumOverReplicas(torch.autograd.Function):
    """The sum over the replicas. Each one's input is in all their outputs, so its gradient is the
    sum of all their gradients."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, replicas: Replicas) -> Tensor:
        context.replicas = replicas
        return replicas.summed(tensor)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return context.replicas.summed(gradient), None


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """A batch norm whose moments in training are those of all the replicas' images together.

    It has the parameters and running statistics of the one it stands for, which computes wherever
    the replicas do not train together.
    """

    def __init__(self, alone: nn.modules.batchnorm._BatchNorm, replicas: Replicas) -> None:
        super().__init__(alone.num_features, alone.eps, alone.momentum)
        self.weight, self.bias = alone.weight, alone.bias
        for name, buffer in alone.named_buffers():
            self.register_buffer(name, buffer)
        self.biased = isinstance(alone, BiasedRunningVariance)
        self._alone, self._replicas = (alone,), replicas  # in a tuple it is no submodule

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self._replicas.active):
            return self._alone[0].train(self.training)(x)
        values = x.to(self.weight.dtype)
        over = [axis for axis in range(x.dim()) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(x.dim())]
        mine = torch.tensor([float(x.numel() // x.shape[1])], dtype=values.dtype)
        sums = SumOverReplicas.apply(torch.cat([values.sum(over), mine]), self._replicas)
        count = sums[-1].detach()
        if count < 2:
            raise ValueError("batch norm: more than one value per channel is needed in training")
        mean = sums[:-1] / count
        centred = values - mean.view(shape)
        variance = SumOverReplicas.apply(centred.square().sum(over), self._replicas) / count
        self._keep(mean.detach(), variance.detach(), count)
        scaled = centred * (variance + self.eps).rsqrt().view(shape)
        return (scaled * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """The running statistics take this batch's."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        unbiased = variance if self.biased else variance * (count / (count - 1))
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of axes will do."""


def use_global_batch_norm(model: GalaxyNet, replicas: Replicas) -> None:
    """Put a `GlobalBatchNorm` in the place of every batch norm."""
    for parent in list(model.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                setattr(parent, name, GlobalBatchNorm(module, replicas))


def joined(store: dist.Store, rank: int, count: int) -> Replicas:
    """The group of the processes that meet at a store.

    A group of its own, apart from PyTorch's default one, of which a process has one at most.
    """
    from datetime import timedelta

    gloo = dist.ProcessGroup.BackendType.GLOO
    backend = dist.ProcessGroupGloo(store, rank, count, timedelta(minutes=30))
    group = dist.ProcessGroup(store, rank, count)
    group._set_default_backend(gloo)
    group._register_backend(torch.device("cpu"), gloo, backend)
    return Replicas(group, rank, count)
