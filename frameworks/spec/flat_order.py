"""The order of the numbers at a flatten layer: channel, row, column in PyTorch."""

from __future__ import annotations

import math

import numpy as np

from frameworks.spec.graph import PICTURES
from frameworks.spec.layers import Dense, Flatten, GlobalAveragePool, GlobalMaxPool
from frameworks.spec.network import Network
from frameworks.spec.shapes import Shape


def flattened_image(network: Network, name: str) -> Shape | None:
    """(height, width, channels) behind the flat input of a layer, when its order still matters.

    Flatten gives channel, row, column in PyTorch and row, column, channel in the canonical layout;
    a dense layer ends the difference.
    """
    return image_behind(network, network.sources[name][0])


def image_behind(network: Network, source: str) -> Shape | None:
    """`flattened_image` of whatever reads the output of layer `source`."""
    while source != PICTURES:
        layer = network.by_name[source]
        if isinstance(layer, Flatten):
            return network.input_shapes[source]
        if isinstance(layer, Dense | GlobalAveragePool | GlobalMaxPool):
            return None
        (source, *_) = network.sources[source]
    return None


def flat_order(network: Network, key: str) -> np.ndarray | None:
    """PyTorch's index of each canonical position of a weight's flattened axis: int64 (n,)."""
    name, part = key.split("/")
    image = flattened_image(network, name)
    if image is None or part == "bias":
        return None
    height, width, channels = image
    return np.arange(math.prod(image)).reshape(channels, height, width).transpose(1, 2, 0).ravel()
