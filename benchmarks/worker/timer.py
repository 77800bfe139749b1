"""The clock of a run: the seconds of each phase, with the device idle at both edges."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.process.channel import Channel
from frameworks.backend import Backend


@dataclass
class Clock:
    """Seconds of each phase, and the phase that is under way."""

    channel: Channel
    seconds: dict[str, float] = field(default_factory=dict)
    phase: str = "start"

    @contextlib.contextmanager
    def measure(self, phase: str, backend: Backend | None = None) -> Iterator[None]:
        """Add to a phase the time of a block, with the device idle at both edges."""
        if phase != self.phase:
            self.channel.send("phase", name=phase)
            self.phase = phase
        if backend is not None:
            backend.synchronize()
        start = time.perf_counter_ns()
        yield
        if backend is not None:
            backend.synchronize()
        elapsed = (time.perf_counter_ns() - start) / 1e9
        self.seconds[phase] = self.seconds.get(phase, 0.0) + elapsed

    def facts(self) -> dict[str, float]:
        """The phases as columns: `import_seconds`, ..."""
        return {f"{phase}_seconds": seconds for phase, seconds in self.seconds.items()}
