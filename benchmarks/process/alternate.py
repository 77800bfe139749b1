"""Processes side by side of which one has the turn at a time: epoch by epoch, once all have begun.

A process gives its turn back before every epoch, or block of the yardstick
(`benchmarks.process.turns`). One whose code knows of no turns, a checkout from before there were
any, has its first turn until it ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

from benchmarks.process.turns import VARIABLE


class Process:
    """A command that is started with its first turn.

    status: its exit status once it has ended. seconds: of all its turns.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        self.status: int | None = None
        self.seconds = 0.0
        self._command, self._variables = list(command), dict(variables)
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._go = self._done = -1

    def turn(self) -> bool:
        """Let it have the turn until it gives it back; False when it has ended instead."""
        start = time.perf_counter()
        self.go()
        going = self.wait()
        self.seconds += time.perf_counter() - start
        return going

    def go(self) -> None:
        """Give it the turn, the first by starting it."""
        if self._process is None:
            self._process = self._started()
        else:
            with contextlib.suppress(BrokenPipeError):  # killed while it waited
                os.write(self._go, b".")

    def wait(self, timeout: float | None = None) -> bool:
        """Until it gives its turn back; False when it has ended instead.

        Raises:
            TimeoutError: after so many seconds it had done neither.
        """
        assert self._process is not None
        if not select.select([self._done], [], [], timeout)[0]:
            raise TimeoutError
        going = bool(os.read(self._done, 1))  # the pipe ends with the last process that has it
        if not going:
            self.status = self._process.wait()
        return going

    def errors(self) -> list[str]:
        """The lines of its standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip().splitlines()

    def close(self) -> None:
        """Kill it if it has not ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            os.close(self._go)
            os.close(self._done)
        self._errors.close()

    def _started(self) -> subprocess.Popen[bytes]:
        go, self._go = os.pipe()
        self._done, done = os.pipe()
        try:
            return subprocess.Popen(
                self._command,
                env=self._variables | {VARIABLE: f"{go},{done}"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[go, done],
            )
        finally:
            os.close(go)
            os.close(done)


def alternate(processes: Sequence[Process]) -> None:
    """Run them to their ends, turn by turn, in the order given."""
    going = list(processes)
    while going:
        going = [one for one in going if one.turn()]
