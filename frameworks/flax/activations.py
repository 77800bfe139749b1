"""Activation functions in JAX (siblings: torch, keras)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from frameworks.spec.layers import Activation, Conv, Dense, function_of, given


def function(layer: Activation | Conv | Dense) -> Callable[[Array], Array]:
    """The activation function of a layer, its parameter filled in."""
    match function_of(layer):
        case "linear":
            return unchanged
        case "relu":
            return nnx.relu
        case "tanh":
            return nnx.tanh
        case "sigmoid":
            return nnx.sigmoid
        case "silu":
            return nnx.silu
        case "leaky_relu":
            return partial(_leaky_relu, slope=given(layer.negative_slope))
        case "elu":
            return partial(nnx.elu, alpha=given(layer.alpha))
        case "gelu":
            return partial(nnx.gelu, approximate=bool(layer.approximate))
        case "softplus":
            return nnx.softplus
        case "relu6":
            return jax.nn.relu6
        case "selu":
            return nnx.selu
        case "hard_sigmoid":
            return nnx.hard_sigmoid
        case "hard_swish":
            return nnx.hard_swish
        case "mish":
            return jax.nn.mish


def unchanged(x: Array) -> Array:
    """The linear function."""
    return x


def _leaky_relu(x: Array, *, slope: float) -> Array:
    """Leaky ReLU whose slope at zero is the negative side's, as in PyTorch and TensorFlow; Flax
    has 1."""
    return jnp.where(x > 0, x, slope * x)
