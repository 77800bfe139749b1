"""A command that is asked to end: SIGTERM interrupts it as Ctrl-C does.

Both raise KeyboardInterrupt, so that what is under way is killed, scratch files are removed and
what was finished is kept.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM)."""


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Inside, SIGTERM raises Terminated in the main thread."""
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def told(command: Callable[[], int], kept: str = "") -> int:
    """The command's exit status; interrupted, it says so and what is kept, and gives `status`."""
    try:
        with sigterm_interrupts():
            return command()
    except KeyboardInterrupt as interrupt:
        print("; ".join(filter(None, ["interrupted", kept])), file=sys.stderr)
        return status(interrupt)


def status(interrupt: KeyboardInterrupt) -> int:
    """The exit status: 128 and the signal's number, as shells have it."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


def _raise(*_: object) -> NoReturn:
    raise Terminated
