"""UNAM and C2 as plain constants, for the bare loops: nothing of the harness is imported here.

A layer is ("conv", filters, kernel), ("norm",), ("pool",), ("drop", rate), ("flatten",) or
("dense", units, activation); a convolution has a ReLU. `l2` is that of every kernel but the last.
"""

from __future__ import annotations

from typing import Any

NETWORKS: dict[str, dict[str, Any]] = {
    "unam": {
        "l2": 0.001,
        "layers": [
            ("conv", 64, 3),
            ("conv", 64, 3),
            ("pool",),
            ("conv", 128, 3),
            ("pool",),
            ("conv", 256, 3),
            ("pool",),
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
            ("norm",),
            ("pool",),
            ("conv", 64, 5),
            ("conv", 64, 5),
            ("norm",),
            ("pool",),
            ("conv", 128, 3),
            ("norm",),
            ("pool",),
            ("flatten",),
            ("drop", 0.5),
            ("dense", 256, "relu"),
            ("dense", 256, "relu"),
            ("dense", 10, None),
        ],
    },
}
RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-7  # Adam
NORM_EPSILON, NORM_MOMENTUM = 1e-3, 0.99  # of a batch norm; the weight on the old running value


def named(name: str) -> list[tuple[str, tuple]]:
    """The layers with the names of their weights: conv1, conv2, batch_norm1, dense1, ..."""
    words = {"norm": "batch_norm"}
    counts: dict[str, int] = {}
    found = []
    for layer in NETWORKS[name]["layers"]:
        kind = words.get(layer[0], layer[0])
        counts[kind] = counts.get(kind, 0) + 1
        found.append((f"{kind}{counts[kind]}", layer))
    return found
