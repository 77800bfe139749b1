"""Activation functions in Keras, alike on its engines (siblings: torch, flax)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from frameworks.spec.layers import Activation, Conv, Dense, function_of, given

OWN_WORDS = ("linear", "relu", "tanh", "sigmoid", "silu")


def constant(value: Any, dtype: Any) -> Any:
    """Python numbers as a tensor, exact in float64: `ops.cast` would pass it through float32."""
    return ops.convert_to_tensor(np.asarray(value, keras.backend.standardize_dtype(dtype)))


def function(layer: Activation | Conv | Dense) -> str | Callable[[Any], Any]:
    """Value of `activation=` for a Keras layer: Keras' own word, or a function of one tensor.

    Keras' engines part at the slope of leaky_relu at zero, in softplus beyond 20 and in constants
    that pass through float32; these functions are written out.
    """
    name = function_of(layer)
    if name in OWN_WORDS:
        return name
    if name == "leaky_relu":
        slope = given(layer.negative_slope)
        return lambda x: ops.where(x > 0, x, x * constant(slope, x.dtype))
    if name == "elu":
        alpha = given(layer.alpha)
        return lambda x: ops.where(
            x > 0, x, constant(alpha, x.dtype) * ops.expm1(ops.minimum(x, constant(0, x.dtype)))
        )
    if name == "softplus":
        return lambda x: ops.logaddexp(x, ops.zeros_like(x))
    return _tanh_gelu if layer.approximate else _gelu


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
