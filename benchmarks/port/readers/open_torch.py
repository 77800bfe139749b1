"""A PyTorch program from its file, or from a network in TOML."""

from __future__ import annotations

from typing import Any

from torch import nn

from benchmarks.port.operation import PortError
from benchmarks.port.programs import Source
from benchmarks.port.readers.program import Program
from benchmarks.port.readers.torch import TorchProgram
from benchmarks.port.readers.torch_recipe import Training


def read(source: Source, parts: dict[str, Any], size: list[int]) -> Program:
    """The program; `size` is of a picture, (height, width, channels).

    Raises:
        PortError: it is no module, or nothing says how large its pictures are.
    """
    if not source.name:
        from benchmarks.port.readers.open_toml import network

        return network(source, size)
    model = parts["model"]
    if not isinstance(model, nn.Module):
        raise PortError(
            f"{source.label} is a {type(model).__name__}, not a torch.nn.Module or a function that "
            "makes one"
        )
    if not size:
        raise PortError(
            f"{source.label}: a module does not say how large its pictures are; give "
            "--input HEIGHT WIDTH CHANNELS"
        )
    return TorchProgram(model, size, _training(parts))


def _training(parts: dict[str, Any]) -> Training:
    unit = parts.get("schedule_unit", "step")
    if unit not in ("step", "epoch"):
        raise PortError(f"schedule_unit is {unit!r}; it may be 'step' or 'epoch'")
    group = parts.get("accumulation", 1)
    if type(group) is not int or group < 1:
        raise PortError(f"accumulation is {group!r}; it is the number of batches of a step")
    loss, optimizer, clip = (parts.get(name) for name in ("loss", "optimizer", "clip"))
    return Training(
        loss,
        optimizer,
        clip,
        parts.get("schedule"),
        by_epoch=unit == "epoch",
        accumulation=group,
        average=parts.get("average_weights"),
        scale=parts.get("loss_scale"),
    )
