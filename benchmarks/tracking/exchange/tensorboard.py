"""Curves of stored runs as TensorBoard event files, one directory a run.

TensorBoard's own record writer and protocol buffers are used. Its `EventFileWriter` is not: that
one loads TensorFlow where it is installed, and no framework is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.tracking.exchange.curves import Curves, not_installed
from results.names import beneath, file_name
from results.writer import whole_file


def export(found: Iterable[Curves], directory: Path) -> int:
    """Write the curves; returns how many runs had any.

    Tags are `accuracy/train`, `loss/validation`, ...; the step is the epoch.

    Raises:
        ValueError: TensorBoard is not installed.
        OSError: the directory cannot be written.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise not_installed("tensorboard", "tensorboard", error) from error
    written = 0
    for one in found:
        run = beneath(directory, f"{one.name}-{one.execution}")
        path = run / file_name(f"events.out.tfevents.{one.began:.0f}.{one.execution}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                writer = RecordWriter(file)
                first = Event(wall_time=one.began, file_version="brain.Event:2")
                writer.write(first.SerializeToString())
                for event in _events(one, Event, Summary):
                    writer.write(event.SerializeToString())
        except OSError as error:
            raise OSError(f"cannot write {path}: {error.strerror or error}") from error
        written += 1
    return written


def _events(one: Curves, event: Any, summary: Any) -> Any:
    """An event for each epoch, with a scalar for each curve that has a value there."""
    for number, elapsed, values in one.epochs:
        scalars = [summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        yield event(wall_time=one.began + elapsed, step=number, summary=summary(value=scalars))
