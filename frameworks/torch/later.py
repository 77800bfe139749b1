"""PyTorch's compiler, loaded when something compiles.

The first optimizer of a process imports `torch._dynamo`, two seconds of work, to call two functions
of it: `disable`, which keeps the compiler away from a function, and `graph_break`, which does
nothing but tell the compiler (torch/_compile.py, torch/optim/optimizer.py). In a process that
compiles nothing both are no-ops. `postpone` answers these two itself, and loads the compiler for
all else.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from frameworks.torch.triton import load_apart

NAME = "torch._dynamo"
_CACHED = "__dynamo_disable"  # where `torch._compile` keeps the answer of `disable`


class _Later(ModuleType):
    """Stands where the compiler will."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._kept: list[Callable[..., Any]] = []

    def graph_break(self, msg: str = "") -> None:
        """Nothing is compiled."""

    def disable(
        self, fn: Callable[..., Any] | None = None, recursive: bool = True, **options: Any
    ) -> Any:
        """The function itself: there is no compiler to keep away from it."""
        if fn is None or set(options) - {"wrapping", "reason"}:
            return self._loaded().disable(fn, recursive, **options)
        self._kept.append(fn)
        return fn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaded(), name)

    def _loaded(self) -> ModuleType:
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME]
            del torch._dynamo
            load_apart()
            try:
                importlib.import_module(NAME)
            except BaseException:
                sys.modules[NAME] = torch._dynamo = self
                raise
            for fn in self._kept:  # from now on they must be kept from it
                fn.__dict__.pop(_CACHED, None)
        return sys.modules[NAME]


def postpone() -> None:
    """Have the compiler loaded when something compiles; nothing where it is loaded already."""
    if NAME not in sys.modules:
        sys.modules[NAME] = torch._dynamo = _Later()
