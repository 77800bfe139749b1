"""A Keras program from its file, or from a `.keras` file."""

from __future__ import annotations

from typing import Any

import keras

from benchmarks.port.operation import PortError
from benchmarks.port.programs import Source
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.keras import KerasProgram
from benchmarks.port.readers.keras_recipe import Training
from benchmarks.port.readers.program import Program, refuse_several


def read(source: Source, parts: dict[str, Any], size: list[int]) -> Program:
    """The program; `size` is of a picture, (height, width, channels), or [] to take the model's.

    Raises:
        PortError: it is no model, or nothing says how large its pictures are.
    """
    model = parts["model"] if source.name else _saved(source.path)
    if not isinstance(model, keras.Model):
        raise PortError(
            f"{source.label} is a {type(model).__name__}, not a keras.Model or a function that "
            "makes one"
        )
    CALLS.own_step(model, "train_step", "compute_loss")
    loss, optimizer = parts.get("loss"), parts.get("optimizer")
    if getattr(model, "compiled", False):
        loss = loss if "loss" in source.parts else model.loss
        optimizer = optimizer if "optimizer" in source.parts else model.optimizer
    if isinstance(loss, list | tuple | dict):
        raise PortError(f"{source.label}: several losses; give one with --loss", status=4)
    refuse_several(source.label, [x.name for x in getattr(model, "inputs", None) or []])
    own = _size(model)
    first = _channels_first(model, own, size)
    if first:
        own = [*own[1:], *own[:1]]
    if own and size and own != size:
        raise PortError(
            f"{source.label} takes pictures of {own}, not {size}; give the --input that both take"
        )
    if not (own or size):
        raise PortError(
            f"{source.label}: the model does not say how large its pictures are; give "
            "--input HEIGHT WIDTH CHANNELS"
        )
    return KerasProgram(model, own or size, Training(loss, optimizer), first=first)


def _channels_first(model: Any, own: list[int], size: list[int]) -> bool:
    """True of a model that takes pictures with their channels first: its layers do, or that alone
    is the size which the other program takes."""
    layers = (getattr(layer, "data_format", None) for layer in model._flatten_layers())
    turned = len(own) > 1 and own != size and [*own[1:], *own[:1]] == size
    return turned or "channels_first" in layers


def _size(model: Any) -> list[int]:
    try:
        shape = model.input_shape[1:]
    except (AttributeError, ValueError):
        return []
    return [int(n) for n in shape] if all(shape) else []


def _saved(path: str) -> Any:
    """A `.keras` file in float64: its configuration with another dtype, and its weights."""
    try:
        model = keras.saving.load_model(path, safe_mode=True)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise PortError(f"{path}: Keras cannot load it: {said}") from error
    config = _retyped(keras.saving.serialize_keras_object(model))
    made = keras.saving.deserialize_keras_object(config, safe_mode=True)
    made.set_weights(model.get_weights())
    if getattr(model, "compiled", False):
        made.compile(
            optimizer=type(model.optimizer).from_config(model.optimizer.get_config()),
            loss=model.loss,
        )
    return made


def _retyped(config: Any) -> Any:
    """A configuration with float64 wherever it has a float type."""
    if isinstance(config, dict):
        return {key: _retyped(value) for key, value in config.items() if key != "compile_config"}
    if isinstance(config, list | tuple):
        return [_retyped(value) for value in config]
    floats = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
    return "float64" if isinstance(config, str) and config in floats else config
