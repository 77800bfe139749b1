"""Faults as changes of a backend's own source: lines that stand there, and the wrong ones instead.

A fault whose lines are no longer there is refused by name: the code that it patches has moved.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from results.vocabulary import Tuning


class MovedError(Exception):
    """The code that a fault patches isn't there any more."""


class Rewrite(NamedTuple):
    """A fault: in the function "module:qualified.name" the text `old`, which stands there once, is
    `new`."""

    place: str
    old: str
    new: str


class Lines(NamedTuple):
    """A user's mistake: the rung that should fail, the first letters of its case's name, and the
    lines that make it."""

    mistake: str
    rung: str
    case: str
    changes: tuple[Rewrite, ...]
    tuning: Tuning = "idiomatic"

    @property
    def framework(self) -> str:
        """The framework whose files are changed."""
        name = self.changes[0].place.split(".")[1]
        return "jax" if name == "flax" else name


@contextmanager
def rewritten(*changes: Rewrite) -> Iterator[None]:
    """Run with the changes in place; whoever holds a function, imported or kept, has its changed
    code.

    Raises:
        MovedError: no such function, or its text isn't there once.
    """
    made = [(function := _found(change.place), function.__code__, change) for change in changes]
    coded = [(function, _code(function, change)) for function, _, change in made]
    try:
        for function, code in coded:
            function.__code__ = code
        _forget_compiled()
        yield
    finally:
        for function, code, _ in made:
            function.__code__ = code
        _forget_compiled()


def _found(place: str) -> FunctionType:
    """The function behind its decorators."""
    module, _, name = place.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = inspect.getattr_static(found, part)
    except (AttributeError, ModuleNotFoundError):
        raise MovedError(f"there is no '{place}'") from None
    for kind, part in _HOLDERS:
        if isinstance(found, kind):
            found = getattr(found, part)
    found = inspect.unwrap(found)
    if not isinstance(found, FunctionType):
        raise MovedError(f"'{place}' is no function")
    return found


_HOLDERS: tuple[tuple[type, str], ...] = (
    (property, "fget"),
    (functools.cached_property, "func"),
    (staticmethod, "__func__"),
    (classmethod, "__func__"),
)


def _code(function: FunctionType, change: Rewrite) -> CodeType:
    """The function's code with the change, for the same cells and globals."""
    lines = inspect.getsource(function)
    if (times := lines.count(change.old)) != 1:
        raise MovedError(f"'{change.old}' stands {times} times in '{change.place}'")
    lines = textwrap.dedent(lines.replace(change.old, change.new))
    body = lines[lines.index("def ") :]  # without decorators
    free = function.__code__.co_freevars
    whole = f"def around({', '.join(free)}):\n{textwrap.indent(body, '    ')}\n"
    whole += f"    return {function.__name__}"
    made: dict[str, Callable[..., Any]] = {}
    header = "from __future__ import annotations\n"
    exec(compile(header + whole, change.place, "exec"), function.__globals__, made)
    code: CodeType = made["around"](*free).__code__
    if code.co_freevars != free:
        raise MovedError(f"'{change.place}' has other variables around it: {code.co_freevars}")
    return code


def _forget_compiled() -> None:
    """JAX keeps what it compiled by function, whose code is another now."""
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
