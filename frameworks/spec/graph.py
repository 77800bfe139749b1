"""The layers of a network: flat, each with those it reads from, and as nested as written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from frameworks.spec.layers import (
    BLOCKS,
    Activation,
    Add,
    Concatenate,
    Concatenation,
    Gate,
    Layer,
    Multiply,
    NetworkLayer,
    Residual,
)

_END: dict[type, type] = {Residual: Add, Gate: Multiply, Concatenate: Concatenation}
PICTURES = ""  # the source of a layer that reads the pictures


@dataclass(frozen=True)
class Node:
    """A layer, the layers it reads from, and its place in the file: `3`, `3.layers.2`."""

    layer: NetworkLayer
    sources: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class Inner:
    """A layer list within a block: its name in the tree, its place in the file, its layers."""

    name: str  # `body`, `shortcut`, `branch1`
    place: str  # `layers`, `shortcut`, `branches.1`
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Block:
    """A block: its layer lists by name, and the layer that joins what they give.

    Residual: activation(body(x) + shortcut(x)); an empty shortcut hands x on. Gate: x * body(x).
    Branches: their outputs, channels behind channels.
    """

    name: str
    lists: Mapping[str, Tree]
    end: NetworkLayer
    activation: Activation | None = None


# Layers in order by the name that they have in their list; their own names are the network's.
Tree = Mapping[str, NetworkLayer | Block]
Place = tuple[str, ...]  # `conv1`, `residual1 body conv1`
_LIST = re.compile(r"body|shortcut|branch\d+")  # of a block


def is_list(name: str) -> bool:
    """True for the name of a layer list in a block, as a place has it."""
    return _LIST.fullmatch(name) is not None


def inner(layer: Residual | Gate | Concatenate) -> tuple[Inner, ...]:
    """The layer lists of a block, in order; the shortcut of a residual block may be empty."""
    if isinstance(layer, Concatenate):
        return tuple(
            Inner(f"branch{number}", f"branches.{number}", one)
            for number, one in enumerate(layer.branches, start=1)
        )
    body = Inner("body", "layers", layer.layers)
    if isinstance(layer, Gate):
        return (body,)
    return body, Inner("shortcut", "shortcut", layer.shortcut)


def with_inner(layer: Layer, lists: Sequence[tuple[Layer, ...]]) -> Layer:
    """A block with other layer lists, in the order of `inner`."""
    if isinstance(layer, Concatenate):
        return msgspec.structs.replace(layer, branches=tuple(lists))
    return msgspec.structs.replace(layer, **dict(zip(("layers", "shortcut"), lists, strict=False)))


def nodes(layers: Sequence[Layer]) -> tuple[Node, ...]:
    """Every layer in order; a residual block becomes its layers, an `Add` that has the block's
    name, and its activation function; a gate its layers and a `Multiply`; branches their layers and
    a `Concatenation`. A layer within a block is named `block_layer`."""
    found, _ = _nodes(layers, PICTURES, prefix="", place="")
    return tuple(found)


def every_layer(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Every layer of a list as it is written, blocks themselves included."""
    for layer in layers:
        yield layer
        if isinstance(layer, BLOCKS):
            for one in inner(layer):
                yield from every_layer(one.layers)


def changed(layers: Sequence[Layer], change: Callable[[Layer], Layer]) -> tuple[Layer, ...]:
    """A list with every layer changed; of a block its layers are, then the block."""
    made = []
    for layer in layers:
        if isinstance(layer, BLOCKS):
            layer = with_inner(layer, [changed(one.layers, change) for one in inner(layer)])
        made.append(change(layer))
    return tuple(made)


def tree(layers: Sequence[Layer], by_name: Mapping[str, NetworkLayer], prefix: str = "") -> Tree:
    """A list as it is written, of the network's layers `by_name`."""
    made: dict[str, NetworkLayer | Block] = {}
    for layer in layers:
        name = prefix + layer.name
        if isinstance(layer, BLOCKS):
            lists = {one.name: tree(one.layers, by_name, f"{name}_") for one in inner(layer)}
            function = layer.activation if isinstance(layer, Residual) else "linear"
            last = None if function == "linear" else by_name[f"{name}_{function}"]
            assert last is None or isinstance(last, Activation)
            made[layer.name] = Block(name, lists, by_name[name], last)
        else:
            made[layer.name] = by_name[name]
    return made


def places(layers: Tree, above: Place = ()) -> dict[str, Place]:
    """The place of every layer in the tree by its name; ends and functions of blocks have none."""
    found: dict[str, Place] = {}
    for own, part in layers.items():
        if isinstance(part, Block):
            for name, one in part.lists.items():
                found |= places(one, (*above, own, name))
        else:
            found[part.name] = (*above, own)
    return found


def name_at(place: Sequence[str]) -> str:
    """Name of the layer at a place, behind which its own parts may follow."""
    names = [place[0]]
    while len(place) > 2 and is_list(place[1]):
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
        ends = []
        for one in inner(layer):
            there = f"{here}.{one.place}."
            made, end = _nodes(one.layers, source, prefix=f"{name}_", place=there)
            found += made
            ends.append(end)
        read = (source, *ends) if isinstance(layer, Gate) else tuple(ends)
        found.append(Node(_END[type(layer)](name=name), read, here))
        source = name
        if isinstance(layer, Residual) and layer.activation != "linear":
            activation = Activation(name=f"{name}_{layer.activation}", function=layer.activation)
            found.append(Node(activation, (source,), here))
            source = activation.name
    return found, source
