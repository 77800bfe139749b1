"""Times of the store and the commands on a long history: measured, and printed.

The rows are invented (no network was trained). They have the shape of real ones: many commits,
machines and versions. Predictions are few: the code timed here packs them and does not read them.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.process.spawn import Child
from benchmarks.system import machine
from results import words
from results.writer import scratch_directory

if TYPE_CHECKING:
    import pyarrow as pa

    from results.store import Store

_CELLS = 12  # series in the history
_PROCESSES = 12  # runs of a cell in a session
_APPENDED = 100
_GOAL_SECONDS = 2.0
_START = datetime(2026, 1, 1, tzinfo=UTC)


def measure(rows: int) -> int:
    """Time append, compact, history and gate on a store of so many rows; print a table.

    Returns:
        0 when history and gate answered within 2 s, else 1.
    """
    from results.store import Store
    from results.table import Column, Table, show

    seconds_of = [Column(name, right=True) for name in ("seconds", "processor s")]
    table = Table([Column("what"), *seconds_of, Column("", 1)])
    with scratch_directory() as scratch:
        store = Store(scratch / "runs")
        table.add("append to an empty store", f"{_append(store, 'first'):.4f}", "", "median of 100")
        fill(store, rows)
        size = sum(path.stat().st_size for path in store.files()) / 2**20
        text = f"{words.count(rows, 'row')} packed, {size:.0f} MiB"
        table.add(f"append beside {text}", f"{_append(store, 'last'):.4f}", "", "median of 100")
        seconds, count = _timed(store.compact)
        table.add("compact", f"{seconds:.2f}", "", f"{words.count(count, 'file')} packed")
        options = ["--store", str(store.path)]
        _command("baseline", "set", "old", f"session={_session(0)}", *options)
        times = {
            "history, figure included": _command("history", "--figure", str(scratch), *options),
            "gate": _command("gate", "--baseline", "old", *options),
        }
    for name, (seconds, processor) in times.items():
        goal = f"goal: under {_GOAL_SECONDS:g}"
        table.add(name, f"{seconds:.2f}", f"{processor:.2f}", goal)
    show(table)
    return int(max(seconds for seconds, _ in times.values()) > _GOAL_SECONDS)


def fill(store: Store, rows: int) -> None:
    """Write so many invented runs into packed files of the store.

    One run a cell is built and checked as `append` does it; its columns are then repeated with
    ids, times, commits and versions of their own.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from results.parquet.pack import ROW_GROUP_ROWS
    from results.parquet.record import EPOCHS, FILE_SCHEMA, record

    random = np.random.default_rng(0)
    templates = [record(*_run(cell)) for cell in range(_CELLS)]
    store.path.mkdir(parents=True, exist_ok=True)
    path = store.path / "packed-scale.parquet"
    with pq.ParquetWriter(
        path, FILE_SCHEMA, compression="zstd", write_page_checksum=True
    ) as writer:
        for start in range(0, rows, ROW_GROUP_ROWS):
            numbers = np.arange(start, min(rows, start + ROW_GROUP_ROWS))
            cells = numbers // _PROCESSES % _CELLS
            block = pa.concat_tables(templates).take(pa.array(cells))
            commits = numbers // (_PROCESSES * _CELLS)
            base = random.normal(0, 0.01, len(numbers)) + np.where(commits * 288 > rows, 0.1, 0)
            replaced = {
                "execution_id": [f"scale-{number}" for number in numbers],
                "run_id": [
                    f"run-{cell}-{number % _PROCESSES}"
                    for cell, number in zip(cells, numbers, strict=True)
                ],
                "session_id": [_session(int(commit)) for commit in commits],
                "repeat": (numbers % _PROCESSES).tolist(),
                "commit": [
                    f"{int(commit) * 2654435761 % 2**32:08x}" + "0" * 32 for commit in commits
                ],
                "versions": [
                    json.dumps({"python": "3.11", "torch": f"2.{int(commit) // 100}.0"})
                    for commit in commits
                ],
                "started_at": [_START + timedelta(seconds=60 * int(number)) for number in numbers],
            }
            for name, values in replaced.items():
                place = FILE_SCHEMA.get_field_index(name)
                block = block.set_column(
                    place, FILE_SCHEMA.field(name), pa.array(values, FILE_SCHEMA.field(name).type)
                )
            block = _with_times(block, np.exp(base), FILE_SCHEMA.get_field_index(EPOCHS))
            writer.write_table(block)


