"""Processes side by side of which one has the turn at a time: epoch by epoch, once all have begun.

A process gives its turn back before every epoch, or block of the yardstick
(`benchmarks.process.turns`). One whose code knows of no turns, a checkout from before there were
any, has its first turn until it ends.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.process.channel import Event
from benchmarks.process.spawn import Child
from benchmarks.process.turns import VARIABLE


class Process:
    """A child that is started with its first turn.

    child: once it is started. seconds: of all its turns. told: its events.
    """

    child: Child

    def __init__(
        self, start: Callable[[Mapping[str, str]], Child], variables: Mapping[str, str]
    ) -> None:
        """Args: `start` makes the child; it is given the variables, and one more of the turns."""
        self.seconds = 0.0
        self.told: list[Event] = []
        self._start, self._variables = start, variables
        self._go = -1

    def turn(self, limit: float = 0.0) -> bool:
        """Let it have the turn as long as `wait`; False when it has ended instead."""
        start = time.perf_counter()
        self.go()
        going = self.wait(limit)
        self.seconds += time.perf_counter() - start
        return going

    def go(self) -> None:
        """Give it the turn, the first by starting it."""
        if self._go >= 0:
            with contextlib.suppress(BrokenPipeError):  # killed while it waited
                os.write(self._go, b".")
            return
        go, give = os.pipe()
        take, done = os.pipe()
        try:
            self.child = self._start({**self._variables, VARIABLE: f"{go},{done}"})
        except OSError:
            os.close(give)
            os.close(take)
            raise
        finally:
            os.close(go)
            os.close(done)
        self._go = give
        self.child.watch(take, lambda data: [{"event": "turn"}])

    def wait(self, limit: float = 0.0) -> bool:
        """Until it gives its turn back; False when it has ended instead, or was killed because it
        had done neither after so many seconds; 0 is never."""
        for event in self.child.events(limit):
            if event["event"] == "turn":
                return True
            self.told.append(event)
        return False

    def close(self) -> None:
        """Kill it if it has not ended."""
        if self._go >= 0:
            self.child.close()
            os.close(self._go)


def alternate(processes: Sequence[Process], limit: float = 0.0) -> None:
    """Run them to their ends, turn by turn, in the order given; a turn has so many seconds."""
    while processes:
        processes = [one for one in processes if one.turn(limit)]
