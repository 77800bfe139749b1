"""Curves of stored runs as TensorBoard event files, one directory a run.

TensorBoard's own record writer and protocol buffers are used. Its `EventFileWriter` is not: that
one loads TensorFlow where it is installed, and no framework is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.tracking.history import History, Rows
from results.names import beneath, file_name
from results.writer import whole_file

if TYPE_CHECKING:
    from results.store import Store

_CURVES = ("loss", "cross_entropy", "accuracy", "epoch_seconds", "learning_rate")


def export(history: History, rows: Rows, store: Store, directory: Path) -> int:
    """Write the curves of these executions; returns how many had any.

    Tags are `accuracy/train`, `loss/validation`, ...; the step is the epoch.

    Raises:
        ValueError: TensorBoard is not installed, or no run of the selection has curves.
        OSError: the directory cannot be written.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise ValueError(
            f"--format tensorboard needs TensorBoard ({error}). Install with: "
            "python -m pip install -c constraints.txt tensorboard"
        ) from error
    wanted = dict(zip(history.values("execution_id", rows), rows.tolist(), strict=True))
    epochs = store.epochs()
    epochs = epochs[epochs["execution_id"].isin(list(wanted))]
    if epochs.empty:
        raise ValueError("no run of the selection has curves")
    written = 0
    for execution, curves in epochs.groupby("execution_id", sort=False):
        row = wanted[str(execution)]
        began = history.time(row).timestamp()
        name = f"{history.value('framework', row)}-{history.value('architecture', row)}"
        run = beneath(directory, f"{name}-{execution}")
        path = run / file_name(f"events.out.tfevents.{began:.0f}.{execution}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                writer = RecordWriter(file)
                writer.write(
                    Event(wall_time=began, file_version="brain.Event:2").SerializeToString()
                )
                for event in _events(curves, began, Event, Summary):
                    writer.write(event.SerializeToString())
        except OSError as error:
            raise OSError(f"cannot write {path}: {error.strerror or error}") from error
        written += 1
    return written


def _events(curves: Any, began: float, event: Any, summary: Any) -> Any:
    """An event for each epoch and split, with a scalar for each curve that has a value there.

    Wall time grows by the seconds of the epochs trained.
    """
    elapsed = 0.0
    for epoch in curves.sort_values(["epoch", "split"]).to_dict("records"):
        seconds = epoch["epoch_seconds"]
        elapsed += seconds if seconds == seconds else 0.0
        scalars = [
            summary.Value(tag=f"{name}/{epoch['split']}", simple_value=epoch[name])
            for name in _CURVES
            if epoch[name] == epoch[name]
        ]
        yield event(
            wall_time=began + elapsed, step=int(epoch["epoch"]), summary=summary(value=scalars)
        )
