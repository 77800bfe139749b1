"""One operation of a program, in words that mean the same for every framework.

Pictures are (batch, height, width, channels); kernels of convolutions are (height, width, in, out),
those of dense layers (in, out), and a flattened picture is in the order row, column, channel. A
reader turns its framework's layout into this one and back.
"""

from __future__ import annotations

from typing import Any

import msgspec

PICTURES = "pictures"  # what the first operation reads


class Operation(msgspec.Struct, kw_only=True):
    """An operation in the order of execution.

    id: "0", "1", ... in the order of execution, the same in each run of a program.
    kind: conv, dense, max_pool, ...; "unread:NAME" for what no reader has words for.
    name: of the layer, as the program's author knows it.
    sources: ids of the operations whose outputs it reads, in order; PICTURES for the input.
    constants: what it computes with, besides weights, in the words of `words.CONSTANTS`.
    stated: the constants that the program states; the others were left to the framework's default.
    where: file and line in the program; "" where unknown.
    shape: of the output without the batch, canonical.
    parameters: role (kernel, bias, gamma, ...) to the program's own name of the weight.
    """

    id: str
    kind: str
    name: str
    sources: list[str]
    constants: dict[str, Any] = {}
    stated: list[str] = []
    where: str = ""
    shape: list[int] = []
    parameters: dict[str, str] = {}

    @property
    def rank(self) -> int:
        """The axes of a picture, besides its channels: 1 of a spectrum, 2, or 3 of a cube."""
        windows = self.constants.get("kernel", self.constants.get("size"))
        return len(windows) if isinstance(windows, list | tuple) else max(1, len(self.shape) - 1)

    @property
    def unread(self) -> bool:
        """True if its meaning is unknown and only its output can be computed."""
        return self.kind.startswith("unread:")


class Recipe(msgspec.Struct, kw_only=True):
    """Loss, optimizer and schedule of a program; empty where it has none.

    loss, optimizer: `kind` and the constants; both name what was stated and where.
    loss_targets: sparse, one_hot or binary; "" of a loss that takes several.
    rates: learning rate by step, where the program has a schedule. momenta: momentum, or the
    first beta, by step, where the schedule moves it too.
    """

    loss: dict[str, Any] = {}
    optimizer: dict[str, Any] = {}
    loss_stated: list[str] = []
    optimizer_stated: list[str] = []
    loss_where: str = ""
    loss_targets: str = ""
    optimizer_where: str = ""
    rates: dict[int, float] = {}
    momenta: dict[int, float] = {}


class Listing(msgspec.Struct, kw_only=True):
    """Operations, weights and recipe that a reader found in a program.

    framework: keras, keras@torch, torch, jax.
    input: shape of a picture (height, width, channels), or (features,).
    parameters: the program's own names of all weights to their canonical shape.
    fixed: those of them that are not trained: running statistics.
    constants: those of them that are no weights: a kernel that the program states.
    bare: the model's mode when called as the program hands it over: training or inference; "" of
    one that has to be told.
    notes: what the user should know; nothing that was skipped is missing here.
    """

    framework: str
    operations: list[Operation]
    output: str
    input: list[int]
    parameters: dict[str, list[int]]
    fixed: list[str]
    constants: list[str] = []
    recipe: Recipe
    bare: str = "inference"
    settings: dict[str, str] = {}
    notes: list[str] = []


class PortError(ValueError):
    """A program cannot be read or run; the message says which step, and what to do.

    status: the exit status: 2 for bad input, 4 for what could not be told.
    """

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status