def _with_times(block: pa.Table, factors: Any, place: int) -> pa.Table:
    """The epoch times of each row multiplied by its factor."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = block.column(place).combine_chunks()
    structs = lists.flatten()
    parents = pc.list_parent_indices(lists).to_numpy()
    index = structs.type.get_field_index("epoch_seconds")
    seconds = pc.multiply(structs.field(index), pa.array(factors[parents]))
    fields = [
        seconds if number == index else structs.field(number)
        for number in range(structs.type.num_fields)
    ]
    made = pa.StructArray.from_arrays(fields, fields=list(structs.type))
    rebuilt = pa.ListArray.from_arrays(lists.offsets, made, type=lists.type)
    return block.set_column(place, block.schema.field(place), rebuilt)


def _run(
    cell: int, execution: str = "template"
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """An invented run of a cell, with 10 epochs and 20 predictions."""
    framework = ("keras", "torch", "jax")[cell % 3]
    config = {"framework": framework, "architecture": {"name": "unam"}, "cell": cell}
    run = {
        "run_id": f"run-{cell}",
        "cell_id": f"{cell:016x}",
        "execution_id": execution,
        "session_id": "session",
        "started_at": _START,
        "framework": framework,
        "architecture": ("unam", "c2")[cell % 2],
        "dataset": "galaxy10",
        "labels": "native",
        "channels": "rgb",
        "seed": 0,
        "repeat": 0,
        "parity": "matched",
        "tuning": "idiomatic",
        "precision": "float32",
        "device": "cpu",
        "threads": 2,
        "status": "ok",
        "train_images": 13942,
        "epochs": 10,
        "batch_size": (64, 128)[cell // 6],
        "config": config | {"padding": "x" * 2000},
        "compile_seconds": 1.0,
        "peak_memory_bytes": 10**9,
        "test_accuracy": 0.8,
        "machine_id": "0123456789abcdef",
        "machine": {"cpu": "invented"},
        "commit": "0" * 40,
        "dirty": False,
        "versions": {"torch": "2.0.0"},
    }
    epochs: list[dict[str, Any]] = [
        {"epoch": number, "split": split, "loss": 1.0, "accuracy": 0.5, "epoch_seconds": seconds}
        for number in range(1, 11)
        for split, seconds in (("train", 10.0 + cell), ("validation", None))
    ]
    predictions = [
        {"split": "test", "index": row, "label": 1, "predicted": 1, "probabilities": [0.1] * 10}
        for row in range(20)
    ]
    return run, epochs, predictions


def _append(store: Store, name: str) -> float:
    """Median seconds of an append, over 100."""
    times = []
    for number in range(_APPENDED):
        run = _run(number % _CELLS, f"{name}-{number}")
        times.append(_timed(lambda run=run: store.append(*run))[0])  # type: ignore[misc]
    return statistics.median(times)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _command(*arguments: str) -> tuple[float, float]:
    """Seconds of a command of track from start to exit, and of the processor alone.

    The better of three; on a machine that does nothing else both are about the same.
    """
    path = os.pathsep.join([str(machine.ROOT), os.environ.get("PYTHONPATH", "")])

    def run() -> Child:
        with Child("benchmarks.track", arguments, os.environ | {"PYTHONPATH": path}) as child:
            list(child.events())
        return child

    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, done = _timed(run)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if done.status == 2:
            raise ValueError(f"{' '.join(arguments)}: {done.failure()}")
        times.append((seconds, processor))
    return min(times)


def _session(number: int) -> str:
    return f"session-{number:06d}"
