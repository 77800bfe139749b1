"""Functions of single values (activations and others) by one name for all frameworks' spellings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_NAMES = (
    *("relu", "relu6", "tanh", "sigmoid", "silu", "selu", "hardswish", "hardsigmoid", "mish"),
    *("softplus", "softsign", "tanhshrink", "log_sigmoid", "exponential", "gelu", "leaky_relu"),
    *("elu", "celu", "softshrink", "hardshrink", "softmax", "log_softmax", "squareplus"),
    *("abs", "sqrt", "rsqrt", "square", "log", "log2", "log10", "log1p", "expm1", "sign", "erf"),
    *("sin", "cos", "tan", "sinh", "cosh", "asinh", "atan", "asin", "acos", "atanh", "acosh"),
    *("floor", "ceil", "round", "reciprocal", "sparse_plus"),
)
_OTHERS = {  # spellings without their underscores and capitals
    **{"swish": "silu", "hardsilu": "hardswish", "exp": "exponential", "absolute": "abs"},
    **{f"arc{name}": f"a{name}" for name in ("sinh", "tan", "sin", "cos", "tanh", "cosh")},
    "soft_sign": "softsign",
}


class Constant(NamedTuple):
    """A function's constant: its name here and in each framework, and the default there."""

    name: str
    torch: str
    keras: str
    jax: str
    usual: Mapping[str, Any]


def _same(default: float) -> dict[str, float]:
    return dict.fromkeys(("torch", "keras", "jax"), default)


CONSTANTS = {
    "leaky_relu": Constant(
        *("slope", "negative_slope", "negative_slope", "negative_slope"),
        {"torch": 0.01, "keras": 0.2, "jax": 0.01},
    ),
    "elu": Constant("alpha", "alpha", "alpha", "alpha", _same(1.0)),
    "celu": Constant("alpha", "alpha", "alpha", "alpha", _same(1.0)),
    "softshrink": Constant("threshold", "lambd", "threshold", "", _same(0.5)),
    "hardshrink": Constant("threshold", "lambd", "threshold", "", _same(0.5)),
    "gelu": Constant(
        *("approximate", "approximate", "approximate", "approximate"),
        {"torch": "none", "keras": False, "jax": True},
    ),
}


def squashed(name: str) -> str:
    """A spelling without capitals and underscores: LeakyReLU and leaky_relu are one."""
    return name.replace("_", "").lower()


_BY_SPELLING = {squashed(name): name for name in _NAMES} | _OTHERS


def function_of(spelling: str) -> str:
    """The name here of a framework's function; "" of one that is not known."""
    return _BY_SPELLING.get(squashed(spelling), "")


def constants_of(name: str, framework: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The constants of a function, as a call gives them or by the framework's default.

    Args:
        framework: torch, keras or jax. given: by the framework's own names.
    """
    found: dict[str, Any] = {"function": name}
    if one := CONSTANTS.get(name):
        value = given.get(getattr(one, framework))
        found[one.name] = one.usual[framework] if value is None else value
    if name == "gelu":
        found["approximate"] = "tanh" if found["approximate"] in (True, "tanh") else "none"
    return found
