"""The mean and deviation of the training galaxies, for a network that normalises by them."""

from __future__ import annotations

import msgspec

from frameworks.spec.architecture import Architecture
from frameworks.spec.graph import changed
from frameworks.spec.layers import Layer, NetworkLayer, Normalize
from frameworks.spec.reading import SpecificationError

Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of each channel
STAND_IN: Statistics = ((0.25,), (0.25,))  # where a network is looked at without galaxies


def is_open(layer: NetworkLayer) -> bool:
    """True if a layer normalises by numbers that it does not state."""
    return isinstance(layer, Normalize) and not layer.mean


def asks_galaxies(architecture: Architecture) -> bool:
    """True if the network normalises by the training galaxies."""
    return any(is_open(layer) for layer in architecture.layers)


def normalized_by(architecture: Architecture, statistics: Statistics) -> Architecture:
    """The network with these numbers where it states none.

    Args:
        statistics: mean and deviation of each channel, of values from 0 to 1.

    Raises:
        SpecificationError: a channel has one value throughout, and the network asks for it.
    """
    if not asks_galaxies(architecture):
        return architecture
    mean, deviation = statistics
    if not all(deviation):
        raise SpecificationError(
            f"architecture '{architecture.name}': normalize: channel {deviation.index(0)} of the "
            "training galaxies has one value throughout; state mean and deviation in the file."
        )

    def filled(layer: Layer) -> Layer:
        if not is_open(layer):
            return layer
        return msgspec.structs.replace(layer, mean=mean, deviation=deviation)

    return msgspec.structs.replace(architecture, layers=changed(architecture.layers, filled))
