"""Probe of PyTorch's own defaults (siblings: `keras`, `flax`; asked by `questions`).

Runs in a process of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

VERSIONS = {"torch": torch.__version__.partition("+")[0]}
OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "adadelta": torch.optim.Adadelta,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}
NAMES = {
    "learning_rate": "lr",
    "epsilon": "eps",
    "rho": "rho",
    "initial_accumulator": "initial_accumulator_value",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "weight_decay": "weight_decay",
    "amsgrad": "amsgrad",
    "centered": "centered",
}


def hyper_parameter(optimizer: str, name: str) -> Any:
    """The default of an optimizer's argument."""
    arguments = inspect.signature(OPTIMIZERS[optimizer]).parameters
    if name in ("beta_1", "beta_2"):
        return arguments["betas"].default[name == "beta_2"]
    if (optimizer, name) == ("rmsprop", "rho"):
        return arguments["alpha"].default
    return arguments[NAMES[name]].default


def stated() -> dict[str, Any]:
    """Settings that are stated and need no measuring."""
    rows = TensorDataset(torch.arange(64))
    ((first,),) = DataLoader(rows, batch_size=64)
    schedules = torch.optim.lr_scheduler
    restarts = inspect.signature(schedules.CosineAnnealingWarmRestarts).parameters
    last = schedules.PolynomialLR(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0), 1)
    last.optimizer.step()
    scaler = torch.amp.GradScaler("cpu")
    last.step()
    return {
        "cosine_restarts.length_factor": float(restarts["T_mult"].default),
        "polynomial.end_rate": float(last.get_last_lr()[0]),
        "loss_scale.initial": scaler.get_scale(),
        "loss_scale.interval": scaler.get_growth_interval(),
        "batch_norm.epsilon": nn.BatchNorm1d(1).eps,
        "batches.shuffled": first.tolist() != list(range(64)),
        "batches.partial": "keep" if len(DataLoader(rows, batch_size=60)) == 2 else "drop",
        "precision.default": str(torch.get_default_dtype()).removeprefix("torch."),
        "precision.tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
        "precision.tf32_conv": torch.backends.cudnn.allow_tf32,
        "compiled": "no" if nn.Linear(1, 1)._compiled_call_impl is None else "yes",
    }


def weights(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Fresh kernel and bias in the framework's layout: conv 3x3, 8 to 512; dense 512 to 256."""
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 512, 3) if kind == "conv" else nn.Linear(512, 256)
    assert layer.bias is not None
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def batch_norm(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One training step of a fresh batch norm on float32 (n, channels): output, running mean and
    running variance."""
    layer = nn.BatchNorm1d(x.shape[1])
    output = layer(torch.from_numpy(x)).detach().numpy()
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return output, layer.running_mean.numpy(), layer.running_var.numpy()


def functions(x: np.ndarray) -> dict[str, np.ndarray]:
    """Activation functions, float32: as the word of a layer's activation, and as a layer."""
    value = torch.from_numpy(x)
    layers = {"leaky_relu": nn.LeakyReLU(), "elu": nn.ELU(), "gelu": nn.GELU()}
    functions = nn.functional
    words: dict[str, Any] = {
        "leaky_relu": functions.leaky_relu,
        "elu": functions.elu,
        "gelu": functions.gelu,
    }
    found = {f"layer {name}": made(value).numpy() for name, made in layers.items()}
    return found | {f"word {name}": made(value).numpy() for name, made in words.items()}


def picture_norm(kind: str, x: np.ndarray) -> tuple[np.ndarray, float]:
    """A fresh layer or group norm (of one group) on float32 (n, channels): output, epsilon."""
    made = nn.LayerNorm(x.shape[1]) if kind == "layer_norm" else nn.GroupNorm(1, x.shape[1])
    return made(torch.from_numpy(x)).detach().numpy(), made.eps


def convolve(x: np.ndarray, **options: Any) -> np.ndarray:
    """A 3x3 kernel of ones over pictures (n, height, width, 1)."""
    layer = nn.Conv2d(1, 1, 3, bias=False, **options)
    nn.init.ones_(layer.weight)
    return _last(layer(_first(x)))


def pool(kind: str, x: np.ndarray, **options: Any) -> np.ndarray:
    """2x2 windows over pictures (n, height, width, 1)."""
    layers = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}
    if options.get("padding") == "same":
        options["padding"] = 1  # what there is: as many on every side
    return _last(layers[kind](2, **options)(_first(x)))


