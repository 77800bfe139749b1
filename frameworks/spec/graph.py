"""The layers of a network: flat, each with those it reads from, and as nested as written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from frameworks.spec.layers import (
    BLOCKS,
    Activation,
    Add,
    Gate,
    Layer,
    Multiply,
    NetworkLayer,
    Residual,
)

PICTURES = ""  # the source of a layer that reads the pictures


@dataclass(frozen=True)
class Node:
    """A layer, the layers it reads from, and its place in the file: `3`, `3.layers.2`."""

    layer: NetworkLayer
    sources: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class Block:
    """A residual block: activation(body(x) + shortcut(x)); an empty shortcut hands x on. A gate:
    x * body(x)."""

    name: str
    body: Tree
    shortcut: Tree
    activation: Activation | None
    gates: bool


# Layers in order by the name that they have in their list; their own names are the network's.
Tree = Mapping[str, NetworkLayer | Block]
Place = tuple[str, ...]  # `conv1`, `residual1 body conv1`
LISTS = ("body", "shortcut")  # of a block


def nodes(layers: Sequence[Layer]) -> tuple[Node, ...]:
    """Every layer in order; a residual block becomes its layers, an `Add` that has the block's
    name, and its activation function; a gate its layers and a `Multiply`. A layer within a block
    is named `block_layer`."""
    found, _ = _nodes(layers, PICTURES, prefix="", place="")
    return tuple(found)


def every_layer(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Every layer of a list as it is written, blocks themselves included."""
    for layer in layers:
        yield layer
        if isinstance(layer, BLOCKS):
            yield from every_layer((*layer.layers, *shortcut_of(layer)))


def shortcut_of(layer: Residual | Gate) -> tuple[Layer, ...]:
    """The layers of a block's shortcut; a gate has none."""
    return layer.shortcut if isinstance(layer, Residual) else ()


def changed(layers: Sequence[Layer], change: Callable[[Layer], Layer]) -> tuple[Layer, ...]:
    """A list with every layer changed; of a block its layers are, then the block."""
    made = []
    for layer in layers:
        if isinstance(layer, BLOCKS):
            lists = {"layers": layer.layers, "shortcut": shortcut_of(layer)}
            own = {name: changed(one, change) for name, one in lists.items() if one}
            layer = msgspec.structs.replace(layer, **own)
        made.append(change(layer))
    return tuple(made)


def tree(layers: Sequence[Layer], by_name: Mapping[str, NetworkLayer], prefix: str = "") -> Tree:
    """A list as it is written, of the network's layers `by_name`."""
    made: dict[str, NetworkLayer | Block] = {}
    for layer in layers:
        name = prefix + layer.name
        if isinstance(layer, BLOCKS):
            lists = layer.layers, shortcut_of(layer)
            body, side = (tree(one, by_name, f"{name}_") for one in lists)
            function = layer.activation if isinstance(layer, Residual) else "linear"
            last = None if function == "linear" else by_name[f"{name}_{function}"]
            assert last is None or isinstance(last, Activation)
            made[layer.name] = Block(name, body, side, last, isinstance(layer, Gate))
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
        if not isinstance(layer, BLOCKS):
            found.append(Node(msgspec.structs.replace(layer, name=name), (source,), here))
            source = name
            continue
        inner = f"{name}_"
        body, end = _nodes(layer.layers, source, prefix=inner, place=f"{here}.layers.")
        if isinstance(layer, Gate):
            found += [*body, Node(Multiply(name=name), (source, end), here)]
            source = name
            continue
        side, other = _nodes(layer.shortcut, source, prefix=inner, place=f"{here}.shortcut.")
        found += [*body, *side, Node(Add(name=name), (end, other), here)]
        source = name
        if layer.activation != "linear":
            activation = Activation(name=f"{name}_{layer.activation}", function=layer.activation)
            found.append(Node(activation, (source,), here))
            source = activation.name
    return found, source
