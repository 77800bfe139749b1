"""pytest-benchmark's JSON, taken into the history.

Each benchmark of a file becomes one execution of a store below the results store, in the same form
as the harness's own: a call stands where an epoch stands, so that the raw times are kept, and the
metric is `call-time`. The report of the runs does not see them.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.tracking.history import IMPORTED_DIRECTORY
from results.door.documents import json_file
from results.door.refusal import FileError
from results.store import Store

_REMEDY = "expected a file of pytest --benchmark-json or --benchmark-autosave"
_MOST_SAMPLES = 1000  # raw times kept of one benchmark, evenly spread over its rounds


class _Stats(msgspec.Struct):
    data: tuple[float, ...] = ()
    median: float | None = None


class _Benchmark(msgspec.Struct):
    stats: _Stats
    fullname: str = ""
    name: str = ""
    group: str | None = None
    params: dict[str, Any] | None = None
    extra_info: dict[str, Any] | None = None


class _Processor(msgspec.Struct):
    brand_raw: str | None = None
    count: int | None = None


class _Machine(msgspec.Struct):
    node: str | None = None
    machine: str | None = None
    system: str | None = None
    python_version: str = ""
    cpu: _Processor | None = None


class _Commit(msgspec.Struct):
    id: str | None = None
    dirty: bool | None = None


class _File(msgspec.Struct):
    """Fields that are read of pytest-benchmark's JSON, to the last level."""

    benchmarks: tuple[_Benchmark, ...]
    datetime: str
    machine_info: _Machine | None = None
    commit_info: _Commit | None = None


def import_file(path: Path, store: Store) -> tuple[int, int]:
    """Take over a file; a second time takes nothing.

    Returns:
        How many benchmarks were new, and how many were held already.

    Raises:
        FileError: the file cannot be read, or is not pytest-benchmark's JSON; the message names
            the file and the field.
        StoreError: the store cannot be written.
    """
    content = json_file(path, _File, "pytest-benchmark's JSON", _REMEDY)
    executions = [
        _execution(benchmark, content, f"{path}: benchmarks[{number}]")
        for number, benchmark in enumerate(content.benchmarks)
    ]
    imported = Store(store.path / IMPORTED_DIRECTORY)
    held = set()
    if imported.path.is_dir():
        held = set(imported.table(["execution_id"])["execution_id"].to_pylist())
    new = known = 0
    for run, calls in executions:
        if run["execution_id"] in held:
            known += 1
            continue
        held.add(run["execution_id"])
        imported.append(run, calls)
        new += 1
    return new, known


def _execution(
    benchmark: _Benchmark, content: _File, where: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The run and its calls, as `Store.append` takes them."""
    seconds = _seconds(benchmark, where)
    name = benchmark.fullname or benchmark.name
    if not name:
        raise FileError(f"{where}: no 'fullname'")
    parameters = benchmark.params or {}
    told = benchmark.extra_info or {}
    machine = content.machine_info or _Machine()
    commit = content.commit_info or _Commit()
    what = {"benchmark": name, "group": benchmark.group, "params": parameters}
    cell = _digest(what)
    started = _time(content.datetime, where)
    execution = _digest({**what, "at": started.isoformat(), "seconds": seconds})
    cpu = machine.cpu or _Processor()
    stable = {
        "node": machine.node,
        "machine": machine.machine,
        "system": machine.system,
        "cpu": cpu.brand_raw,
        "count": cpu.count,
    }

    def of(field: str) -> str | None:
        found = told.get(field, parameters.get(field))
        return str(found) if found is not None else None

    versions = told.get("versions")
    run = {
        "run_id": cell,
        "cell_id": cell,
        "execution_id": f"imported-{execution}",
        "session_id": _digest({"at": started.isoformat(), "commit": commit.id}),
        "started_at": started,
        "framework": of("framework") or of("backend") or "pytest-benchmark",
        "architecture": name.rpartition("::")[2],
        "dataset": benchmark.group,  # what the tests were grouped by, for the label
        "tuning": of("tuning"),
        "precision": of("precision"),
        "device": of("device"),
        "status": "ok",
        "epochs": len(seconds),
        "config": what,
        "versions": {
            "python": machine.python_version,
            **(
                {str(key): str(value) for key, value in versions.items()}
                if isinstance(versions, dict)
                else {}
            ),
        },
        "machine": {"cpu": cpu.brand_raw, **stable},
        "machine_id": _digest(stable),
        "commit": commit.id,
        "dirty": commit.dirty,
        "extra": {"imported": "pytest-benchmark", "extra_info": told},
    }
    calls = [
        {"epoch": number, "split": "train", "epoch_seconds": value}
        for number, value in enumerate(seconds, start=1)
    ]
    return run, calls


def _seconds(benchmark: _Benchmark, where: str) -> list[float]:
    """The raw times of one call, or their median where the file does not hold them."""
    found = benchmark.stats.data or (benchmark.stats.median,)
    times = [value for value in found if value is not None and 0 < value < float("inf")]
    if len(times) < len(found):
        raise FileError(f"{where}: 'stats' has neither 'data' nor a 'median' above 0")
    return times[:: -(-len(times) // _MOST_SAMPLES)]


def _time(text: str, where: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the first year's first hours are none in UTC
        time = datetime.min.replace(tzinfo=UTC)
    if time.year < 1970:
        raise FileError(f"{where}: 'datetime' of the file is {text!r}, not a time")
    return time


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
