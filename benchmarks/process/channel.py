"""What a worker tells its parent: JSON lines on a pipe of its own.

Not on stdout, where frameworks print. Each line is an object with an `event`:

===========  =====================================================================================
`phase`      a phase begins: `name`
`facts`      columns of the run's row, as soon as they are known: `values`
`epoch`      rows of the epochs table: `rows`
`end`        the last line: `status` and `reason`
===========  =====================================================================================
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

PREDICTIONS_FILE = "predictions.npz"  # test predictions are too many for a pipe
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Channel:
    """The worker's end of the pipe."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # a helper process must not keep the pipe open
        self._descriptor = descriptor

    def send(self, event: str, **content: Any) -> None:
        """Send one event; raises BrokenPipeError when the parent is gone."""
        line = json.dumps({"event": event, **content}) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]


class Lines:
    """The parent's end: bytes in, whole events out. What is no event is left out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The events that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                yield event


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` (a process id) dies, however it dies.

    Linux only; elsewhere a worker notices at its next message, whose pipe is closed then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request was made
        os._exit(1)
