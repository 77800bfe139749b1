"""Every activation function and its derivative, in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from frameworks.spec.layers import (
    SELU_ALPHA,
    SELU_SCALE,
    Activation,
    Conv,
    Dense,
    NetworkLayer,
    function_of,
    given,
)

Backward = Callable[[np.ndarray], np.ndarray]
# What `activate` gives: the output, its gradient, and which side of a kink each element was on.
Activated = tuple[np.ndarray, Backward, np.ndarray | None]
# Where an output lies on the pieces of a function with kinks: above how many of these values. The
# pieces of hard_swish, which falls and rises, do not follow from it.
_ENDS = {
    **dict.fromkeys(("relu", "leaky_relu", "elu", "selu"), (0.0,)),
    **{"relu6": (0.0, 6.0), "hard_sigmoid": (0.0, 1.0)},
}
_TANH_SCALE = np.sqrt(2 / np.pi)
_TANH_CUBE = 0.044715


def activate(
    layer: Activation | Conv | Dense, x: np.ndarray, kinks: np.ndarray | None
) -> Activated:
    """The function of a layer applied to x.

    At zero relu and leaky_relu have the slope of the negative side, as PyTorch and TensorFlow do;
    relu6 and hard_sigmoid(x) = relu6(x + 3) / 6 are flat at both ends. hard_swish(x) is x
    hard_sigmoid(x), with the outer slopes at -3 and 3; mish(x) = x tanh(softplus(x)).
    silu(x) = x sigmoid(x); elu(x) = alpha (exp(x) - 1) below zero; softplus(x) = log(1 + exp(x));
    gelu(x) = x Phi(x), or x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 (Hendrycks & Gimpel
    2016, arXiv 1606.08415).

    Args:
        kinks: use these sides in place of those that x is on.
    """
    function = function_of(layer)
    # NaN counts as let through: a broken layer must not look like a dead one
    passed = ~(x <= 0) if kinks is None else kinks
    match function:
        case "linear":
            return x, lambda dy: dy, None
        case "relu":
            return np.where(passed, x, 0), lambda dy: np.where(passed, dy, 0), passed
        case "relu6":
            return _clipped(x, 6, 0, 1, kinks)
        case "hard_sigmoid":
            return _clipped(x, 1, 3, 1 / 6, kinks)
        case "leaky_relu":
            slope = given(layer.negative_slope)
            return (
                np.where(passed, x, slope * x),
                lambda dy: dy * np.where(passed, 1, slope),
                passed,
            )
        case "elu" | "selu":
            scale = SELU_SCALE if function == "selu" else 1
            alpha = scale * (SELU_ALPHA if function == "selu" else given(layer.alpha))
            below = alpha * np.exp(np.minimum(x, 0))
            return (
                np.where(passed, scale * x, alpha * np.expm1(np.minimum(x, 0))),
                lambda dy: dy * np.where(passed, scale, below),
                passed,
            )
        case "tanh":
            y = np.tanh(x)
            return y, lambda dy: dy * (1 - y**2), None
        case "sigmoid":
            y = sigmoid(x)
            return y, lambda dy: dy * y * (1 - y), None
        case "silu":
            gate = sigmoid(x)
            return x * gate, lambda dy: dy * gate * (1 + x * (1 - gate)), None
        case "softplus":
            return np.logaddexp(x, 0), lambda dy: dy * sigmoid(x), None
        case "hard_swish":
            slopes = np.where(np.abs(x) < 3, x / 3 + 0.5, x >= 3)
            return x * np.clip(x / 6 + 0.5, 0, 1), lambda dy: dy * slopes, None
        case "mish":
            bend = np.tanh(np.logaddexp(x, 0))
            return (
                x * bend,
                lambda dy: dy * (bend + x * (1 - bend**2) * sigmoid(x)),
                None,
            )
        case "gelu":
            return (*(_tanh_gelu(x) if layer.approximate else _gelu(x)), None)


def sides(layer: NetworkLayer, output: np.ndarray) -> np.ndarray | None:
    """The piece that each element of a layer's output is on, as `activate` gives them; None of
    functions without kinks, or whose pieces do not show."""
    ends = _ENDS.get(function_of(layer), ())
    if len(ends) < 2:
        return ~(output <= ends[0]) if ends else None
    return _pieces(output, *ends)


def _pieces(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below, 1 between, where NaN is, and 2 above."""
    return np.where(x >= high, 2, np.where(x <= low, 0, 1)).astype(np.int8)


def _clipped(
    x: np.ndarray, top: float, shift: float, slope: float, kinks: np.ndarray | None
) -> Activated:
    """slope (x + shift), held between 0 and `top`."""
    line = (x + shift) * slope
    pieces = _pieces(x, -shift, top / slope - shift) if kinks is None else kinks
    output = np.where(pieces == 1, line, np.where(pieces == 2, top, 0))
    return output.astype(x.dtype), lambda dy: np.where(pieces == 1, slope * dy, 0), pieces


def _gelu(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    from scipy.special import ndtr  # half of the time that a worker takes to start

    share = ndtr(x)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return x * share, lambda dy: dy * (share + x * density)


def _tanh_gelu(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    bend = np.tanh(_TANH_SCALE * (x + _TANH_CUBE * x**3))
    slope = _TANH_SCALE * (1 + 3 * _TANH_CUBE * x**2)
    return (
        x * (1 + bend) / 2,
        lambda dy: dy * ((1 + bend) / 2 + x * (1 - bend**2) * slope / 2),
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow and without cancellation at either end."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)
