"""A PyTorch program from its file, or from a network in TOML."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.port.operation import PortError
from benchmarks.port.programs import Source
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.program import Program, needed_inputs, refuse_several
from benchmarks.port.readers.torch import TorchProgram
from benchmarks.port.readers.torch_recipe import Training
from results.words import count


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
    if type(model).forward is not nn.Module.forward:
        refuse_several(source.label, needed_inputs(model.forward))
    if not size:
        raise PortError(
            f"{source.label}: a module does not say how large its pictures are; give "
            "--input HEIGHT WIDTH CHANNELS"
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise PortError(f"{source.label} is a ScriptModule; give the module that it was made of")
    CALLS.own_step(model, "training_step")
    if hasattr(model, "configure_optimizers") and "optimizer" not in source.parts:
        parts = _configured(model, source, parts)
    return TorchProgram(model, size, _training(parts))


def _configured(model: Any, source: Source, parts: dict[str, Any]) -> dict[str, Any]:
    """The parts with the optimizer and the schedule that a module of Lightning makes."""
    made = model.configure_optimizers()
    if isinstance(made, dict):
        made = ([made["optimizer"]], [one for one in [made.get("lr_scheduler")] if one])
    elif not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[0], list | tuple):
        made = (made if isinstance(made, list | tuple) else [made], [])
    optimizers, schedules = made
    if len(optimizers) != 1 or len(schedules) > 1:
        raise PortError(
            f"{source.label}: configure_optimizers gives {count(len(optimizers), 'optimizer')} and "
            f"{count(len(schedules), 'schedule')}; name one with --optimizer",
            status=4,
        )
    found = {**parts, "optimizer": optimizers[0]}
    if schedules and "schedule" not in source.parts:
        one = schedules[0] if isinstance(schedules[0], dict) else {"scheduler": schedules[0]}
        found |= {"schedule": one["scheduler"], "schedule_unit": one.get("interval", "epoch")}
    return found


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
