"""The network of a listing as statements: which layer, of which values, into which variable."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np

from benchmarks.port.axes import same_padding
from benchmarks.port.normal import NOT_NEGATIVE, normal
from benchmarks.port.operation import PICTURES, Listing, Operation, PortError, Recipe


class LackingError(Exception):
    """A framework has no plain word for an operation; the message says for what."""


class Step(msgspec.Struct, kw_only=True):
    """One operation on its way into code.

    name: of the layer, an identifier. shapes: of what it reads, without the batch; flat values have
    one axis. rank: the axes of a picture, besides its channels. read: variables that hold them.
    into: variable of the result. shape: of it. flattens: it reads a flattened picture. first: the
    layer was not used before. again: it is used more than once. positive: what it reads is not
    negative.
    """

    one: Operation
    name: str
    shapes: list[list[int]]
    rank: int
    read: list[str]
    into: str
    shape: list[int]
    flattens: bool
    first: bool
    again: bool
    positive: bool

    @property
    def constants(self) -> dict[str, Any]:
        """The operation's constants."""
        return self.one.constants

    @property
    def given(self) -> list[int]:
        """The shape of what it reads first."""
        return self.shapes[0]

    @property
    def flat(self) -> bool:
        """True if it reads no pictures."""
        return len(self.given) == 1

    @property
    def whole(self) -> bool:
        """True of a pool over the whole picture."""
        return "pool" in self.one.kind and len(self.shape) == 1

    def same(self) -> bool:
        """True if zeros around the picture are those that SAME gives."""
        c = self.constants
        kernel = c["kernel"] if "kernel" in c else c["size"]
        dilation = c.get("dilation", [1] * self.rank)
        sides = zip(self.given, kernel, c["stride"], dilation, strict=False)
        return c["padding"] == [list(same_padding(*side)) for side in sides]

    @contextmanager
    def named(self, title: str, framework: str) -> Iterator[None]:
        """Inside, what has no plain word is refused with this operation's name."""
        try:
            yield
        except LackingError as lacking:
            raise PortError(
                f"{title} cannot be converted to {framework}: it has no plain form of {lacking}, "
                f"at {told(self.one)}",
                status=4,
            ) from lacking

    def zeros(self) -> list[list[int]]:
        """Zeros around rows and columns.

        Raises:
            LackingError: they are of another kind.
        """
        zeros = self.constants.get("padding", [[0, 0]] * self.rank)
        if isinstance(zeros, str):
            raise LackingError(zeros.removeprefix("unread: ") + " padding")
        return [list(pair) for pair in zeros]

    @property
    def padded(self) -> bool:
        """True if there are zeros around the picture."""
        return any(map(any, self.zeros()))

    def usual(self, name: str) -> bool:
        """True of a stride or dilation of one."""
        return {*self.constants[name]} == {1}


# Constants for which no framework's code has a place here.
_UNWRITTEN: tuple[str, ...] = ("form", "beta", "second_factor", "activity_regularizer")
_UNWRITTEN += ("drops_in_inference", "by_running_statistics", "by_batch_statistics")

_UNWRITTEN_KINDS = ("weight", "attention", "shuffle", "position", "expand")


