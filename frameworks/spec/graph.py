"""The layers of a network: flat, each with those it reads from, and as nested as written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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


@dataclass(frozen=True)
class Block:
    """A residual block: activation(body(x) + shortcut(x)); an empty shortcut hands x on."""

    name: str
    body: Tree
    shortcut: Tree
    activation: Activation | None


# Layers in order by the name that they have in their list; their own names are the network's.
Tree = Mapping[str, NetworkLayer | Block]
Place = tuple[str, ...]  # `conv1`, `residual1 body conv1`
LISTS = ("body", "shortcut")  # of a block


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


def tree(layers: Sequence[Layer], by_name: Mapping[str, NetworkLayer], prefix: str = "") -> Tree:
    """A list as it is written, of the network's layers `by_name`."""
    made: dict[str, NetworkLayer | Block] = {}
    for layer in layers:
        name = prefix + layer.name
        if isinstance(layer, Residual):
            body, side = (tree(one, by_name, f"{name}_") for one in (layer.layers, layer.shortcut))
            last = None if layer.activation == "linear" else by_name[f"{name}_{layer.activation}"]
            assert last is None or isinstance(last, Activation)
            made[layer.name] = Block(name, body, side, last)
        else:
            made[layer.name] = by_name[name]
    return made


def places(layers: Tree, above: Place = ()) -> dict[str, Place]:
    """The place of every layer in the tree by its name; sums and blocks' functions have none."""
    found: dict[str, Place] = {}
    for own, part in layers.items():
        if isinstance(part, Block):
            for name in LISTS:
                found |= places(getattr(part, name), (*above, own, name))
        else:
            found[part.name] = (*above, own)
    return found


def name_at(place: Sequence[str]) -> str:
    """Name of the layer at a place, behind which its own parts may follow."""
    names = [place[0]]
    while len(place) > 2 and place[1] in LISTS:
        place = place[2:]
        names.append(place[0])
    return "_".join(names)


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
