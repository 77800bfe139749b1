"""The weights that a case begins with, or puts into a backend: the same in every process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from frameworks.backend import Runtime
from frameworks.numpy.backend import NumpyReference
from frameworks.spec import weights as canonical
from frameworks.spec.architecture import Conv
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from frameworks.spec.weights import Weights

Start = Literal["initial", "lived", "even"]
LARGEST_LOGIT = 40.0  # beyond where a float32 softmax, or a clipped one, has any gradient left
_STREAM = 13  # apart from those of `case` and of `weights`
# Ranges of what training moves away from 0 and 1; a bias is moved by what is drawn.
_LIVED = {
    "gamma": (0.5, 1.5),
    "beta": (-0.5, 0.5),
    "bias": (-0.25, 0.25),
    "moving_mean": (-0.5, 0.5),
    "moving_variance": (0.25, 4.0),
}


def of(network: Network, seed: int, start: Start, images: Callable[[], np.ndarray]) -> Weights:
    """Weights by key, float32, of one of the starts.

    Args:
        images: gives uint8 (n, height, width, channels), what `lived` scales its logits by. Called
            for that start alone: to draw them takes longer than to draw the weights.
    """
    if start == "lived":
        return lived(network, seed, images())
    weights = canonical.initial(network, seed)
    return even(network, weights) if start == "even" else weights


def lived(network: Network, seed: int, images: np.ndarray) -> Weights:
    """Weights as after a long training: other kernels than the initial ones, running statistics,
    gamma, beta and biases away from 0 and 1, and an output layer so sure of itself that the
    largest logit of these images is beyond LARGEST_LOGIT. float32 by key."""
    weights = canonical.initial(network, seed + 1)
    for position, key in enumerate(network.weight_shapes):
        low, high = _LIVED.get(key.split("/")[1], (0.0, 0.0))
        if low < high:
            random = np.random.Generator(np.random.Philox(key=[seed, (_STREAM << 32) | position]))
            weights[key] = random.uniform(low, high, weights[key].shape).astype(np.float32)
    reference = NumpyReference(
        network, fill_recipe(Recipe()), Runtime(precision="float64"), weights
    )
    largest = float(np.abs(reference.predict(images)).max())
    factor = 2.0 ** math.ceil(math.log2(LARGEST_LOGIT / largest)) if largest > 0 else 1.0
    output = network.layers[-1].name
    scaled = (f"{output}/kernel", f"{output}/bias")
    return weights | {key: weights[key] * np.float32(max(1.0, factor)) for key in scaled}


def even(network: Network, weights: Weights) -> Weights:
    """The weights with a first convolution whose filters weigh all pixels alike, by powers of two.

    On pictures of two levels its sums are exact, and patches with as many white pixels give equal
    ones: a max-pool then finds ties whose gradients go to different pixels.
    """
    first = next(layer for layer in network.layers if isinstance(layer, Conv))
    key = f"{first.name}/kernel"
    signs = np.where(np.arange(first.filters) % 2, -1.0, 1.0)
    scale = signs * 2.0 ** -(2 + np.arange(first.filters) % 3)
    kernel = np.broadcast_to(scale, weights[key].shape).astype(np.float32)
    return weights | {key: np.ascontiguousarray(kernel)}
