"""Every activation function and its derivative, in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from frameworks.spec.layers import Activation, Conv, Dense, function_of, given

Backward = Callable[[np.ndarray], np.ndarray]
# What `activate` gives: the output, its gradient, and which side of a kink each element was on.
Activated = tuple[np.ndarray, Backward, np.ndarray | None]
_TANH_SCALE = np.sqrt(2 / np.pi)
_TANH_CUBE = 0.044715


def activate(
    layer: Activation | Conv | Dense, x: np.ndarray, kinks: np.ndarray | None
) -> Activated:
    """The function of a layer applied to x.

    At zero relu and leaky_relu have the slope of the negative side, as PyTorch and TensorFlow do.
    silu(x) = x sigmoid(x); elu(x) = alpha (exp(x) - 1) below zero; softplus(x) = log(1 + exp(x));
    gelu(x) = x Phi(x), or x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 (Hendrycks & Gimpel
    2016, arXiv 1606.08415).

    Args:
        kinks: use these sides in place of those that x is on.
    """
    # NaN counts as let through: a broken layer must not look like a dead one
    passed = ~(x <= 0) if kinks is None else kinks
    match function_of(layer):
        case "linear":
            return x, lambda dy: dy, None
        case "relu":
            return np.where(passed, x, 0), lambda dy: np.where(passed, dy, 0), passed
        case "leaky_relu":
            slope = given(layer.negative_slope)
            return (
                np.where(passed, x, slope * x),
                lambda dy: dy * np.where(passed, 1, slope),
                passed,
            )
        case "elu":
            alpha = given(layer.alpha)
            below = alpha * np.exp(np.minimum(x, 0))
            return (
                np.where(passed, x, alpha * np.expm1(np.minimum(x, 0))),
                lambda dy: dy * np.where(passed, 1, below),
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
        case "gelu":
            return (*(_tanh_gelu(x) if layer.approximate else _gelu(x)), None)


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
