"""Activation functions in PyTorch (siblings: flax, keras)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from frameworks.spec.layers import Activation, Conv, Dense, function_of, given

# log(1 + exp(x)) is x to the last bit of float64 beyond; PyTorch's own threshold of 20 is 2e-9 off.
SOFTPLUS_THRESHOLD = 40.0


def function(layer: Activation | Conv | Dense) -> Callable[[Tensor], Tensor]:
    """The activation function of a layer, its parameter filled in."""
    match function_of(layer):
        case "linear":
            return _unchanged
        case "relu":
            return functional.relu
        case "tanh":
            return torch.tanh
        case "sigmoid":
            return torch.sigmoid
        case "silu":
            return functional.silu
        case "leaky_relu":
            return partial(functional.leaky_relu, negative_slope=given(layer.negative_slope))
        case "elu":
            return partial(functional.elu, alpha=given(layer.alpha))
        case "gelu":
            form = "tanh" if layer.approximate else "none"
            return partial(functional.gelu, approximate=form)
        case "softplus":
            return partial(functional.softplus, threshold=SOFTPLUS_THRESHOLD)


def _unchanged(x: Tensor) -> Tensor:
    return x
