"""A nested layer list as a flat one: every layer once, in order, with the layers it reads from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from frameworks.spec.layers import Activation, Add, Layer, NetworkLayer, Residual

PICTURES = ""  # the source of a layer that reads the pictures


@dataclass(frozen=True)
class Node:
    """A layer, the layers it reads from, and its place in the file: `3`, `3.layers.2`."""

    layer: NetworkLayer
    sources: tuple[str, ...]
    place: str


def nodes(layers: Sequence[Layer]) -> tuple[Node, ...]:
    """Every layer in order; a residual block becomes its layers, an `Add` that has the block's
    name, and its activation function. A layer within a block is named `block_layer`."""
    found, _ = _nodes(layers, PICTURES, prefix="", place="")
    return tuple(found)


def every_layer(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Every layer of a list as it is written, residual blocks themselves included."""
    for layer in layers:
        yield layer
        if isinstance(layer, Residual):
            yield from every_layer((*layer.layers, *layer.shortcut))


def changed(layers: Sequence[Layer], change: Callable[[Layer], Layer]) -> tuple[Layer, ...]:
    """A list with every layer changed; of a residual block its layers are, then the block."""
    made = []
    for layer in layers:
        if isinstance(layer, Residual):
            layer = msgspec.structs.replace(
                layer,
                layers=changed(layer.layers, change),
                shortcut=changed(layer.shortcut, change),
            )
        made.append(change(layer))
    return tuple(made)


def _nodes(
    layers: Sequence[Layer], source: str, *, prefix: str, place: str
) -> tuple[list[Node], str]:
    """The nodes of a list that reads from `source`, and the name of the last."""
    found: list[Node] = []
    for index, layer in enumerate(layers, start=1):
        name, here = prefix + layer.name, f"{place}{index}"
        if not isinstance(layer, Residual):
            found.append(Node(msgspec.structs.replace(layer, name=name), (source,), here))
            source = name
            continue
        inner = f"{name}_"
        body, end = _nodes(layer.layers, source, prefix=inner, place=f"{here}.layers.")
        side, other = _nodes(layer.shortcut, source, prefix=inner, place=f"{here}.shortcut.")
        found += [*body, *side, Node(Add(name=name), (end, other), here)]
        source = name
        if layer.activation != "linear":
            activation = Activation(name=f"{name}_{layer.activation}", function=layer.activation)
            found.append(Node(activation, (source,), here))
            source = activation.name
    return found, source
