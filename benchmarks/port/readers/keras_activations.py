"""Meaning of Keras' activations, as functions and as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.port.readers.meaning import limited

Constants = dict[str, Any]
Words = Callable[[Any, Sequence[int], Sequence[int]], tuple[str, Constants]]

_WORDS = {
    **{"swish": "silu", "hard_sigmoid": "hardsigmoid"},
    **{"hard_silu": "hardswish", "hard_swish": "hardswish"},
    **{f"{name}_shrink": f"{name}shrink" for name in ("soft", "hard", "tanh")},
}


def activation(function: Any) -> tuple[str, Constants]:
    """Kind and constants of an activation function of Keras."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>" or not getattr(function, "__module__", "").startswith("keras"):
        return f"unread:{name}", {}
    if name == "hard_tanh":
        return "activation", limited(-1.0, 1.0)
    found: Constants = {"function": _WORDS.get(name, name)}
    defaults = {
        "leaky_relu": ("slope", 0.2),
        **dict.fromkeys(("elu", "celu"), ("alpha", 1.0)),
        **dict.fromkeys(("soft_shrink", "hard_shrink"), ("threshold", 0.5)),
        "gelu": ("approximate", "none"),
    }
    if name in defaults:
        found[defaults[name][0]] = defaults[name][1]
    if name in ("softmax", "log_softmax"):
        found["axis"] = "C"
    return "activation", found


def _activation(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return activation(layer.activation)


def _relu(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    if layer.threshold:
        return "unread:ReLU with a threshold", {}
    if layer.max_value is not None:
        six = layer.max_value == 6 and not layer.negative_slope
        return ("activation", {"function": "relu6"}) if six else ("unread:ReLU with a limit", {})
    if layer.negative_slope:
        return "activation", {"function": "leaky_relu", "slope": float(layer.negative_slope)}
    return "activation", {"function": "relu"}


def _over(name: str) -> Words:
    return lambda layer, given, made: (
        "activation",
        {"function": name, "axis": layer.axis},
    )


def _clip(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "activation", limited(layer.x_min, layer.x_max)


def _function(name: str, ours: str = "", theirs: str = "") -> Words:
    """An activation, and its constant by our name and by that of the layer's attribute."""

    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        own = {ours: float(getattr(layer, theirs))} if ours else {}
        return "activation", {"function": name, **own}

    return meaning


def _gelu(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    form = "tanh" if layer.approximate else "none"
    return "activation", {"function": "gelu", "approximate": form}


def _prelu(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    shape = layer.alpha.shape
    if any(size > 1 for size in shape[:-1]):
        return "unread:PReLU of each pixel", {}
    return "prelu", {"per": "value" if shape[-1] == 1 < made[-1] else "channel"}


ACTIVATIONS: dict[str, Words] = {
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _function("leaky_relu", "slope", "negative_slope"),
    "LeakyRelu": _function("leaky_relu", "slope", "negative_slope"),
    "ELU": _function("elu", "alpha", "alpha"),
    "Elu": _function("elu", "alpha", "alpha"),
    "Celu": _function("celu", "alpha", "alpha"),
    "SoftShrink": _function("softshrink", "threshold", "threshold"),
    "HardShrink": _function("hardshrink", "threshold", "threshold"),
    "TanhShrink": _function("tanhshrink"),
    "HardTanh": lambda layer, given, made: ("activation", limited(-1.0, 1.0)),
    "HardSigmoid": _function("hardsigmoid"),
    "HardSilu": _function("hardswish"),
    "Softplus": _function("softplus"),
    "Softsign": _function("softsign"),
    "Selu": _function("selu"),
    "LogSigmoid": _function("log_sigmoid"),
    "Softmax": _over("softmax"),
    "LogSoftmax": _over("log_softmax"),
    "Clip": _clip,
    "PReLU": _prelu,
    "Gelu": _gelu,
    "Relu": _function("relu"),
    "Tanh": _function("tanh"),
    "Sigmoid": _function("sigmoid"),
    "Silu": _function("silu"),
    "Relu6": _function("relu6"),
    "Exp": _function("exponential"),
}
