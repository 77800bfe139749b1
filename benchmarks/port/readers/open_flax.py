"""A Flax program from its file."""

from __future__ import annotations

from typing import Any

from flax import linen, nnx
from flax.errors import TraceContextError

from benchmarks.port.operation import PortError
from benchmarks.port.programs import Source
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.flax import MODES, FlaxProgram, Mode
from benchmarks.port.readers.flax_linen import LinenModule
from benchmarks.port.readers.optax_recipe import Training
from benchmarks.port.readers.program import Program, needed_inputs, refuse_several


def read(source: Source, parts: dict[str, Any], size: list[int]) -> Program:
    """The program; `size` is of a picture, (height, width, channels).

    Raises:
        PortError: it is no module of Flax, or nothing says how large its pictures are.
    """
    model = parts["model"]
    if isinstance(model, nnx.bridge.ToNNX):
        raise PortError(
            f"{source.label} is a module of flax.linen in flax.nnx.bridge.ToNNX, whose layers are "
            "not read; give the linen module itself",
            status=4,
        )
    if not isinstance(model, nnx.Module | linen.Module):
        raise PortError(
            f"{source.label} is a {type(model).__name__}, not a module of flax.nnx or flax.linen, "
            "or a function that makes one"
        )
    refuse_several(source.label, needed_inputs(type(model).__call__, MODES))
    if not size:
        raise PortError(
            f"{source.label}: a module does not say how large its pictures are; give "
            "--input HEIGHT WIDTH CHANNELS"
        )
    names = ("loss", "optimizer", "schedule", "average_weights", "loss_scale")
    training = Training(*(parts.get(name) for name in names))
    mode = Mode.of(model)
    try:
        if isinstance(model, linen.Module):
            model = LinenModule(model, size, mode.words(training=False))
        return FlaxProgram(model, size, training, mode)
    except TraceContextError as error:
        told = (
            f"{source.label} calls layers inside of a transformation of Flax (scan, vmap, remat), "
            "where they are not read; call them in a loop of Python, each with its own weights"
        )
        raise PortError("\n  ".join([told, *CALLS.frames(error)]), status=4) from error
