"""The interface of every reader to a program: list it, run it, change a constant, run it again."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from benchmarks.port.operation import Listing, Operation, PortError
from benchmarks.port.readers.steps import Arrays, Steps
from frameworks.spec.loss_scale import BACK_OFF, GROWTH

# Steps of which the rate of a schedule is noted.
PROBED = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass
class Pass:
    """Settings of one pass of a batch through a program.

    training: training or inference mode.
    uniforms: by dropout operation, numbers in [0, 1) of the shape of its mask; those below the
        rate are dropped.
    inputs: by operation, the other program's inputs; it is run on them as well, by itself.
    """

    training: bool = False
    uniforms: Arrays = field(default_factory=dict)
    inputs: dict[str, list[np.ndarray]] = field(default_factory=dict)


@dataclass
class Outputs:
    """Outputs of every operation.

    values: canonical, on the program's own inputs. alone: the same on the other program's inputs.
    """

    values: Arrays
    alone: Arrays


@dataclass
class Gradients:
    """Loss and gradients of one batch in training mode.

    loss: as it is minimised. regularizer: the part of it that the model adds itself.
    gradients: of each weight. statistics: the running statistics afterwards.
    """

    loss: float
    regularizer: float
    gradients: Arrays
    statistics: Arrays


class Program(abc.ABC):
    """A user's model with its recipe, in float64 and in canonical layout (`operation`)."""

    listing: Listing
    training: Any  # loss, optimizer and schedule, in the words of the program's framework

    @abc.abstractmethod
    def weights(self) -> Arrays:
        """Every weight and running statistic by the program's own name."""

    @abc.abstractmethod
    def load(self, weights: Arrays) -> None:
        """Set those weights; others are left."""

    @abc.abstractmethod
    def forward(self, pictures: np.ndarray, how: Pass) -> Outputs:
        """Run a batch; running statistics are as before afterwards."""

    @abc.abstractmethod
    def call_bare(self, pictures: np.ndarray) -> np.ndarray:
        """The outputs when the model is called as it was handed over."""

    @abc.abstractmethod
    def gradients(self, pictures: np.ndarray, labels: np.ndarray, how: Pass) -> Gradients:
        """Loss and gradients; weights and running statistics are as before afterwards."""

    @abc.abstractmethod
    def loss_on(
        self, outputs: np.ndarray, labels: np.ndarray, through: str
    ) -> tuple[float, np.ndarray]:
        """The loss of given outputs of the model, and its gradient by them.

        Args:
            through: the function that the model applies to them last: softmax, sigmoid,
                log_softmax, or "".
        """

    @abc.abstractmethod
    def steps(self, gradients: list[Arrays]) -> list[Arrays]:
        """The trained weights after each step of a fresh optimizer that is given these gradients;
        the weights are as before afterwards."""

    @abc.abstractmethod
    def train(
        self, pictures: np.ndarray, labels: np.ndarray, passes: Iterable[tuple[int, Pass]]
    ) -> tuple[list[float], Arrays]:
        """Losses of the steps of a fresh optimizer at its largest rate, and the weights afterwards;
        the program's are as before.

        Args:
            pictures: (batches, batch, ...), as are the labels.
            passes: of each step, which batch it takes, and how.
        """

    @abc.abstractmethod
    def own_steps(self) -> Steps:
        """The program's own training from here on, with a fresh optimizer."""

    @abc.abstractmethod
    def change(self, operation: str, constant: str, value: Any) -> bool:
        """Compute with another constant from now on; False where that cannot be done."""

    @abc.abstractmethod
    def change_optimizer(self, constant: str, value: Any) -> bool:
        """Update with another constant from now on; False where that cannot be done."""


