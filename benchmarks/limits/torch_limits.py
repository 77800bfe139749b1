"""PyTorch's matrix products and copies (siblings: jax_limits, tensorflow_limits)."""

from __future__ import annotations

import torch

from benchmarks.limits.timing import Repeated
from frameworks.backend import Runtime
from frameworks.torch.backend import configure
from results.vocabulary import Precision

_TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}


def prepare(device: str, precision: Precision, threads: int) -> None:
    """Process-wide settings; raises SpecificationError where there is no such device."""
    configure(Runtime(device=device, precision=precision, threads=threads))  # type: ignore[arg-type]


def product(device: str, precision: str, side: int) -> Repeated:
    """The product of two square matrices of normal numbers."""
    kind = _TYPES.get(precision, torch.float32)
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    out = torch.empty_like(a)

    def repeated(count: int) -> None:
        for _ in range(count):
            torch.mm(a, b, out=out)
        _synchronize(device)

    return repeated


def copy(device: str, size: int) -> Repeated:
    """`size` bytes to another place that is in use already."""
    source = torch.ones(size // 4, device=device)
    target = torch.zeros_like(source)

    def repeated(count: int) -> None:
        for _ in range(count):
            target.copy_(source)
        _synchronize(device)

    return repeated


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
