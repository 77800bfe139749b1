"""A Flax program from its file."""

from __future__ import annotations

from typing import Any

from flax import linen, nnx

from benchmarks.port.operation import PortError
from benchmarks.port.programs import Source
from benchmarks.port.readers.flax import FlaxProgram
from benchmarks.port.readers.optax_recipe import Training
from benchmarks.port.readers.program import Program


def read(source: Source, parts: dict[str, Any], size: list[int]) -> Program:
    """The program; `size` is of a picture, (height, width, channels).

    Raises:
        PortError: it is no NNX module, or nothing says how large its pictures are.
    """
    model = parts["model"]
    if isinstance(model, linen.Module | nnx.bridge.ToNNX):
        wrapped = "" if isinstance(model, linen.Module) else " in flax.nnx.bridge.ToNNX"
        raise PortError(
            f"{source.label} is a module of flax.linen{wrapped}, whose layers are not read; write "
            "it with flax.nnx (nnx.Conv, nnx.Linear, nnx.BatchNorm, ...): its kernels have the "
            "same shapes",
            status=4,
        )
    if not isinstance(model, nnx.Module):
        raise PortError(
            f"{source.label} is a {type(model).__name__}, not a flax.nnx.Module or a function that "
            "makes one"
        )
    if not size:
        raise PortError(
            f"{source.label}: a module does not say how large its pictures are; give "
            "--input HEIGHT WIDTH CHANNELS"
        )
    training = Training(parts.get("loss"), parts.get("optimizer"), parts.get("schedule"))
    return FlaxProgram(model, size, training)
