"""A program as the product's own data: network and recipe in TOML, where the words are enough.

What has no word here is named, never left out: then nothing is written. What is written is read
again, built, and its parameters are counted against the program's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np

from benchmarks.port.normal import Normal, normal
from benchmarks.port.operation import PICTURES, Listing, Operation, PortError
from benchmarks.port.recipes import inline, recipe_lines
from frameworks.spec import architecture
from frameworks.spec.defaults import fill_architecture
from frameworks.spec.layers import ActivationName
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError, parse_table
from frameworks.spec.recipe import from_table as recipe_from_table
from results.words import count as counted

_SCALE = 1 / 255
_PENALTY = re.compile(r"L2\(l2=([^,()]+)\)")
# Keras' axis of a dense layer is 0, which a reader leaves out.
_LIMIT = {
    "conv": re.compile(r"MaxNorm\(axis=\[0, 1, 2\], max_value=([^,()]+)\)"),
    "dense": re.compile(r"MaxNorm\(max_value=([^,()]+)\)"),
}
_FUNCTIONS = {"hardswish": "hard_swish", "hardsigmoid": "hard_sigmoid"}
Table = dict[str, Any]


def written(listing: Listing, title: str) -> str:
    """The TOML text of a program: its layers, and a [recipe] of what stands beside the model.

    Args:
        listing: as a reader gave it. title: what the program is called.

    Raises:
        PortError: something in it has no word here; all of it is named.
    """
    lacking: list[str] = []
    made = _Network(listing, lacking)
    layers = made.layers()
    recipe, notes = recipe_lines(listing.recipe, lacking)
    if lacking:
        words = "; ".join(dict.fromkeys(lacking))
        raise PortError(f"{title} cannot be written as TOML: {words}", status=4)
    lines = [f"title = {json.dumps(title)}", "layers = ["]
    lines += [f"  {inline(layer)}," for layer in layers]
    lines += ["]", *([""] * bool(recipe or notes)), *(f"# {note}" for note in notes), *recipe]
    text = "\n".join(lines) + "\n"
    _check(text, listing, title)
    return text


def keys(listing: Listing, title: str) -> dict[str, str]:
    """The weights of the network that `written` gives ("conv1/kernel"), to the program's names.

    Raises:
        PortError: as of `written`, or a weight of the network is none of the program's.
    """
    lacking: list[str] = []
    made = _Network(listing, lacking)
    tables = made.layers()
    if lacking:
        raise PortError(f"{title} cannot be written as TOML: {'; '.join(lacking)}", status=4)
    plain = _bound({"layers": tables}, listing, title)
    for table, one in made.weighted:
        table["name"] = f"operation{one.id}"
    marked = _bound({"layers": tables}, listing, title)
    by_id = {one.id: one for one in listing.operations}
    found = {}
    for node, mark in zip(plain.layers, marked.layers, strict=True):
        _, here, number = mark.name.rpartition("operation")
        for role, key in by_id[number].parameters.items() if here else ():
            found[f"{node.name}/{role}"] = key
    lost = [key for key in plain.weight_shapes if key not in found]
    if lost:
        raise PortError(f"{title} has no weight for {lost[0]} of its network", status=4)
    return found


def _bound(table: Table, listing: Listing, title: str) -> Network:
    height, width, channels = listing.input
    last = next(o for o in listing.operations if o.id == listing.output)
    found = architecture.from_table(table, origin=title, default_name="port")
    return Network(fill_architecture(found), (height, width, channels), int(np.prod(last.shape)))


def _check(text: str, listing: Listing, title: str) -> None:
    """Build what was written and count its parameters."""
    trained = [shape for key, shape in listing.parameters.items() if key not in listing.fixed]
    theirs = sum(int(np.prod(shape)) for shape in trained)
    try:
        table = parse_table(text, title)
        recipe_from_table(table.pop("recipe", {}), title)
        network = _bound(table, listing, title)
    except SpecificationError as error:
        raise PortError(f"{title} cannot be written as TOML: {error}", status=4) from error
    ours = sum(int(np.prod(network.weight_shapes[key])) for key in network.trainable_keys)
    if ours != theirs:
        raise PortError(
            f"{title} cannot be written as TOML: the program trains "
            f"{counted(theirs, 'parameter')}, and what was written {ours:,}",
            status=4,
        )


def _keep_picture(layer: Table) -> None:
    """Have a gate's layer that gives a number a channel give a picture of one pixel, as here."""
    kind = layer["type"]
    if kind.startswith("global_"):
        layer |= {"type": kind.replace("global", "adaptive"), "size": 1}
    elif kind == "dense":
        layer |= {"type": "conv", "filters": layer.pop("units"), "kernel": 1}


