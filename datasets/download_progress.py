"""Progress of a download: a bar on a terminal, a line every tenth in a log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, TextIO

from results.output import say

if TYPE_CHECKING:
    from rich import progress as bars


class Progress(Protocol):
    """Told of a download as it goes. ``start`` comes again when one is taken up again."""

    def start(self, have: int, total: int | None) -> None:
        """``have`` of ``total`` bytes are here."""

    def advance(self, count: int) -> None:
        """``count`` more bytes have come."""

    def note(self, text: str) -> None:
        """Say something in between."""


@contextlib.contextmanager
def progress_of(name: str, total: int | None, stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress shown on ``stream`` (standard error): a bar if it is a terminal, else lines."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _Lines(name, stream)
        return
    from rich import progress as bars

    from results.terminal import Terminal

    columns = (
        "[bold]{task.description}",
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Terminal(file=stream)) as bar:
        yield _Bar(bar, bar.add_task(name, total=total))


class _Bar:
    def __init__(self, bar: bars.Progress, task: bars.TaskID) -> None:
        self._bar, self._task = bar, task

    def start(self, have: int, total: int | None) -> None:
        self._bar.update(self._task, completed=have, total=total)

    def advance(self, count: int) -> None:
        self._bar.advance(self._task, count)

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)


class _Lines:
    """A line at the start and at each tenth, or each 100 MB where the size is not known."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self._name, self._stream = name, stream
        self._have, self._next, self._step = 0, 0, 1
        self._total: int | None = None

    def start(self, have: int, total: int | None) -> None:
        self._have, self._total = have, total
        self._step = max(1, total // 10) if total else 100_000_000
        self._next = have + self._step
        self._print()

    def advance(self, count: int) -> None:
        self._have += count
        if self._have >= self._next or self._have == self._total:
            self._next += self._step * ((self._have - self._next) // self._step + 1)
            self._print()

    def note(self, text: str) -> None:
        say(f"{self._name}: {text}", to=self._stream, flush=True)

    def _print(self) -> None:
        total = f" of {self._total / 1e6:.1f}" if self._total else ""
        self.note(f"{self._have / 1e6:.1f}{total} MB")
