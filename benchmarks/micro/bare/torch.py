"""PyTorch by hand: the tutorial's loop, and the best one. Both give `epoch(order) -> mean loss`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from benchmarks.micro.bare.networks import (
    BETAS,
    EPSILON,
    NETWORKS,
    NORM_EPSILON,
    NORM_MOMENTUM,
    RATE,
    named,
)

Weights = Mapping[str, np.ndarray]
Epoch = Callable[[np.ndarray], float]
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def configure(precision: str, *, search: bool) -> None:
    """Precision of float32 products, and whether cuDNN tries its kernels out; process-wide."""
    allowed = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = allowed
    torch.backends.cudnn.conv.fp32_precision = allowed  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = search


def mixed(precision: str, device: str) -> AbstractContextManager:
    """bfloat16 where PyTorch holds it to be safe."""
    return torch.autocast(device, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def build(name: str, images: np.ndarray, *, fast: bool, dropout: bool) -> nn.Sequential:
    """The network; `fast` puts a ReLU after the pool that it precedes, and works in place."""
    layers: list[nn.Module] = []
    channels, size, spec = images.shape[3], images.shape[1], named(name)
    width = 0
    for position, (_, layer) in enumerate(spec):
        following = spec[position + 1][1][0] if position + 1 < len(spec) else ""
        if layer[0] == "conv":
            layers.append(nn.Conv2d(channels, layer[1], layer[2]))
            channels, size = layer[1], size - layer[2] + 1
            if not (fast and following == "pool"):
                layers.append(nn.ReLU(inplace=fast))
        elif layer[0] == "norm":
            layers.append(nn.BatchNorm2d(channels, NORM_EPSILON, 1 - NORM_MOMENTUM))
        elif layer[0] == "pool":
            layers.append(nn.MaxPool2d(2))
            size //= 2
            if fast and isinstance(layers[-2], nn.Conv2d):
                layers.append(nn.ReLU(inplace=True))
        elif layer[0] == "drop":
            layers.append(nn.Dropout(layer[1] if dropout else 0.0))
        elif layer[0] == "flatten":
            layers.append(nn.Flatten())
            width = channels * size * size
        else:
            layers.append(nn.Linear(width, layer[1]))
            width = layer[1]
            if layer[2]:
                layers.append(ACTIVATIONS[layer[2]]())
    return nn.Sequential(*layers)


def load(name: str, model: nn.Sequential, weights: Weights) -> None:
    """Weights by name, convolutions (row, column, in, out), dense (in, out), into the model."""
    modules = [m for m in model if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
    names = [key for key, layer in named(name) if layer[0] in ("conv", "norm", "dense")]
    channels = 0
    for key, module in zip(names, modules, strict=True):
        if isinstance(module, nn.BatchNorm2d):
            continue  # ones and zeros, as they are
        kernel = weights[f"{key}/kernel"]
        if isinstance(module, nn.Conv2d):
            kernel, channels = kernel.transpose(3, 2, 0, 1), kernel.shape[3]
        else:
            if channels:  # flattened here by channel, row, column
                side = round((len(kernel) / channels) ** 0.5)
                kernel = kernel.reshape(side, side, channels, -1).transpose(2, 0, 1, 3)
                kernel, channels = kernel.reshape(side * side * len(kernel), -1), 0
            kernel = kernel.T
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            assert module.bias is not None
            module.bias.copy_(torch.from_numpy(weights[f"{key}/bias"]))


def penalty(name: str, model: nn.Sequential) -> Tensor | float:
    """The L2 terms."""
    l2 = NETWORKS[name]["l2"]
    kernels = [m.weight for m in model if isinstance(m, nn.Conv2d | nn.Linear)]
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


def tutorial(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    batch: int,
    weights: Weights,
    *,
    dropout: bool = True,
    device: str = "cpu",
    precision: str = "float32",
) -> Epoch:
    """A DataLoader, a model, an optimizer, and the loop of pytorch.org's quickstart."""
    configure(precision, search=False)
    model = build(name, images, fast=False, dropout=dropout).to(device)
    load(name, model, weights)
    optimizer = torch.optim.Adam(model.parameters(), RATE, BETAS, EPSILON)
    data = _Pictures(images, labels.astype(np.int64))

    def epoch(order: np.ndarray) -> float:
        model.train()
        total = torch.zeros((), device=device)
        for x, y in DataLoader(data, sampler=_InOrder(order, batch), batch_size=None):
            x, y = x.to(device), y.to(device)
            with mixed(precision, device):
                logits = model(x.permute(0, 3, 1, 2).contiguous().float() / 255)
                loss = functional.cross_entropy(logits, y) + penalty(name, model)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(y)
        return total.item() / len(order)

    return epoch


def best(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    batch: int,
    weights: Weights,
    *,
    dropout: bool = True,
    device: str = "cpu",
    precision: str = "float32",
) -> Epoch:
    """Data on the device, channels last, ReLU after the pool, fused Adam; on a GPU compiled, and a
    whole step in one CUDA graph."""
    on_gpu = device != "cpu"
    configure(precision, search=on_gpu)
    model = build(name, images, fast=True, dropout=dropout).to(device)
    load(name, model, weights)
    last = not on_gpu or precision != "float32"  # plain float32 on a GPU gains nothing by it
    if last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(
        model.parameters(), RATE, BETAS, EPSILON, fused=True, capturable=on_gpu
    )
    x_all = torch.from_numpy(images).to(device)
    y_all = torch.from_numpy(labels.astype(np.int64)).to(device)

    def forward(x: Tensor, y: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        with mixed(precision, device):
            logits = model((x if last else x.contiguous()).float() * (1 / 255))
            return functional.cross_entropy(logits, y) + penalty(name, model)

    run = torch.compile(forward, dynamic=False) if on_gpu else forward
    total = torch.zeros((), device=device)

    def step(part: Tensor) -> None:
        optimizer.zero_grad()
        loss = run(x_all[part], y_all[part])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach() * len(part))

    model.train()
    whole = _recorded(step, batch, model, optimizer) if on_gpu else step

    def epoch(order: np.ndarray) -> float:
        rows = torch.from_numpy(order).to(device)
        total.zero_()
        for part in rows.split(batch):
            (whole if len(part) == batch else step)(part)
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
