"""Losses, accuracy and probabilities from logits, in float64, the same for every framework."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frameworks.spec.architecture import Conv, Dense
from frameworks.spec.network import Network
from frameworks.spec.weights import Weights


@dataclass(frozen=True)
class Score:
    """Means over images. `loss` is the cross-entropy (nats) with the L2 terms, as trained on, but
    for class weights: these are of the training alone, as in Keras."""

    loss: float
    cross_entropy: float
    accuracy: float


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the class probabilities (n, classes), float64, for logits of any size."""
    logits = np.asarray(logits, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which the caller looks for
        shifted = logits - logits.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def score(logits: np.ndarray, labels: np.ndarray, l2: float) -> Score:
    """Score logits (n, classes) against labels (n,) with the L2 terms `l2`.

    Not finite where the logits are not.
    """
    cross_entropy = float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    return Score(cross_entropy + l2, cross_entropy, accuracy)


def has_l2(network: Network) -> bool:
    """Whether any layer states an L2 term."""
    return any(isinstance(layer, Conv | Dense) and layer.l2 for layer in network.layers)


def l2_terms(network: Network, weights: Weights) -> float:
    """Sum of `l2 * sum(kernel ** 2)` over the layers that state an `l2`, in float64."""
    return float(
        sum(
            layer.l2 * np.square(weights[f"{layer.name}/kernel"], dtype=np.float64).sum()
            for layer in network.layers
            if isinstance(layer, Conv | Dense) and layer.l2
        )
    )
