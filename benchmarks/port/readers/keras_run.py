"""One batch of a Keras program on its way, and tensors in and out of any engine."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.port.operation import Operation
from benchmarks.port.readers.program import Arrays, Pass


class Run:
    """One batch on its way."""

    def __init__(self, how: Pass) -> None:
        self.how = how
        self.known: dict[int, str] = {}
        self.alive: list[Any] = []
        self.operations: list[Operation] = []
        self.values: Arrays = {}
        self.alone: Arrays = {}
        self.penalties: list[Any] = []  # of activity regularizers

    def keep(self, tensor: Any, number: str) -> None:
        self.known[id(tensor)] = number
        self.alive.append(tensor)


def array(tensor: Any) -> np.ndarray:
    """A tensor of any engine in NumPy."""
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def tensor(value: Any) -> Any:
    return ops.convert_to_tensor(value, keras.config.floatx())


def canonical(value: np.ndarray, own: str) -> np.ndarray:
    if own == "alpha":
        return value.reshape(-1)
    return value.reshape(*value.shape[:2], 1, -1) if own else value