def gradient(function: str, x: np.ndarray) -> np.ndarray:
    """Gradient of the sum of relu, relu6, maximum(x, 0) or a 2x2 max-pool of (n, height, width, 1)
    pictures."""
    functions: dict[str, Any] = {
        "relu": nn.functional.relu,
        "relu6": nn.functional.relu6,
        "maximum": lambda value: torch.clamp(value, min=0.0),
        "max_pool": nn.MaxPool2d(2),
    }
    value = _first(x).requires_grad_()
    functions[function](value).sum().backward()
    assert value.grad is not None
    return _last(value.grad)


def dropout(x: np.ndarray, rate: float) -> np.ndarray:
    """Dropout in training."""
    return nn.Dropout(rate)(torch.from_numpy(x)).numpy()


def flatten(x: np.ndarray) -> np.ndarray:
    """Pictures (n, height, width, channels), given to the framework in its layout, made flat."""
    return nn.Flatten()(_first(x)).numpy()


def cross_entropy(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The cross-entropy of integer labels, with its default arguments."""
    return nn.CrossEntropyLoss()(torch.from_numpy(values), torch.from_numpy(labels)).numpy()


def weighted_mean(values: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The cross-entropy of integer labels whose images are weighted by class."""
    loss = nn.CrossEntropyLoss(weight=torch.from_numpy(weights))
    return float(loss(torch.from_numpy(values), torch.from_numpy(labels)))


def descend(
    optimizer: str,
    options: Mapping[str, Any],
    gradients: Sequence[float],
    rates: Sequence[float | None],
) -> list[float]:
    """One weight, 1 at first, after each step; a rate of None leaves the default."""
    arguments = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    if "beta_2" in options:
        arguments["betas"] = (0.9, options["beta_2"])
    if rates[0] is not None:
        arguments["lr"] = rates[0]
    weight = nn.Parameter(torch.tensor([1.0]))
    made = OPTIMIZERS[optimizer]([weight], **arguments)
    trace = []
    for value, rate in zip(gradients, rates, strict=True):
        if rate is not None:
            made.param_groups[0]["lr"] = rate
        weight.grad = torch.tensor([value], dtype=torch.float32)
        made.step()
        trace.append(weight.item())
    return trace


def clipped(gradients: Sequence[np.ndarray], limit: float) -> list[np.ndarray]:
    """Gradients clipped by norm the way that the framework's users do."""
    parameters = [nn.Parameter(torch.zeros(value.shape)) for value in gradients]
    for parameter, value in zip(parameters, gradients, strict=True):
        parameter.grad = torch.from_numpy(value.copy())
    nn.utils.clip_grad_norm_(parameters, limit)
    return [parameter.grad.numpy() for parameter in parameters]  # type: ignore[union-attr]


def average(weights: Sequence[float], decay: float) -> tuple[float, list[float]]:
    """The framework's own decay, and the average of a weight after each step with this one."""
    function = torch.optim.swa_utils.get_ema_multi_avg_fn
    model, found = nn.Linear(1, 1, bias=False), []
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=function(decay))
    for value in weights:
        nn.init.constant_(model.weight, value)
        averaged.update_parameters(model)
        found.append(averaged.module.weight.item())  # type: ignore[operator]
    return inspect.signature(function).parameters["decay"].default, found


def cosine(steps: int, at: int) -> float:
    """Cosine decay from 1 over `steps`, at step `at`."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(at):
        optimizer.step()
        schedule.step()
    return float(schedule.get_last_lr()[0])


def _first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def _last(x: torch.Tensor) -> np.ndarray:
    return x.detach().numpy().transpose(0, 2, 3, 1)
