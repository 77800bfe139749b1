"""Meaning of Keras' activations, as functions and as layers."""

from __future__ import annotations

from typing import Any

from benchmarks.port.readers.functions import CONSTANTS, constants_of, function_of
from benchmarks.port.readers.meaning import limited

Constants = dict[str, Any]


def activation(function: Any) -> tuple[str, Constants]:
    """Kind and constants of an activation function of Keras."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>" or not getattr(function, "__module__", "").startswith("keras"):
        return f"unread:{name}", {}
    if name in ("hard_tanh", "linear"):
        return "activation", limited(-1.0, 1.0) if name == "hard_tanh" else {"function": "linear"}
    if not (known := function_of(name)):
        return f"unread:{name}", {}
    axis = {"axis": "C"} if known in ("softmax", "log_softmax") else {}
    return "activation", constants_of(known, "keras", {}) | axis


def layer_of(layer: Any, channels: int) -> tuple[str, Constants] | None:
    """Kind and constants of a layer or an operation that is an activation; None of another one.

    Args:
        channels: of what it reads.
    """
    name = type(layer).__name__
    match name:
        case "Activation":
            return activation(layer.activation)
        case "ReLU":
            return _relu(layer)
        case "Clip":
            return "activation", limited(layer.x_min, layer.x_max)
        case "HardTanh":
            return "activation", limited(-1.0, 1.0)
        case "PReLU":
            shape = layer.alpha.shape
            if any(size > 1 for size in shape[:-1]):
                return "unread:PReLU of each pixel", {}
            return "prelu", {"per": "value" if shape[-1] == 1 < channels else "channel"}
    function = function_of(name)
    if not function or not type(layer).__module__.startswith("keras"):
        return None
    if function in ("softmax", "log_softmax"):
        return "activation", {"function": function, "axis": layer.axis}
    own = CONSTANTS[function].keras if function in CONSTANTS else ""
    given = {own: getattr(layer, own)} if own else {}
    return "activation", constants_of(function, "keras", given)


def _relu(layer: Any) -> tuple[str, Constants]:
    if layer.threshold:
        return "unread:ReLU with a threshold", {}
    if layer.max_value is not None:
        six = layer.max_value == 6 and not layer.negative_slope
        return ("activation", {"function": "relu6"}) if six else ("unread:ReLU with a limit", {})
    if layer.negative_slope:
        return "activation", {"function": "leaky_relu", "slope": float(layer.negative_slope)}
    return "activation", {"function": "relu"}
