"""Progress of a conversion: a bar on a terminal, a line every tenth in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from results import words
from results.output import say

_FEW = 2000  # pictures that are converted before anyone looks for a line


@contextmanager
def progress_of(
    name: str, total: int, stream: TextIO | None = None
) -> Iterator[Callable[[int], None]]:
    """A function that is told of so many more pictures; shown on ``stream`` (standard error)."""
    stream = stream or sys.stderr
    if stream.isatty():
        from rich import progress as bars

        from results.terminal import Terminal

        columns = (
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeRemainingColumn(),
        )
        with bars.Progress(*columns, console=Terminal(file=stream)) as bar:
            task = bar.add_task(name, total=total)
            yield lambda count: bar.advance(task, count)
        return
    have, step = 0, max(1, total // 10)

    def advance(count: int) -> None:
        nonlocal have
        before, have = have // step, have + count
        if total > _FEW and have // step > before:
            say(f"{name}: {have:,} of {words.count(total, 'picture')}", to=stream, flush=True)

    yield advance
