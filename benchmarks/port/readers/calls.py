"""Origin of each object: its caller's place and stated arguments, noted as the user's file runs."""

from __future__ import annotations

import inspect
import sys
import traceback
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

_FRAMES = 4  # of the user's own, shown
_PRODUCT = (Path(__file__).parents[2], Path(__file__).parents[3] / "frameworks")


class Made(msgspec.Struct):
    """stated: arguments that the program gave by name or place. where: file and line."""

    stated: list[str]
    where: str


class Calls:
    """The objects that were made while user code ran.

    Objects are told apart by their identity, so those made are kept alive or are held weakly.
    """

    def __init__(self) -> None:
        self.folders: list[Path] = []  # of the user's files
        self.notes: list[str] = []  # on what the program asks for and does not get here
        self._own: dict[str, bool] = {}  # by file
        self._made: dict[int, Made] = {}
        self._alive: list[Any] = []

    def own(self, file: str) -> bool:
        """True of a file of the user's own: below a folder of theirs, and no installed library."""
        if file not in self._own:
            path = Path(file)
            others = {"site-packages", "dist-packages"} & set(path.parts)
            theirs = any(folder in path.parents for folder in self.folders)
            product = any(folder in path.parents for folder in _PRODUCT)
            self._own[file] = theirs and not others and not product and not file.startswith("<")
        return self._own[file]

    def add(self, folder: Path) -> None:
        """Count the files below a folder to the user's own."""
        self.folders.append(folder)
        self._own.clear()

    def of(self, made: object) -> Made:
        """The stated arguments and place of an object's making; empty where it was not seen."""
        return self._made.get(id(made), Made([], ""))

    def note(self, made: object, initialiser: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Keep what a call stated.

        Args:
            initialiser: the `__init__`, or the function, whose arguments they are.
        """
        if id(made) in self._made and self._made[id(made)].where:
            return
        try:
            self.put(
                made, [*inspect.signature(initialiser).bind_partial(*args, **kwargs).arguments]
            )
        except (TypeError, ValueError):  # the call fails by itself, with its own words
            self.put(made, list(kwargs))

    def put(self, made: object, stated: list[str]) -> None:
        """Keep that an object was made here with these arguments stated."""
        self._made[id(made)] = Made([name for name in stated if name != "self"], self.where())
        try:
            weakref.finalize(made, self._made.pop, id(made), None)
        except TypeError:
            self._alive.append(made)

    def own_step(self, model: object, *names: str) -> None:
        """Note that a model's class has a training step of its own, under one of these names."""
        for kind in type(model).__mro__:
            if kind.__module__.startswith(("keras.", "torch.")):
                return
            if found := [name for name in names if name in vars(kind)]:
                note = f"{kind.__name__} has its own {found[0]}, which is not compared: only the "
                self.notes.append(note + "model's call, loss and optimizer are")
                return

    def lowered(self, asked: Any) -> None:
        """Note that the program asks for a type of 16 bits; none of another type."""
        if any(word in str(asked) for word in ("float16", "half")):
            note = f"{self.where() or 'the program'} asks for {asked}; here all is float64"
            self.notes += [] if note in self.notes else [note]

    def where(self, frame: FrameType | None = None) -> str:
        """File and line of the innermost frame in the user's own files; "" without one."""
        frame = frame or sys._getframe(1)
        while frame is not None:
            if self.own(frame.f_code.co_filename):
                return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            frame = frame.f_back
        return ""

    def frames(self, error: BaseException) -> list[str]:
        """The last frames of the user's own in an exception's traceback."""
        mine = [
            f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}"
            for frame in traceback.extract_tb(error.__traceback__)
            if self.own(frame.filename)
        ]
        return mine[-_FRAMES:]

    def watch_new(self, kinds: Iterable[type]) -> None:
        """Note every object of these classes and of those below them."""
        for kind in kinds:
            kind.__new__ = self._noting(kind.__new__)  # type: ignore[method-assign]

    def _noting(self, original: Callable[..., Any]) -> Any:
        plain = original is object.__new__

        def make(cls: type, *args: Any, **kwargs: Any) -> Any:
            made = object.__new__(cls) if plain else original(cls, *args, **kwargs)
            self.note(made, cls.__init__, (made, *args), kwargs)  # type: ignore[misc]
            return made

        return staticmethod(make)


CALLS = Calls()
