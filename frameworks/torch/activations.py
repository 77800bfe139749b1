"""Activation functions in PyTorch (siblings: flax, keras)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from frameworks.spec.layers import Activation, Conv, Dense, function_of, given

# log(1 + exp(x)) is x to the last bit of float64 beyond; PyTorch's own threshold of 20 is 2e-9 off.
SOFTPLUS_THRESHOLD = 40.0


def function(layer: Activation | Conv | Dense) -> nn.Module:
    """The activation function of a layer, its parameter filled in."""
    match function_of(layer):
        case "linear":
            return nn.Identity()
        case "relu":
            return nn.ReLU()
        case "tanh":
            return nn.Tanh()
        case "sigmoid":
            return nn.Sigmoid()
        case "silu":
            return nn.SiLU()
        case "leaky_relu":
            return nn.LeakyReLU(given(layer.negative_slope))
        case "elu":
            return nn.ELU(given(layer.alpha))
        case "gelu":
            return nn.GELU("tanh" if layer.approximate else "none")
        case "softplus":
            return nn.Softplus(threshold=SOFTPLUS_THRESHOLD)
        case "relu6":
            return nn.ReLU6()
        case "selu":
            return nn.SELU()
        case "hard_sigmoid":
            return HardSigmoid()
        case "hard_swish":
            return nn.Hardswish()
        case "mish":
            return nn.Mish()


class HardSigmoid(nn.Module):
    """relu6(x + 3) / 6: the gradient of nn.Hardsigmoid has 1/6 in float32, also in float64."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu6(x + 3) / 6
