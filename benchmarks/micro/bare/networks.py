"""Networks as plain constants, for the bare loops: nothing of the harness is imported here.

A layer is ("conv", filters, kernel), which has a ReLU and no padding; ("plain", filters, kernel,
stride, groups) of half a kernel's padding, without bias or function; ("norm", epsilon, weight on
the old running value); ("act", name); ("pool", size, stride, padding); ("drop", rate);
("flatten",); ("mean",) of all pixels; ("dense", units, activation); or ("block", layers, shortcut,
activation): activation(layers(x) + shortcut(x)).
`l2` is that of every kernel but the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Weights = Mapping[str, "np.ndarray"]  # by layer and part, as in "conv1/kernel"
Epoch = Callable[["np.ndarray"], float]  # trains on the images of an order; returns the mean loss


@dataclass(frozen=True)
class Task:
    """The training of a bare loop: a network of `NETWORKS` from given weights, on these pictures.

    images: uint8 (n, height, width, 3); labels: (n,); batch: images of a step.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    batch: int
    weights: Weights
    dropout: bool = True
    device: str = "cpu"
    precision: str = "float32"


POOL = ("pool", 2, 2, 0)
NORM = ("norm", 1e-3, 0.99)
TORCHVISION_NORM = ("norm", 1e-5, 0.9)


def _plain(filters: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> tuple:
    return ("plain", filters, kernel, stride, groups)


def _basic(filters: int, stride: int = 1) -> tuple:
    """A block of ResNet-18."""
    first = [_plain(filters, 3, stride), TORCHVISION_NORM, ("act", "relu")]
    shortcut = [_plain(filters, 1, stride), TORCHVISION_NORM] if stride > 1 else []
    return ("block", [*first, _plain(filters, 3), TORCHVISION_NORM], shortcut, "relu")


def _separable(wide: int, kernel: int, filters: int, stride: int = 1) -> list[tuple]:
    """The layers of an EfficientNet block: to `wide` channels, each by itself, to `filters`."""
    depthwise = [_plain(wide, kernel, stride, wide), NORM, ("act", "silu")]
    return [_plain(wide), NORM, ("act", "silu"), *depthwise, _plain(filters), NORM]


def _repeated(wide: int, kernel: int, filters: int) -> tuple:
    return ("block", _separable(wide, kernel, filters), [], None)


NETWORKS: dict[str, dict[str, Any]] = {
    "unam": {
        "l2": 0.001,
        "layers": [
            ("conv", 64, 3),
            ("conv", 64, 3),
            POOL,
            ("conv", 128, 3),
            POOL,
            ("conv", 256, 3),
            POOL,
            ("drop", 0.5),
            ("flatten",),
            ("dense", 150, "tanh"),
            ("drop", 0.3),
            ("dense", 60, "tanh"),
            ("drop", 0.3),
            ("dense", 10, None),
        ],
    },
    "c2": {
        "l2": 0.0,
        "layers": [
            ("conv", 32, 7),
            NORM,
            POOL,
            ("conv", 64, 5),
            ("conv", 64, 5),
            NORM,
            POOL,
            ("conv", 128, 3),
            NORM,
            POOL,
            ("flatten",),
            ("drop", 0.5),
            ("dense", 256, "relu"),
            ("dense", 256, "relu"),
            ("dense", 10, None),
        ],
    },
    "resnet18": {
        "l2": 0.0,
        "layers": [
            *(_plain(64, 7, 2), TORCHVISION_NORM, ("act", "relu"), ("pool", 3, 2, 1)),
            *(_basic(64), _basic(64), _basic(128, 2), _basic(128)),
            *(_basic(256, 2), _basic(256), _basic(512, 2), _basic(512)),
            *(("mean",), ("dense", 10, None)),
        ],
    },
    "efficientnet_like": {
        "l2": 0.0,
        "layers": [
            *(_plain(32, 3, 2), NORM, ("act", "silu")),
            *(_plain(32, 3, 1, 32), NORM, ("act", "silu"), _plain(16), NORM),
            *(*_separable(96, 3, 24, 2), _repeated(144, 3, 24)),
            *(*_separable(144, 5, 40, 2), _repeated(240, 5, 40)),
            *(*_separable(240, 3, 80), _repeated(480, 3, 80), _repeated(480, 3, 80)),
            *(*_separable(480, 5, 112), _repeated(672, 5, 112), _repeated(672, 5, 112)),
            *(_plain(480), NORM, ("act", "silu")),
            *(("mean",), ("drop", 0.2), ("dense", 10, None)),
        ],
    },
}
RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-7  # Adam

Named = list[tuple[str, tuple]]
_WORDS = {"plain": "conv", "norm": "batch_norm", "block": "residual"}


def named(name: str) -> Named:
    """The layers with the names of their weights: conv1, residual1_conv1, batch_norm1, dense1, ...

    Those of blocks are named, too.
    """
    return _named(NETWORKS[name]["layers"], "")


def _named(layers: list[tuple], prefix: str) -> Named:
    counts: dict[str, int] = {}
    found = []
    for layer in layers:
        kind = _WORDS.get(layer[0], layer[0])
        counts[kind] = counts.get(kind, 0) + 1
        key = f"{prefix}{kind}{counts[kind]}"
        if kind == "residual":
            body, side = _named(layer[1], f"{key}_"), _named(layer[2], f"{key}_shortcut_")
            layer = (layer[0], body, side, layer[3])
        found.append((key, layer))
    return found


def weighted(layers: Named) -> list[str]:
    """The names of the layers that have a kernel."""
    found: list[str] = []
    for key, layer in layers:
        if layer[0] == "block":
            found += weighted(layer[1]) + weighted(layer[2])
        elif layer[0] in ("conv", "plain", "dense"):
            found.append(key)
    return found
