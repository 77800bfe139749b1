"""Events that a child process sends its parent: JSON lines on a pipe of their own.

The pipe is not stdout, where frameworks print. Each line is an object with an `event`:

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
from typing import Annotated, Any, Literal

import msgspec

PREDICTIONS_FILE = "predictions.npz"  # test predictions are too many for a pipe
VARIABLE = "BENCHMARK_EVENTS"  # names the descriptor; `child.py` repeats it
# A child that sends more is broken.
_EVENT_BYTES = 2**24
_ALL_BYTES = 2**28
_SHOWN_BYTES = 60  # of what is no event, in the message

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
    """The parent's end: bytes in, whole events out, in time proportional to the bytes."""

    def __init__(self) -> None:
        self._begun = bytearray()  # a line that is not whole yet
        self._bytes = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that these bytes complete.

        Raises:
            ValueError: a line is no event, or they are larger than any that the project sends.
        """
        self._bytes += len(data)
        if self._bytes > _ALL_BYTES:
            raise ValueError(f"it sent more than {_ALL_BYTES >> 20} MiB of events")
        first, *more = data.split(b"\n")
        self._begun += first
        for following in more:
            line, self._begun = self._begun, bytearray(following)
            yield _event(line)
        if len(self._begun) > _EVENT_BYTES:
            raise ValueError(f"it sent an event of more than {_EVENT_BYTES >> 20} MiB")


def _event(line: bytearray) -> Event:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        event = None
    if isinstance(event, dict) and "event" in event:
        return event
    raise ValueError(f"it sent what is no event: {bytes(line[:_SHOWN_BYTES])!r}")


class _Phase(msgspec.Struct, tag_field="event", tag="phase"):
    name: Annotated[str, msgspec.Meta(max_length=80)]


class _Extra(msgspec.Struct):
    """Fields of `extra` that the harness reads; it passes the others on unread."""

    seconds_before_resuming: float = 0.0
    waited_for_turn_seconds: float = 0.0
    resumed_from_epoch: int = 0
    checkpoint_damage: list[str] = []
    checkpoint_error: str = ""
    model_error: str = ""


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