def same_way(inference: list[Operation], training: list[Operation], remedy: str) -> list[Operation]:
    """The operations in inference, with constants that only training mode shows.

    Raises:
        PortError: the program computes other operations in training mode.
    """
    for one, other in zip_longest(inference, training):
        if one is None or other is None or _plain(one) != _plain(other):
            odd = other or one
            assert odd is not None
            raise PortError(
                f"{odd.where or 'the model'}: the program computes otherwise in training mode "
                f"({odd.kind.removeprefix('unread:')}), and both programs cannot be given the "
                f"numbers of a branch; {remedy}",
                status=4,
            )
        one.constants |= {k: v for k, v in other.constants.items() if k not in one.constants}
    return inference


def _plain(one: Operation) -> str:
    return one.kind.removeprefix("unread:").partition(" with a computed")[0]


def needed_inputs(call: Any, modes: tuple[str, ...] = ()) -> list[str]:
    """The arguments that a model's call needs.

    Args:
        modes: arguments that are no inputs.
    """
    parameters = inspect.signature(call).parameters.values()
    found = [p for p in parameters if p.default is p.empty and p.name not in ("self", *modes)]
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def refuse_several(label: str, names: list[str]) -> None:
    """Refuse a model that needs more than pictures.

    Raises:
        PortError: it does.
    """
    if len(names) > 1:
        raise PortError(
            f"{label} takes several inputs ({', '.join(names)}); give a model of pictures alone: "
            "write one around it that takes them together, as channels, and cuts them apart"
        )


def listed(roles: set[str]) -> str:
    """Roles in words."""
    return ", ".join(sorted(roles - {""})) or "nothing"


def scale_words(
    initial: float, interval: int, growth: float = GROWTH, back_off: float = BACK_OFF
) -> dict[str, Any]:
    """The constants of a scaled loss; factors only where they are not those of every framework."""
    factors = {"growth": (growth, GROWTH), "back_off": (back_off, BACK_OFF)}
    odd = {f"loss_scale_{name}": one for name, (one, usual) in factors.items() if one != usual}
    return {"loss_scale": float(initial), "loss_scale_interval": int(interval), **odd}


def roles_of(operations: list[Operation]) -> dict[str, str]:
    """The role of each weight, by its name; of attention's dense layers that in a dense layer."""
    return {
        key: role.rpartition("_")[2] if one.kind == "attention" else role
        for one in operations
        for role, key in one.parameters.items()
    }


def uncarried(names: Iterable[str]) -> list[str]:
    """Notes on weights that no operation of a listing has."""
    return [f"{k}: no operation that is read uses it; it cannot be carried across" for k in names]


def clash(name: str) -> str:
    """The note on a weight whose rows have two orders."""
    return f"{name}: used in two places with its rows in two orders; it cannot be carried across"


def targets(
    labels: np.ndarray, shape: tuple[int, ...], form: str, *, first: bool = False
) -> np.ndarray:
    """Targets of a loss, in the form that it takes, for generated class labels.

    Args:
        labels: int64 (batch,).
        shape: of the model's output.
        form: sparse (labels), one_hot (float64, as the output), or binary (0 and 1, as the output).
        first: channels stand ahead of rows and columns, in an output that is a picture. All its
            pixels have the picture's label.
    """
    if len(shape) > 2:
        channels, inner = (shape[1], shape[2:]) if first else (shape[-1], shape[1:-1])
        if form == "binary" or (form == "one_hot" and channels == 1):
            marks = (labels % 2).reshape(-1, *(1 for _ in shape[1:]))
            return np.broadcast_to(marks, shape).astype(np.float64)
        pixels = np.broadcast_to(labels.reshape(-1, *(1 for _ in inner)), (len(labels), *inner))
        if form == "sparse":
            return pixels % channels
        made = np.eye(channels)[pixels % channels]
        return np.moveaxis(made, -1, 1) if first else made
    if form == "sparse":
        return labels
    if form == "one_hot":
        return np.eye(shape[-1])[labels]
    count = int(np.prod(shape[1:]))
    marks = (labels[:, None] + np.arange(count)) % 2
    return marks.reshape(shape).astype(np.float64)
