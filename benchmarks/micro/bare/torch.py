"""PyTorch by hand: the tutorial's loop, and the best one. Both give `epoch(order) -> mean loss`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from benchmarks.micro.bare.networks import (
    BETAS,
    EPSILON,
    NETWORKS,
    RATE,
    Epoch,
    Named,
    Task,
    Weights,
    named,
)

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU}


def configure(precision: str, *, search: bool) -> None:
    """Precision of float32 products, and whether cuDNN tries its kernels out; process-wide."""
    allowed = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = allowed
    torch.backends.cudnn.conv.fp32_precision = allowed  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = search


def mixed(precision: str, device: str) -> AbstractContextManager:
    """bfloat16 where PyTorch holds it to be safe."""
    return torch.autocast(device, torch.bfloat16) if precision == "bfloat16" else nullcontext()


class Residual(nn.Module):
    """activation(body(x) + shortcut(x)); `fast` adds and applies the function in place."""

    def __init__(
        self, body: nn.Module, shortcut: nn.Module, activation: nn.Module, *, fast: bool
    ) -> None:
        super().__init__()
        self.body, self.shortcut, self.activation, self.fast = body, shortcut, activation, fast

    def forward(self, x: Tensor) -> Tensor:
        y, x = self.body(x), self.shortcut(x)
        return self.activation(y.add_(x) if self.fast else y + x)


def build(layers: Named, weights: Weights, *, fast: bool, dropout: bool) -> nn.Sequential:
    """The network, with the weights given by name, convolutions (row, column, in, out), dense (in,
    out); `fast` puts a ReLU after the pool that it precedes, and works in place."""
    made: list[nn.Module] = []
    channels = 0  # behind a flatten layer
    delayed: list[nn.Module] = []
    for position, (key, layer) in enumerate(layers):
        following = layers[position + 1][1][0] if position + 1 < len(layers) else ""
        kind, function = layer[0], None
        kernel = weights.get(f"{key}/kernel", np.empty(0))
        if kind in ("conv", "plain"):
            channels = kernel.shape[3]
            _, _, _, stride, groups = (*layer, 1, 1)[:5]
            made.append(
                nn.Conv2d(
                    *(kernel.shape[2] * groups, channels, layer[2], stride),
                    padding=layer[2] // 2 if kind == "plain" else 0,
                    groups=groups,
                    bias=kind == "conv",
                )
            )
            _fill(made[-1], kernel.transpose(3, 2, 0, 1), weights.get(f"{key}/bias"))
            function = nn.ReLU(inplace=fast) if kind == "conv" else None
        elif kind == "norm":
            made.append(nn.BatchNorm2d(len(weights[f"{key}/gamma"]), layer[1], 1 - layer[2]))
        elif kind == "act":
            function = nn.ReLU(inplace=fast) if layer[1] == "relu" else ACTIVATIONS[layer[1]]()
        elif kind == "pool":
            made += [nn.MaxPool2d(*layer[1:]), *delayed]
            delayed = []
        elif kind == "drop":
            made.append(nn.Dropout(layer[1] if dropout else 0.0))
        elif kind == "flatten":
            made.append(nn.Flatten())
        elif kind == "mean":
            made += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
            channels = 0
        elif kind == "block":
            body, shortcut = (
                build(one, weights, fast=fast, dropout=dropout) if one else nn.Identity()
                for one in layer[1:3]
            )
            last = nn.ReLU(inplace=fast) if layer[3] else nn.Identity()
            made.append(Residual(body, shortcut, last, fast=fast))
        else:
            made.append(nn.Linear(*kernel.shape))
            if channels:  # flattened here by channel, row, column
                side = round((len(kernel) / channels) ** 0.5)
                kernel = kernel.reshape(side, side, channels, -1).transpose(2, 0, 1, 3)
                kernel, channels = kernel.reshape(side * side * channels, -1), 0
            _fill(made[-1], kernel.T, weights[f"{key}/bias"])
            function = ACTIVATIONS[layer[2]]() if layer[2] else None
        if function is not None:
            (delayed if fast and following == "pool" else made).append(function)
    return nn.Sequential(*made)


@torch.no_grad()
def _fill(module: Any, kernel: np.ndarray, bias: np.ndarray | None) -> None:
    module.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
    if bias is not None:
        module.bias.copy_(torch.from_numpy(bias))


def penalty(name: str, model: nn.Sequential) -> Tensor | float:
    """The L2 terms."""
    l2 = NETWORKS[name]["l2"]
    kernels = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return l2 * sum(kernel.square().sum() for kernel in kernels[:-1]) if l2 else 0.0


class _Pictures(Dataset):
    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = torch.from_numpy(images), torch.from_numpy(labels)

    def __getitem__(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        return self.images[rows], self.labels[rows]


class _InOrder(Sampler):
    def __init__(self, order: np.ndarray, batch: int) -> None:
        self.batches = [order[start : start + batch] for start in range(0, len(order), batch)]

    def __iter__(self):
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def tutorial(task: Task) -> Epoch:
    """A DataLoader, a model, an optimizer, and the loop of pytorch.org's quickstart."""
    configure(task.precision, search=False)
    model = build(named(task.name), task.weights, fast=False, dropout=task.dropout).to(task.device)
    optimizer = torch.optim.Adam(model.parameters(), RATE, BETAS, EPSILON)
    data = _Pictures(task.images, task.labels.astype(np.int64))

    def epoch(order: np.ndarray) -> float:
        model.train()
        total = torch.zeros((), device=task.device)
        for x, y in DataLoader(data, sampler=_InOrder(order, task.batch), batch_size=None):
            x, y = x.to(task.device), y.to(task.device)
            with mixed(task.precision, task.device):
                logits = model(x.permute(0, 3, 1, 2).contiguous().float() / 255)
                loss = functional.cross_entropy(logits, y) + penalty(task.name, model)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(y)
        return total.item() / len(order)

    return epoch