class _Network:
    """The layers of a listing; what has no word goes to `lacking`."""

    def __init__(self, listing: Listing, lacking: list[str]) -> None:
        if len(listing.input) != 3:
            raise PortError("only a network of pictures can be written as TOML", status=4)
        self.normal: Normal = normal(listing)
        self.shapes = {one.id: one.shape for one in listing.operations} | {PICTURES: listing.input}
        self.by_id = {one.id: one for one in self.normal.operations}
        self.places = {one.id: place for place, one in enumerate(self.normal.operations)}
        self.lacking = lacking
        self.weighted: list[tuple[Table, Operation]] = []  # layers with weights, and whence

    def layers(self) -> list[Table]:
        """All layers, the last of them the output layer."""
        found = self._chain(self.normal.output, PICTURES)
        for layer in reversed(found):
            if layer["type"] in ("dense", "conv"):
                layer["units" if layer["type"] == "dense" else "filters"] = "classes"
                break
        return found

    def _chain(self, output: str, start: str) -> list[Table]:
        """The layers from one operation's output (left out) to another's."""
        found: list[Table] = []
        now = output
        while now != start:
            if now == PICTURES:
                self.lacking.append("branches that do not end in one sum")
                break
            one = self.by_id[now]
            if one.kind == "add" and len(one.sources) == 2:
                self._only(one)
                fork = self._fork(*one.sources)
                branches = sorted((self._chain(s, fork) for s in one.sources), key=len)
                residual: Table = {"type": "residual", "layers": branches[1]}
                found.append(residual | ({"shortcut": branches[0]} if branches[0] else {}))
                now = fork
                continue
            if one.kind == "concatenate" and one.constants.get("axis") == "C":
                sources = self._nested(one)
                now = self._fork(*sources)
                if len(sources) > 1:
                    branches = [self._chain(source, now) for source in sources]
                    found.append({"type": "concatenate", "branches": branches})
                continue
            if one.kind == "multiply" and (x := self._gated(*one.sources)) is not None:
                (gate,) = (source for source in one.sources if source != x)
                inside = self._chain(gate, x)
                for layer in inside:
                    _keep_picture(layer)
                found.append({"type": "gate", "layers": inside})
                now = x
                continue
            if len(one.sources) != 1 or one.kind == "weight":
                self.lacking.append(f"{one.name} ({one.kind} of {len(one.sources)} inputs)")
                break
            found += reversed(list(self._layer(one)))
            now = one.sources[0]
        return found[::-1]

    def _above(self, number: str) -> set[str]:
        found, left = {number}, [number]
        while left:
            now = self.by_id.get(left.pop())
            for source in now.sources if now else ():
                if source not in found:
                    found.add(source)
                    left.append(source)
        return found

    def _fork(self, *several: str) -> str:
        """The last operation that all read."""
        both = set.intersection(*map(self._above, several))
        return max(both, key=lambda number: self.places.get(number, -1), default=PICTURES)

    def _nested(self, one: Operation) -> list[str]:
        """The sources of a concatenation, with one that joins the first of them already in their
        place: (a, b, c) is ((a, b), c), as of the layers of a DenseNet."""
        for count in range(len(one.sources) - 1, 1, -1):
            first, rest = one.sources[:count], one.sources[count:]
            for other in self.by_id.values():
                if (other.kind, other.sources) == ("concatenate", first):
                    return [other.id, *rest]
        return list(one.sources)

    def _gated(self, one: str, other: str) -> str | None:
        """The one of two factors that the other is computed from; None if neither is."""
        fork = self._fork(one, other)
        return fork if one != other and fork in (one, other) else None

    def _layer(self, one: Operation) -> Iterator[Table]:
        given = self.shapes[one.sources[0]]
        if len(self.shapes[one.id]) == 2:
            self.lacking.append(f"{one.name} ({one.kind} of rows of features)")
        if len(given) > 1 and len(self.shapes[one.id]) == 1 and "pool" not in one.kind:
            yield {"type": "flatten"}
        made = self._table(one)
        if made is not None:
            if one.parameters:
                self.weighted.append((made, one))
            yield made

    def _table(self, one: Operation) -> Table | None:
        c = one.constants
        match one.kind:
            case "conv":
                table = {"type": "conv", "filters": c["filters"], "kernel": c["kernel"]}
                return table | self._windows(one) | self._weighted(one)
            case "dense":
                return {"type": "dense", "units": c["units"]} | self._weighted(one)
            case "max_pool" | "average_pool":
                if len(self.shapes[one.id]) == 1:
                    return {"type": "global_" + one.kind}
                self._only(one, "size", "stride", "padding", "count_padding")
                counted = {"count_padding": c["count_padding"]} if "count_padding" in c else {}
                return {"type": one.kind, "size": c["size"]} | self._windows(one) | counted
            case "adaptive_max_pool" | "adaptive_average_pool":
                return {"type": one.kind, "size": c["parts"]}
            case "batch_norm" | "layer_norm" | "group_norm":
                return self._norm(one)
            case "activation":
                return self._activation(one)
            case "dropout":
                self._only(one, "rate", "per")
                per = {} if c.get("per", "value") == "value" else {"per": c["per"]}
                return {"type": "dropout", "rate": c["rate"]} | per
            case "rescale" if one.sources == [PICTURES] and c["offset"] == 0:
                if c["scale"] == _SCALE or abs(np.mean(c["scale"]) - _SCALE) < 1e-9:
                    return None  # every network here is given pictures from 0 to 1
        self.lacking.append(f"{one.name} ({one.kind})")
        return None

    def _only(self, one: Operation, *known: str) -> None:
        """Name the constants that a layer here has no field for."""
        unknown = [name for name in one.constants if name not in known]
        self.lacking += [f"{one.name}: {name} = {one.constants[name]}" for name in unknown]

    def _windows(self, one: Operation) -> Table:
        c, found = one.constants, {}
        usual = c.get("size", [1, 1])
        if (stride := c.get("stride")) is not None and list(stride) != list(usual):
            found["stride"] = list(stride)
        padding = c.get("padding", "valid")
        if padding != "valid" and (isinstance(padding, str) or any(map(any, padding))):
            found["padding"] = padding
        return found

    def _weighted(self, one: Operation) -> Table:
        c = one.constants
        known = {"filters", "kernel", "units", "stride", "padding", "dilation", "groups", "bias"}
        found: Table = {} if c.get("bias", True) else {"bias": False}
        if c.get("dilation", [1, 1]) not in (1, [1, 1]):
            found["dilation"] = c["dilation"]
        if c.get("groups", 1) != 1:
            found["groups"] = c["groups"]
        for name, value in c.items():
            if name in known or name.endswith("_initializer") or value in (None, ""):
                continue
            penalty, limit = _PENALTY.fullmatch(str(value)), _LIMIT[one.kind].fullmatch(str(value))
            if name == "kernel_regularizer" and penalty:
                found["l2"] = float(penalty[1])
            elif name == "kernel_constraint" and limit:
                found["max_norm"] = float(limit[1])
            else:
                self.lacking.append(f"{one.name}: {name} = {value}")
        return found

    def _norm(self, one: Operation) -> Table:
        c = one.constants
        fields = {"batch_norm": ("momentum", "running_variance"), "group_norm": ("groups",)}
        kept = ("epsilon", *fields.get(one.kind, ()))
        self._only(one, *kept, "scale", "center", "axes", "variance")
        if not (c.get("scale", True) and c.get("center", True)):
            self.lacking.append(f"{one.name}: {one.kind} without scale or center")
        if c.get("axes", ["C"]) != ["C"]:
            self.lacking.append(f"{one.name}: {one.kind} over {' '.join(c['axes'])}")
        if any(c.get(name, 0) is None for name in kept):
            self.lacking.append(f"{one.name}: {one.kind} whose momentum is a cumulative average")
        return {"type": one.kind} | {name: c[name] for name in kept if name in c}

    def _activation(self, one: Operation) -> Table | None:
        c, function = one.constants, str(one.constants["function"])
        function = _FUNCTIONS.get(function, function)
        if function not in get_args(ActivationName):
            self.lacking.append(f"{one.name} ({function})")
            return None
        own = {"slope": "negative_slope", "alpha": "alpha", "approximate": "approximate"}
        self._only(one, "function", *own)
        found = {own[name]: value for name, value in c.items() if name in own}
        if "approximate" in found:
            found["approximate"] = found["approximate"] in (True, "tanh")
        return {"type": "activation", "function": function} | found