def steps(listing: Listing, title: str) -> Iterator[Step]:
    """Every operation in order, the loss's softmax included; a flatten stands where one is needed.

    Raises:
        PortError: a picture's layer reads what is flat in a way that has no plain form.
    """
    found = normal(msgspec.structs.replace(listing, recipe=Recipe()))
    readers: dict[str, list[str]] = {}
    for one in found.operations:
        for source in one.sources:
            readers.setdefault(source, []).append(one.id)
    uses: dict[tuple[str, ...], int] = {}
    for one in found.operations:
        uses[_weights(one)] = uses.get(_weights(one), 0) + 1
    shapes, variables = {PICTURES: list(listing.input)}, {PICTURES: "x"}
    rank = max(1, len(listing.input) - 1)
    raw = {one.id: one.shape for one in listing.operations}
    by_id = {one.id: one for one in found.operations}
    names: dict[tuple[str, ...], str] = {}
    taken: set[str] = {"x"}
    order = [PICTURES, *(one.id for one in found.operations)]
    if readers.get(PICTURES, []) != order[1:2]:
        variables[PICTURES] = "pictures"
    for place, one in enumerate(found.operations, start=1):
        lost = [name for name in _UNWRITTEN if name in one.constants]
        if isinstance(filled := one.constants.get("value"), str):  # zeros of another kind
            lost.append(filled)
        rows = len(raw[one.id]) == 2 != rank + 1  # of features, as attention has them
        if "reshape" in one.kind or one.kind in _UNWRITTEN_KINDS or one.unread or lost or rows:
            words = "".join(f" with {name.replace('_', ' ')}" for name in lost)
            raise PortError(f"{title} cannot be converted: {told(one)}{words}", status=4)
        key = _weights(one) or (one.id,)
        first = key not in names
        if first:
            names[key] = _identifier(one, taken)
        here = raw[one.id]
        given = [shapes[s] for s in one.sources]
        pixel = {*here[:-1]} == {1} and one.kind not in ("conv", "conv_transpose")
        flat = len(here) != rank + 1 or (
            pixel and ("pool" in one.kind or all(len(shape) == 1 for shape in given))
        )
        shapes[one.id] = [here[-1]] if flat else list(here)
        flattens = flat and "pool" not in one.kind and len(given[0]) == rank + 1
        if not flat and one.kind in _OF_PICTURES and len(given[0]) == 1 and _made_of(one, listing):
            raise PortError(
                f"{title} cannot be converted: {told(one)} reads a picture made of features",
                status=4,
            )
        alone = readers.get(one.id, []) in ([], order[place + 1 : place + 2])
        variables[one.id] = "x" if alone else names[key]
        above = by_id.get(one.sources[0])
        yield Step(
            one=one,
            name=names[key],
            shapes=[[int(np.prod(shape))] for shape in given] if flattens else given,
            rank=rank,
            read=[variables[s] for s in one.sources],
            into=variables[one.id],
            shape=shapes[one.id],
            flattens=flattens,
            first=first,
            again=uses.get(key, 1) > 1,
            positive=above is not None and above.constants.get("function") in NOT_NEGATIVE,
        )


_OF_PICTURES = ("conv", "conv_transpose", "max_pool", "average_pool", "resize")


def _made_of(one: Operation, listing: Listing) -> bool:
    """True if the picture that an operation reads is larger than one pixel."""
    raw = {other.id: other for other in listing.operations}
    return {*raw[raw[one.id].sources[0]].shape[:-1]} != {1}


def told(one: Operation) -> str:
    """An operation as a refusal names it."""
    kind = one.kind.removeprefix("unread:")
    where = f", {one.where}" if one.where else ""
    return f"{one.name} ({kind}{where})"


def _weights(one: Operation) -> tuple[str, ...]:
    return tuple(one.parameters.values())


def _identifier(one: Operation, taken: set[str]) -> str:
    plain = re.sub(r"\W+", "_", one.name).strip("_").lower() or one.kind
    if not plain.isidentifier() or keyword.iskeyword(plain):
        plain = f"{one.kind}_{plain}"
    count, name = 1, plain
    while name in taken:
        count += 1
        name = f"{plain}_{count}"
    taken.add(name)
    return name


def call(function: str, *arguments: Any, **named: Any) -> str:
    """A call as text; arguments are written as Python has them, texts in `Text` as they are."""
    words = [_word(a) for a in arguments]
    words += [f"{k}={_word(v)}" for k, v in named.items()]
    return f"{function}({', '.join(words)})"


class Text(str):
    """Code that stands as it is."""


def _word(value: Any) -> str:
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        inside = ", ".join(map(_word, value))
        return f"({inside}{',' * (len(value) == 1)})"
    return repr(value)


def one_or_two(pair: Any) -> Any:
    """Equal numbers as one number."""
    return pair[0] if len({*pair}) == 1 else tuple(pair)
