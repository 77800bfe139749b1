"""Progress of a download or a conversion: a bar on a terminal, a line every tenth in a log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TextIO

from results.output import say
from results.words import count

if TYPE_CHECKING:
    from rich import progress as bars

_FEW = 2000  # pictures that are converted before anyone looks for a line


class Progress(Protocol):
    """Told of what comes. ``start`` comes again when a download is taken up again."""

    def start(self, have: int, total: int | None) -> None:
        """``have`` of ``total`` are here."""

    def advance(self, number: int) -> None:
        """``number`` more have come."""

    def note(self, text: str) -> None:
        """Say something in between."""


@contextlib.contextmanager
def of_bytes(name: str, total: int | None, stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress of a download, shown on ``stream`` (standard error)."""
    from rich import progress as bars

    columns = bars.DownloadColumn(), bars.TransferSpeedColumn()
    with _shown(name, total, stream or sys.stderr, columns, _megabytes) as progress:
        yield progress


@contextlib.contextmanager
def of_pictures(name: str, total: int, stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress of a conversion; a log has no line of few pictures."""
    from rich import progress as bars

    told = _pictures if total > _FEW else None
    columns = (bars.MofNCompleteColumn(),)
    with _shown(name, total, stream or sys.stderr, columns, told) as progress:
        progress.start(0, total)
        yield progress


@contextlib.contextmanager
def _shown(
    name: str,
    total: int | None,
    stream: TextIO,
    columns: tuple[bars.ProgressColumn, ...],
    told: Callable[[int, int | None], str] | None,
) -> Iterator[Progress]:
    if not stream.isatty():
        yield _Lines(name, stream, told)
        return
    from rich import progress as bars

    from results.terminal import Terminal

    first = bars.TextColumn("{task.description}", style="bold", markup=False)
    around = first, bars.BarColumn(), *columns, bars.TimeRemainingColumn()
    with bars.Progress(*around, console=Terminal(file=stream)) as bar:
        yield _Bar(bar, bar.add_task(name, total=total))


class _Bar:
    def __init__(self, bar: bars.Progress, task: bars.TaskID) -> None:
        self._bar, self._task = bar, task

    def start(self, have: int, total: int | None) -> None:
        self._bar.update(self._task, completed=have, total=total)

    def advance(self, number: int) -> None:
        self._bar.advance(self._task, number)

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)


class _Lines:
    """A line at the start and at each tenth, or each 100,000,000 where there is no total."""

    def __init__(
        self, name: str, stream: TextIO, told: Callable[[int, int | None], str] | None
    ) -> None:
        self._name, self._stream, self._told = name, stream, told
        self._have, self._next, self._step = 0, 0, 1
        self._total: int | None = None

    def start(self, have: int, total: int | None) -> None:
        self._have, self._total = have, total
        self._step = max(1, total // 10) if total else 100_000_000
        self._next = have + self._step
        self._print()

    def advance(self, number: int) -> None:
        self._have += number
        if self._have >= self._next or self._have == self._total:
            self._next += self._step * ((self._have - self._next) // self._step + 1)
            self._print()

    def note(self, text: str) -> None:
        say(f"{self._name}: {text}", to=self._stream, flush=True)

    def _print(self) -> None:
        if self._told is not None:
            self.note(self._told(self._have, self._total))


def _megabytes(have: int, total: int | None) -> str:
    of = f" of {total / 1e6:.1f}" if total else ""
    return f"{have / 1e6:.1f}{of} MB"


def _pictures(have: int, total: int | None) -> str:
    return f"{have:,} of {count(total or 0, 'picture')}"
