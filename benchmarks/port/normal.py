"""A listing in a form in which two programs can be compared: what says the same looks the same.

Left out is what moves no number in canonical layout (a permutation, a flatten, a dropout of rate
0); zeros that stand ahead of a convolution are its padding; a softmax ahead of a loss that takes
probabilities belongs to the loss. The order is that of a walk from the output, so that it does not
matter which branch a program writes first.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from benchmarks.port import attention
from benchmarks.port.attention import Part
from benchmarks.port.operation import PICTURES, Listing, Operation
from benchmarks.port.readers.meaning import whole_pool

_SILENT = {"layout", "squeeze", "flatten"}
_COMMUTES = {"add", "multiply", "maximum", "minimum"}
_BROADCAST = {*_COMMUTES, "subtract"}
NOT_NEGATIVE = ("relu", "relu6", "sigmoid", "softmax", "softplus")
_FOLDED = {"probabilities": ("softmax", "sigmoid"), "log_probabilities": ("log_softmax",)}


class Normal(msgspec.Struct, kw_only=True):
    """The operations that matter, in canonical order.

    pads: zeros of the pad that was joined to an operation, by its id.
    joined: ids of those that are several operations in the program, the last of them.
    parts: the parts of weights that operations use, by the names that they have there.
    dropouts: ids of those inside of an operation.
    folded: the function that belongs to the loss (softmax, sigmoid, log_softmax), or "".
    output: id of the last operation ahead of it.
    """

    operations: list[Operation]
    pads: dict[str, Any]
    joined: set[str]
    parts: dict[str, Part]
    dropouts: set[str]
    folded: str
    output: str

    def by_id(self, number: str) -> Operation:
        """An operation by its id."""
        return next(one for one in self.operations if one.id == number)


def normal(listing: Listing, *, scaled_ahead: bool = False) -> Normal:
    """The comparable form of a listing.

    Args:
        scaled_ahead: leave out a scale of the pictures, which was compared with the other
            program's preprocessing.
    """
    by_id = {
        one.id: msgspec.convert(msgspec.to_builtins(one), Operation) for one in listing.operations
    }
    output, folded = listing.output, ""
    last = by_id.get(output)
    takes = str(listing.recipe.loss.get("takes", ""))
    while last is not None and last.kind in _SILENT:
        output, last = last.sources[0], by_id.get(last.sources[0])
    if last is not None and last.constants.get("function") in _FOLDED.get(takes, ()):
        folded, output = str(last.constants["function"]), last.sources[0]
    elif last is not None and takes == "logits" and last.constants.get("function") == "log_softmax":
        output = last.sources[0]  # the loss takes it again, and gets the same
    alias: dict[str, str] = {}

    def real(number: str) -> str:
        while number in alias:
            number = alias[number]
        return number

    for one in by_id.values():
        readers = {reader.kind for reader in _readers(by_id, one.id)}
        alone = one.kind == "expand" and by_id.get(real(one.sources[0]))
        repeated = one.kind == "expand" and (
            readers <= _BROADCAST or (alone and alone.kind == "weight")
        )
        if _is_silent(one) or repeated:
            alias[one.id] = one.sources[0]
    for one in by_id.values():
        one.sources = [real(s) for s in one.sources]
        one.shape = [n for n in one.shape if n != 1] or [1]
    pads = _joined_pads(by_id, alias)
    joined = _joined_means(by_id, alias, listing.input)
    _joined_scales(by_id, alias)
    joined |= _products(by_id)
    for one in by_id.values():
        one.sources = [real(s) for s in one.sources]
    left = {number: one for number, one in by_id.items() if number not in alias}
    attentions, parts, dropouts = attention.join(left)
    joined |= attentions
    for one in by_id.values():
        if scaled_ahead and one.kind == "rescale" and one.sources == [PICTURES]:
            alias[one.id] = PICTURES
    sizes = {one.id: one.shape for one in by_id.values()} | {PICTURES: listing.input}
    for one in by_id.values():
        one.sources = [real(s) for s in one.sources]
        _whole_pool(one)
        if one.kind == "conv" and len(sizes[one.sources[0]]) == 1 and _of_one_pixel(one):
            kept = {"bias"} | {k for k in one.constants if k.endswith(("izer", "constraint"))}
            units = {"units": one.constants["filters"]}
            one.kind = "dense"
            one.constants = units | {k: v for k, v in one.constants.items() if k in kept}
    order: list[Operation] = []
    _walk(real(output), by_id, order, set())
    return Normal(
        operations=order,
        pads=pads,
        joined=joined,
        parts=parts,
        dropouts=dropouts,
        folded=folded,
        output=real(output),
    )


def _is_silent(one: Operation) -> bool:
    constants = one.constants
    return (
        one.kind in _SILENT
        or (one.kind == "activation" and constants.get("function") == "linear")
        or (one.kind == "dropout" and constants.get("rate") == 0)
        or (one.kind == "rescale" and (constants["scale"], constants["offset"]) == (1.0, 0.0))
        or (one.kind == "pad" and not any(map(any, constants["padding"])))
        or (one.kind == "crop" and not any(map(any, constants["cropping"])))
    )


def _readers(by_id: dict[str, Operation], number: str) -> list[Operation]:
    return [one for one in by_id.values() if number in one.sources]


def _joined_pads(by_id: dict[str, Operation], alias: dict[str, str]) -> dict[str, Any]:
    """Join pads of zeros to the convolution, of -inf to the max-pool, that alone reads them.

    Zeros join a max-pool as well, of what is not negative.
    """
    found = {}
    for pad in [one for one in by_id.values() if one.kind == "pad"]:
        readers = _readers(by_id, pad.id)
        if len(readers) != 1 or not _joins(pad, readers[0], by_id):
            continue
        (reader,) = readers
        zeros = reader.constants["padding"]
        if isinstance(zeros, str):
            continue
        reader.constants["padding"] = [
            [a + c for a, c in zip(one, other, strict=True)]
            for one, other in zip(zeros, pad.constants["padding"], strict=True)
        ]
        if "padding" not in reader.stated:
            reader.stated.append("padding")
        found[reader.id] = pad.constants["padding"]
        reader.sources = list(pad.sources)
        alias[pad.id] = pad.sources[0]
    return found


def _joins(pad: Operation, reader: Operation, by_id: dict[str, Operation]) -> bool:
    """True if a pad adds the values that the operation's own padding adds.

    A max pool pads with -inf. Of numbers that are not negative, zeros give the same maximum.
    """
    value = pad.constants["value"]
    if reader.kind == "conv":
        return bool(value == 0)
    source = by_id.get(pad.sources[0])
    positive = source is not None and source.constants.get("function") in NOT_NEGATIVE
    return reader.kind == "max_pool" and (value == float("-inf") or (value == 0 and positive))


def _joined_scales(by_id: dict[str, Operation], alias: dict[str, str]) -> None:
    """Join a scale to the scale that alone reads it: x / 255 - 0.5 is one."""
    for one in list(by_id.values()):
        if one.kind != "rescale" or one.id in alias:
            continue
        (source,) = one.sources
        first = by_id.get(source)
        while first is not None and first.kind == "rescale" and len(_readers(by_id, first.id)) == 1:
            scale, offset = one.constants["scale"], one.constants["offset"]
            before, by = (np.asarray(first.constants[k]) for k in ("offset", "scale"))
            one.constants["offset"] = (before * np.asarray(scale) + np.asarray(offset)).tolist()
            one.constants["scale"] = (by * np.asarray(scale)).tolist()
            one.sources = list(first.sources)
            alias[first.id] = first.sources[0]
            first = by_id.get(one.sources[0])


def _joined_means(
    by_id: dict[str, Operation], alias: dict[str, str], pictures: list[int]
) -> set[str]:
    """Join a mean over rows to one over columns: both are the pool over the whole picture."""
    pools, joined = {"mean": "average_pool", "max": "max_pool"}, set()
    for one in by_id.values():
        first = by_id.get(one.sources[0]) if one.sources else None
        if first is None or first.kind not in pools:
            continue
        if one.kind not in (first.kind, pools[first.kind]):
            continue
        axes = [*one.constants.get("axes", ["W"]), *first.constants["axes"]]
        source = by_id.get(first.sources[0])
        shape = pictures if source is None else source.shape
        alone = len(_readers(by_id, first.id)) == 1 and len(shape) == 3
        if sorted(axes) == ["H", "W"] and alone:
            one.kind, one.sources = pools[first.kind], list(first.sources)
            one.constants = whole_pool(shape[:2])
            alias[first.id] = first.sources[0]
            joined.add(one.id)
    return joined


_GATES = {"sigmoid": "silu", "hardsigmoid": "hardswish"}


def _products(by_id: dict[str, Operation]) -> set[str]:
    """Name what is written by hand: x sigmoid(x), relu6(x + 3) / 6, and x times the latter; and the
    norm, the root of a sum of squares."""
    joined = set()
    for one in by_id.values():
        sources = [by_id.get(s) for s in one.sources]
        found: tuple[str, str] | None = None
        above = sources[0] if sources else None
        if one.kind == "rescale" and above is not None and _is_scale(one, 1 / 6, 0.0):
            if shifted := _shifted(above, by_id):
                found = "hardsigmoid", shifted
            elif above.kind == "multiply":
                found = _gated(above, [_shifted(by_id.get(s), by_id) for s in above.sources])
        elif _is(one, "sqrt") and above is not None and above.kind == "sum":
            squares = by_id.get(above.sources[0])
            if squares is not None and _is(squares, "square"):
                one.kind, one.constants, one.sources = "norm", above.constants, squares.sources
                joined.add(one.id)
        elif one.kind == "multiply" and len(sources) == 2 and one.sources[0] == one.sources[1]:
            found = "square", one.sources[0]
        elif one.kind == "multiply" and len(sources) == 2:
            for gate, function in _GATES.items():
                gates = [s.sources[0] if s is not None and _is(s, gate) else "" for s in sources]
                found = found or _gated(one, gates, function)
        if found is not None:
            one.kind, one.constants, one.sources = "activation", {"function": found[0]}, [found[1]]
            joined.add(one.id)
    return joined


def _is(one: Operation | None, function: str) -> bool:
    return one is not None and one.constants.get("function") == function


def _is_scale(one: Operation, scale: float, offset: float) -> bool:
    found = one.constants["scale"], one.constants["offset"]
    return all(np.ndim(x) == 0 for x in found) and np.allclose(found, (scale, offset), 0, 1e-7)


def _shifted(one: Operation | None, by_id: dict[str, Operation]) -> str:
    """The source of relu6(x + 3); "" of anything else."""
    above = by_id.get(one.sources[0]) if one is not None and _is(one, "relu6") else None
    plain = above is not None and above.kind == "rescale" and _is_scale(above, 1.0, 3.0)
    return above.sources[0] if above is not None and plain else ""


def _gated(
    product: Operation, gates: list[str], function: str = "hardswish"
) -> tuple[str, str] | None:
    """The activation that a product of x and a gate of x is, and x.

    Args:
        gates: by factor, what it is a gate of; "" of none.
    """
    for gate, other in zip(gates, product.sources[::-1], strict=True):
        if gate and gate == other:
            return function, other
    return None


def _of_one_pixel(one: Operation) -> bool:
    """True of a convolution that does what a dense layer does with one pixel."""
    c = one.constants
    zeros = c["padding"]
    return {*c["kernel"]} == {1} and c["groups"] == 1 and not any(map(any, zeros))


def _whole_pool(one: Operation) -> None:
    """A pool with one window has no stride."""
    if one.kind in ("average_pool", "max_pool") and len(one.shape) == 1:
        one.constants["stride"] = one.constants.get("size")


def _walk(number: str, by_id: dict[str, Operation], order: list[Operation], seen: set[str]) -> None:
    """The operations that `number` needs, each after those it reads, without recursion."""
    size: dict[str, tuple[int, str]] = {}
    stack = [(number, False)]
    while stack:
        now, done = stack.pop()
        one = by_id.get(now)
        if one is None or (now in seen and not done):
            continue
        if done:
            below = [size.get(s, (0, "")) for s in one.sources]
            if one.kind in _COMMUTES:
                below.sort()
            size[now] = (1 + sum(n for n, _ in below), one.kind + str(len(below)))
            continue
        seen.add(now)
        stack.append((now, True))
        stack += [(source, False) for source in one.sources]
    placed: set[str] = set()
    stack = [(number, False)]
    while stack:
        now, done = stack.pop()
        one = by_id.get(now)
        if one is None or now in placed:
            continue
        if done:
            placed.add(now)
            order.append(one)
            continue
        stack.append((now, True))
        sources = list(one.sources)
        if one.kind in _COMMUTES:
            sources.sort(key=lambda s: size.get(s, (0, "")), reverse=True)
        stack += [(source, False) for source in reversed(sources)]
