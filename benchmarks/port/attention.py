"""Attention that is written by hand, as the one operation that a layer for it is.

Dense layers make query, key and value, each its own or all of them one whose output is cut; their
products, a softmax between them, and a last dense layer are the rest.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from benchmarks.port.operation import Operation

Operations = dict[str, Operation]


class Part(msgspec.Struct, frozen=True):
    """Some outputs of a dense layer's weight: `whole[..., start:stop]`."""

    whole: str
    start: int
    stop: int


class _Core(msgspec.Struct):
    """query, key, value: operations that make them. scale: of the products. rate: of a dropout.
    dropout: id of that, or ""."""

    query: str
    key: str
    value: str
    heads: int
    size: int
    scale: float
    rate: float
    dropout: str


def join(by_id: Operations) -> tuple[set[str], dict[str, Part], set[str]]:
    """Make one operation of each attention that is written by hand.

    Returns:
        ids of these operations; the parts of weights that they use, by their names; and ids of
        the dropouts inside of them.
    """
    joined: set[str] = set()
    parts: dict[str, Part] = {}
    dropouts: set[str] = set()
    for one in by_id.values():
        core = _core(by_id, one.sources[0]) if one.kind == "dense" else None
        if core is None:
            continue
        made = [_dense(by_id, source) for source in (core.query, core.key, core.value)]
        sources, roles, biases = [], {}, set()
        for role, found in zip(("query", "key", "value"), made, strict=True):
            if found is None:
                break
            dense, start, stop = found
            sources.append(dense.sources[0])
            biases.add("bias" in dense.parameters)
            for name, key in dense.parameters.items():
                part = key
                if (start, stop) != (0, int(dense.constants["units"])):
                    part = f"{key}[{role}]"
                    parts[part] = Part(key, start, stop)
                roles[f"{role}_{name}"] = part
        if len(sources) < 3 or len(biases) > 1:
            continue
        roles |= {f"output_{name}": key for name, key in one.parameters.items()}
        constants: dict[str, Any] = {"heads": core.heads, "key_size": core.size}
        constants["value_size"] = (made[2][2] - made[2][1]) // core.heads if made[2] else 0
        constants["bias"] = biases.pop()
        if constants["bias"] != ("bias" in one.parameters):
            constants["output_bias"] = "bias" in one.parameters
        if abs(core.scale * core.size**0.5 - 1) > 1e-6:
            constants["scale"] = core.scale
        if core.rate:
            constants["attention_rate"] = core.rate
            dropouts.add(core.dropout)
        one.kind, one.sources, one.constants, one.parameters = (
            "attention",
            sources,
            constants,
            roles,
        )
        one.stated = [*constants]  # all of it is the program's own
        joined.add(one.id)
    return joined, parts, dropouts


def _alone(by_id: Operations, number: str) -> bool:
    return sum(one.sources.count(number) for one in by_id.values()) == 1


def _scaled(by_id: Operations, number: str) -> tuple[str, float]:
    """The operation ahead of scales by one number, and their product."""
    scale = 1.0
    while (one := by_id.get(number)) is not None and one.kind == "rescale":
        if np.ndim(one.constants["scale"]) or one.constants["offset"] or not _alone(by_id, number):
            break
        scale, number = scale * float(one.constants["scale"]), one.sources[0]
    return number, scale


def _core(by_id: Operations, number: str) -> _Core | None:
    """softmax(scale query key) value, whose output is `number`; None of anything else."""
    last = by_id.get(number)
    if last is None or not _alone(by_id, number):
        return None
    if last.kind == "attend":
        c, (query, key, value) = last.constants, last.sources
        rate = c.get("rate", 0.0)
        return _Core(query, key, value, c["heads"], c["size"], c["scale"], rate, last.id)
    if last.kind != "matmul" or len(last.sources) != 2:
        return None
    shares, value = last.sources
    rate, dropout = 0.0, ""
    above = by_id.get(shares)
    if above is not None and above.kind == "dropout" and _alone(by_id, shares):
        rate, dropout, above = float(above.constants["rate"]), shares, by_id.get(above.sources[0])
    if above is None or above.constants.get("function") != "softmax":
        return None
    if above.constants.get("axis") != last.constants["over"] or not _alone(by_id, above.id):
        return None
    inner, scale = _scaled(by_id, above.sources[0])
    products = by_id.get(inner)
    if (
        products is None
        or products.kind != "matmul"
        or products.constants["over"] not in ("C", "C1")
    ):
        return None
    (query, of_query), (key, of_key) = (_scaled(by_id, one) for one in products.sources)
    c = products.constants
    return _Core(query, key, value, c["heads"], c["size"], scale * of_query * of_key, rate, dropout)


def _dense(by_id: Operations, number: str) -> tuple[Operation, int, int] | None:
    """The dense layer that makes it, and from which of its outputs to which."""
    one = by_id.get(number)
    if one is None or one.kind == "dense":
        return None if one is None else (one, 0, int(one.constants["units"]))
    source = by_id.get(one.sources[0]) if one.sources else None
    if one.kind != "split" or source is None or source.kind != "dense":
        return None
    c = one.constants
    if c["axis"] != "C" or sum(c["sizes"]) != source.constants["units"]:
        return None
    start = sum(c["sizes"][: c["part"]])
    return source, start, start + int(c["sizes"][c["part"]])


class Parts:
    """Weights of which operations use parts: arrays by the names of either."""

    def __init__(self, parts: dict[str, Part], shapes: dict[str, list[int]]) -> None:
        self.parts, self.whole = parts, shapes
        self.shapes = shapes | {
            name: [*shapes[one.whole][:-1], one.stop - one.start] for name, one in parts.items()
        }

    def names(self, whole: list[str]) -> list[str]:
        """The names of some weights and of their parts."""
        return [*whole, *(name for name, one in self.parts.items() if one.whole in whole)]

    def cut(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """The arrays, and those of the parts."""
        found = dict(arrays)
        for name, one in self.parts.items():
            if one.whole in arrays:
                found[name] = arrays[one.whole][..., one.start : one.stop]
        return found

    def joined(self, arrays: dict[str, Any], usual: dict[str, Any] | None = None) -> dict[str, Any]:
        """The arrays by the program's own names.

        Args:
            usual: values of the parts that are not given; zeros by default.
        """
        found = {name: value for name, value in arrays.items() if name not in self.parts}
        for name, one in self.parts.items():
            if name not in arrays:
                continue
            if one.whole not in found:
                kept = (usual or {}).get(one.whole)
                found[one.whole] = np.zeros(self.whole[one.whole]) if kept is None else kept.copy()
            found[one.whole][..., one.start : one.stop] = arrays[name].reshape(self.shapes[name])
        return found
