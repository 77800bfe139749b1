"""Results of threads, for a main thread that has to hear signals while it waits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TypeVar

_T = TypeVar("_T")
_TURN_SECONDS = 0.2


def results(futures: Sequence[Future[_T]]) -> list[_T]:
    """The result of each future, in order; raises the first error as soon as it is there.

    The main thread waits in short turns. CPython misses a signal that comes between its last look
    and a wait without end, which on a busy machine is long enough to happen.
    """
    left = set(futures)
    while left:
        ended, left = wait(left, _TURN_SECONDS, FIRST_EXCEPTION)
        for one in ended:
            one.result()
    return [future.result() for future in futures]
