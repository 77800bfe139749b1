"""What a child process tells its parent: events, JSON lines on a pipe of their own.

Not on stdout, where frameworks print. Each line is an object with an `event`:

===========  =====================================================================================
`phase`      a phase begins: `name`
`facts`      `values` by name, as soon as they are known; of a run: columns of its row
`epoch`      rows of the epochs table: `rows`
`end`        the last line of a run: `status` and `reason`
===========  =====================================================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

PREDICTIONS_FILE = "predictions.npz"  # test predictions are too many for a pipe
VARIABLE = "BENCHMARK_EVENTS"  # names the descriptor; `child.py` repeats it
_EVENT_BYTES = 2**24  # a child that sends more at once is broken

Event = dict[str, Any]


class Channel:
    """The child's end of the pipe; stdout where nobody listens."""

    def __init__(self) -> None:
        self._descriptor = int(os.environ.pop(VARIABLE, "1"))

    def send(self, event: str, **content: Any) -> None:
        """Send one event; raises BrokenPipeError when the parent is gone."""
        line = json.dumps({"event": event, **content}) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]


class Lines:
    """The parent's end: bytes in, whole events out. What is no event is left out."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a line that is not whole yet

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that these bytes complete.

        Raises:
            ValueError: an event is larger than any that the project sends.
        """
        first, *more = data.split(b"\n")
        self._parts.append(first)
        for following in more:
            line, self._parts = b"".join(self._parts), [following]
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and "event" in event:
                yield event
        if sum(map(len, self._parts)) > _EVENT_BYTES:
            raise ValueError(f"it sent an event of more than {_EVENT_BYTES >> 20} MiB")


class _Phase(msgspec.Struct, tag_field="event", tag="phase"):
    name: str


class _Extra(msgspec.Struct):
    seconds_before_resuming: float = 0.0
    waited_for_turn_seconds: float = 0.0


class _Values(msgspec.Struct):
    extra: _Extra = msgspec.field(default_factory=_Extra)


class _Facts(msgspec.Struct, tag_field="event", tag="facts"):
    values: _Values


class _Row(msgspec.Struct):
    epoch: int
    split: Literal["train", "validation"]
    loss: float
    accuracy: float


class _Epoch(msgspec.Struct, tag_field="event", tag="epoch"):
    rows: list[_Row]


class _End(msgspec.Struct, tag_field="event", tag="end"):
    status: Literal["ok", "diverged", "oom", "error"]
    reason: str | None


def check(event: Event) -> None:
    """Raise ValueError for an event that lacks what its kind has; the message says where."""
    try:
        msgspec.convert(event, _Phase | _Facts | _Epoch | _End)
    except msgspec.ValidationError as error:
        raise ValueError(f"it sent a malformed event: {error}") from error
