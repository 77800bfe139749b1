"""Networks that stand for another one where rounding would decide its training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from frameworks.spec.architecture import Architecture
from frameworks.spec.graph import changed
from frameworks.spec.layers import (
    KINKED,
    PARAMETER_OF,
    Activation,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    Conv,
    Dense,
    GlobalAveragePool,
    GlobalMaxPool,
    Layer,
    MaxPool,
    Residual,
    function_of,
)
from frameworks.spec.network import Network

_SMOOTH_POOLS = {
    MaxPool: AveragePool,
    AdaptiveMaxPool: AdaptiveAveragePool,
    GlobalMaxPool: GlobalAveragePool,
}
_OF_FUNCTIONS: dict[str, Any] = dict.fromkeys(PARAMETER_OF)


def smooth_twin(architecture: Architecture) -> Architecture:
    """The network without kinks: SiLU for ReLU, average for maximum pooling (R5b)."""
    return _twin(architecture, "smooth", _smooth)


def unbiased_twin(
    architecture: Architecture, shape: tuple[int, int, int], classes: int
) -> Architecture:
    """The network without the biases that a batch norm takes out; itself if it has none.

    Their gradient is rounding alone, and Lion moves them by the whole rate at every step.
    """
    network = Network(architecture, shape, classes)
    weighted = [one for one in network.layers if isinstance(one, Conv | Dense)]
    dead = [f"{one.name}/bias" in network.dead_biases for one in weighted]
    in_order = iter(dead)

    def without(layer: Layer) -> Layer:
        if not isinstance(layer, Conv | Dense) or not next(in_order):
            return layer
        return msgspec.structs.replace(layer, bias=False, bias_initializer=None)

    return _twin(architecture, "unbiased", without) if any(dead) else architecture


def _twin(architecture: Architecture, word: str, change: Callable[[Layer], Layer]) -> Architecture:
    name, layers = f"{architecture.name}_{word}", changed(architecture.layers, change)
    return msgspec.structs.replace(architecture, name=name, layers=layers, published=())


def _smooth(layer: Layer) -> Layer:
    """The layer that stands for one in the smooth twin."""
    if isinstance(layer, Residual):
        function = "silu" if layer.activation == "relu" else layer.activation
        return msgspec.structs.replace(layer, activation=function)
    if type(layer) in _SMOOTH_POOLS:
        kind: Any = _SMOOTH_POOLS[type(layer)]
        fields = msgspec.structs.asdict(layer)
        return kind(**fields, **({"count_padding": False} if kind is AveragePool else {}))
    if function_of(layer) in KINKED:
        field = "function" if isinstance(layer, Activation) else "activation"
        return msgspec.structs.replace(layer, **{field: "silu"}, **_OF_FUNCTIONS)
    return layer
