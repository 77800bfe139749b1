"""TensorFlow's matrix products and copies (siblings: torch_limits, jax_limits)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from benchmarks.limits.timing import Repeated
from frameworks.backend import Runtime
from frameworks.keras.engines import TensorFlowEngine
from results.vocabulary import Precision

_TYPES = {"float16": tf.float16, "bfloat16": tf.bfloat16, "float64": tf.float64}


def prepare(device: str, precision: Precision, threads: int) -> None:
    """Process-wide settings; raises SpecificationError where there is no such device."""
    runtime = Runtime(device=device, precision=precision, threads=threads)  # type: ignore[arg-type]
    TensorFlowEngine.configure(runtime)


def product(device: str, precision: str, side: int) -> Repeated:
    """The product of two square matrices of normal numbers."""
    kind = _TYPES.get(precision, tf.float32)
    a, b = (tf.cast(tf.random.normal((side, side)), kind) for _ in range(2))

    def repeated(count: int) -> None:
        for _ in range(count):
            out = tf.linalg.matmul(a, b)
        _read(out[0, 0])

    return repeated


def copy(device: str, size: int) -> Repeated:
    """`size` bytes, each number made one larger on the way: a bare copy would be left out."""
    source, one = tf.ones(size // 4), tf.constant(1.0)

    def repeated(count: int) -> None:
        for _ in range(count):
            out = tf.add(source, one)
        _read(out[0])

    return repeated


def _read(number: Any) -> None:
    """Waits for what the number depends on, and with a device's queue for all before it."""
    number.numpy()
