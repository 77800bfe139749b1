"""Activation functions in Keras, alike on its engines (siblings: torch, flax)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from frameworks.spec.layers import (
    SELU_ALPHA,
    SELU_SCALE,
    Activation,
    Conv,
    Dense,
    function_of,
    given,
)

OWN_WORDS = ("linear", "relu", "tanh", "sigmoid", "silu")


def constant(value: Any, dtype: Any) -> Any:
    """Python numbers as a tensor, exact in float64: `ops.cast` would pass it through float32."""
    return ops.convert_to_tensor(np.asarray(value, keras.backend.standardize_dtype(dtype)))


def function(layer: Activation | Conv | Dense) -> str | Callable[[Any], Any]:
    """Value of `activation=` for a Keras layer: Keras' own word, or a function of one tensor.

    Keras' engines part at the slope of leaky_relu and softplus at zero, in softplus beyond 20 and
    in constants that pass through float32; these functions are written out, by cases: at the seam
    of a maximum or an absolute value engines part, too.
    """
    name = function_of(layer)
    if name in OWN_WORDS:
        return name
    if name == "leaky_relu":
        slope = given(layer.negative_slope)
        return lambda x: ops.where(x > 0, x, x * constant(slope, x.dtype))
    if name == "elu":
        alpha = given(layer.alpha)
        return lambda x: ops.where(x > 0, x, constant(alpha, x.dtype) * ops.expm1(_below(x)))
    if name == "gelu":
        return _tanh_gelu if layer.approximate else _gelu
    return _WRITTEN[name]


def _below(x: Any) -> Any:
    """x where it is not positive, else 0: a minimum would share, or shift, the gradient at 0."""
    return ops.where(x > 0, ops.zeros_like(x), x)


def _softplus(x: Any) -> Any:
    above = ops.where(x > 0, x, ops.zeros_like(x))
    beyond = above + ops.log1p(ops.exp(-above))
    return ops.where(x > 0, beyond, ops.log1p(ops.exp(_below(x))))


def _relu6(x: Any) -> Any:
    six = constant(6, x.dtype)
    return ops.where(x >= six, six, ops.relu(x))


def _hard_sigmoid(x: Any) -> Any:
    return _relu6(x + constant(3, x.dtype)) / constant(6, x.dtype)


def _hard_swish(x: Any) -> Any:
    return ops.where(x >= constant(3, x.dtype), x, x * _hard_sigmoid(x))


def _selu(x: Any) -> Any:
    below = constant(SELU_SCALE * SELU_ALPHA, x.dtype) * ops.expm1(_below(x))
    return ops.where(x > 0, constant(SELU_SCALE, x.dtype) * x, below)


def _mish(x: Any) -> Any:
    return x * ops.tanh(_softplus(x))


_WRITTEN = {
    **{"softplus": _softplus, "relu6": _relu6, "selu": _selu, "mish": _mish},
    **{"hard_sigmoid": _hard_sigmoid, "hard_swish": _hard_swish},
}


def _gelu(x: Any) -> Any:
    half, root = constant(0.5, x.dtype), constant(np.sqrt(0.5), x.dtype)
    return half * x * (constant(1, x.dtype) + ops.erf(x * root))


def _tanh_gelu(x: Any) -> Any:
    scale, cube = constant(np.sqrt(2 / np.pi), x.dtype), constant(0.044715, x.dtype)
    half, one = constant(0.5, x.dtype), constant(1, x.dtype)
    return half * x * (one + ops.tanh(scale * (x + cube * x * x * x)))


def apply_standard(layer: Activation | Conv | Dense, x: Any) -> Any:
    """The activation by Keras' own layers alone, for models that load without this project."""
    match function_of(layer):
        case "leaky_relu":
            return keras.layers.LeakyReLU(negative_slope=given(layer.negative_slope))(x)
        case "elu":
            return keras.layers.ELU(alpha=given(layer.alpha))(x)
        case "gelu":
            return ops.gelu(x, approximate=bool(layer.approximate))
        case "linear":
            return x
        case name:
            return keras.layers.Activation(name)(x)