def best(task: Task) -> Epoch:
    """Data on the device, channels last, ReLU after the pool, fused Adam; on a GPU compiled, and a
    whole step in one CUDA graph."""
    on_gpu = task.device != "cpu"
    configure(task.precision, search=on_gpu)
    model = build(named(task.name), task.weights, fast=True, dropout=task.dropout).to(task.device)
    last = not on_gpu or task.precision != "float32"  # plain float32 on a GPU gains nothing by it
    if last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(
        model.parameters(), RATE, BETAS, EPSILON, fused=True, capturable=on_gpu
    )
    x_all = torch.from_numpy(task.images).to(task.device)
    y_all = torch.from_numpy(task.labels.astype(np.int64)).to(task.device)

    def forward(x: Tensor, y: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        with mixed(task.precision, task.device):
            logits = model((x if last else x.contiguous()).float() * (1 / 255))
            return functional.cross_entropy(logits, y) + penalty(task.name, model)

    run = torch.compile(forward, dynamic=False) if on_gpu else forward
    total = torch.zeros((), device=task.device)

    def step(part: Tensor) -> None:
        optimizer.zero_grad()
        loss = run(x_all[part], y_all[part])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach() * len(part))

    model.train()
    whole = _recorded(step, task.batch, model, optimizer) if on_gpu else step

    def epoch(order: np.ndarray) -> float:
        rows = torch.from_numpy(order).to(task.device)
        total.zero_()
        for part in rows.split(task.batch):
            (whole if len(part) == task.batch else step)(part)
        return total.item() / len(order)

    return epoch


def _recorded(
    step: Callable[[Tensor], None], batch: int, model: nn.Module, optimizer: torch.optim.Optimizer
) -> Callable[[Tensor], None]:
    """The step on `batch` rows as one CUDA graph; the first steps, which warm up, are undone."""
    rows = torch.arange(batch, device="cuda")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(rows)
    torch.cuda.current_stream().wait_stream(stream)
    model.load_state_dict(before)
    for slots in optimizer.state.values():
        for value in slots.values():
            value.zero_()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(rows)

    def replay(part: Tensor) -> None:
        rows.copy_(part)
        graph.replay()

    return replay
