"""One batch on its way through a program: what every reader notes of a call as it happens."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.port.axes import Axes, canonical, native, spread, unknown
from benchmarks.port.operation import Operation
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.meaning import Meaning, broadcast
from benchmarks.port.readers.program import Arrays, Pass


class Run(abc.ABC):
    """Operations of one batch, their outputs, and what each tensor is.

    known: number of the operation that made a tensor, and its axes, by the tensor's identity.
    alive: those tensors, so that no other one gets their identity.
    """

    def __init__(self, program: Any, how: Pass) -> None:
        self.program, self.how = program, how
        self.known: dict[int, tuple[str, Axes]] = {}
        self.alive: list[Any] = []
        self.operations: list[Operation] = []
        self.values: Arrays = {}
        self.alone: Arrays = {}

    @abc.abstractmethod
    def array(self, tensor: Any) -> np.ndarray:
        """A copy of a tensor in NumPy."""

    @abc.abstractmethod
    def tensor(self, value: np.ndarray) -> Any:
        """Numbers as a tensor of the framework."""

    @abc.abstractmethod
    def carried(self, meaning: Meaning) -> dict[str, str]:
        """The names of an operation's weights by role; they are carried from now on."""

    @property
    def next(self) -> str:
        """The number of the next operation."""
        return str(len(self.operations))

    @property
    def recording(self) -> bool:
        """True unless an engine traces, so that tensors have no values."""
        return getattr(self.program, "recording", True)

    def keep(self, tensor: Any, number: str, axes: Axes) -> None:
        """Note what a tensor is."""
        self.known[id(tensor)] = number, axes
        self.alive.append(tensor)

    def add(
        self,
        meaning: Meaning,
        x: Any,
        sources: list[str],
        *,
        name: str,
        where: str = "",
        stated: Sequence[str] = (),
    ) -> str:
        """Note an operation; gives its number.

        Args:
            x: its output. sources: numbers of the operations that it reads.
        """
        number, axes = self.next, meaning.axes or unknown(x.shape)
        has_batch = any(axis.label == "N" for axis in axes)
        parameters = self.carried(meaning)
        self.operations.append(
            Operation(
                id=number,
                kind=meaning.kind,
                name=name,
                sources=sources,
                constants=meaning.constants,
                stated=list(stated),
                where=where,
                shape=spread(x.shape, axes)[has_batch:],
                parameters=parameters,
            )
        )
        if self.recording:
            self.values[number] = canonical(self.array(x), axes)
        self.keep(x, number, axes)
        return number

    def add_weight(self, x: Any, variable: Any, name: str, beside: Sequence[Any]) -> None:
        """Make an operation of a weight that is used as a tensor: a scale, a position.

        Args:
            x: the tensor. variable: as `carried` knows it. beside: tensors of the same call.
        """
        sizes = tuple(x.shape)
        near = [self.known[id(b)][1] for b in beside if len(b.shape) >= len(sizes)]
        axes = broadcast(sizes, near[0]) if near else unknown(sizes)
        made = Meaning("weight", axes, {}, {"value": (variable, axes)})
        self.add(made, x, [], name=name, where=CALLS.where())

    def others(self, number: str, inputs: Sequence[Any]) -> dict[int, Any] | None:
        """The other program's inputs, in place of a call's own; None where they do not fit."""
        given = self.how.inputs.get(number)
        if given is None or not self.recording or len(given) != len(inputs):
            return None
        swapped = {}
        for x, value in zip(inputs, given, strict=True):
            axes = self.known[id(x)][1]
            if value.size != np.prod(x.shape):
                return None
            swapped[id(x)] = self.tensor(native(value.reshape(spread(x.shape, axes)), axes))
        return swapped
