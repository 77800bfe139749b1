"""A run's turns at the machine, where the gate has both sides train an epoch each in turn.

A machine's speed may change by a third from one half minute to the next (a neighbour on the same
core). Runs that follow each other meet different speeds; epochs that do, mostly the same.

BENCHMARK_TURNS=GO,DONE names two pipes by their descriptors. A byte written to DONE gives the turn
back, and one read from GO is the next turn; `benchmarks.process.alternate` has their other ends.
A process has the turn from its start on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

VARIABLE = "BENCHMARK_TURNS"


def descriptors(variables: Mapping[str, str] = os.environ) -> tuple[int, ...]:
    """GO and DONE, for a process to hand on to the one that trains; none without the variable."""
    text = variables.get(VARIABLE, "")
    return tuple(int(one) for one in text.split(",")) if text else ()


@dataclass
class Turns:
    """The turns of this process; every one is its own where nobody alternates.

    waited_seconds: what others had of the time.
    """

    waited_seconds: float = 0.0
    _pipes: tuple[int, ...] = field(default_factory=descriptors)

    def next(self) -> None:
        """Give the turn back, and wait for the next one."""
        if not self._pipes:
            return
        go, done = self._pipes
        start = time.perf_counter()
        try:
            os.write(done, b".")
            os.read(go, 1)  # at its end, too, there is nobody left to wait for
        except BrokenPipeError:
            self._pipes = ()
        self.waited_seconds += time.perf_counter() - start
