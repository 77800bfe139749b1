"""JAX's matrix products and copies (siblings: torch_limits, tensorflow_limits)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from benchmarks.limits.timing import Repeated
from frameworks.backend import Runtime
from frameworks.jax.settings import configure
from results.vocabulary import Precision

_TYPES = {"float16": jnp.float16, "bfloat16": jnp.bfloat16, "float64": jnp.float64}


def prepare(device: str, precision: Precision, threads: int) -> None:
    """Process-wide settings; raises SpecificationError where there is no such device."""
    configure(Runtime(device=device, precision=precision, threads=threads))  # type: ignore[arg-type]


def product(device: str, precision: str, side: int) -> Repeated:
    """The product of two square matrices of normal numbers."""
    kind = _TYPES.get(precision, jnp.float32)
    keys = jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(key, (side, side)).astype(kind) for key in keys)
    multiply = jax.jit(jnp.matmul)

    def repeated(count: int) -> None:
        for _ in range(count):
            out = multiply(a, b)
        out.block_until_ready()

    return repeated


def copy(device: str, size: int) -> Repeated:
    """`size` bytes, each number made one larger on the way: a bare copy would be left out."""
    array = jnp.ones(size // 4, jnp.float32)
    add_one = jax.jit(lambda x: x + 1, donate_argnums=0)

    def repeated(count: int) -> None:
        nonlocal array
        for _ in range(count):
            array = add_one(array)
        array.block_until_ready()

    return repeated
