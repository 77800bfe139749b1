"""pytest-benchmark's JSON, taken into the history.

Each benchmark of a file becomes one execution of a store below the results store, in the same form
as the harness's own: a call stands where an epoch stands, so that the raw times are kept, and the
metric is `call-time`. The report of the runs does not see them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.tracking.history import IMPORTED_DIRECTORY
from results.store import Store

_MOST_SAMPLES = 1000  # raw times kept of one benchmark, evenly spread over its rounds


def import_file(path: Path, store: Store) -> tuple[int, int]:
    """Take over a file; a second time takes nothing.

    Returns:
        How many benchmarks were new, and how many were held already.

    Raises:
        FileNotFoundError, OSError: the file cannot be read.
        ValueError: not pytest-benchmark's JSON; the message names the file and the field.
        StoreError: the store cannot be written.
    """
    content = _read(path)
    imported = Store(store.path / IMPORTED_DIRECTORY)
    held = set()
    if imported.path.is_dir():
        held = set(imported.table(["execution_id"])["execution_id"].to_pylist())
    new = known = 0
    for number, benchmark in enumerate(content["benchmarks"]):
        run, calls = _execution(benchmark, content, f"{path}: benchmarks[{number}]")
        if run["execution_id"] in held:
            known += 1
            continue
        held.add(run["execution_id"])
        imported.append(run, calls)
        new += 1
    return new, known


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"no such file: {path}") from None
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("benchmarks"), list):
        raise ValueError(
            f"{path}: no list 'benchmarks'; expected a file of pytest --benchmark-json or "
            "--benchmark-autosave"
        )
    return content


def _execution(
    benchmark: Any, content: Mapping[str, Any], where: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The run and its calls, as `Store.append` takes them."""
    seconds = _seconds(benchmark, where)
    name = str(benchmark.get("fullname") or benchmark.get("name") or "")
    if not name:
        raise ValueError(f"{where}: no 'fullname'")
    parameters = benchmark.get("params") or {}
    told = benchmark.get("extra_info") or {}
    machine = content.get("machine_info") or {}
    commit = content.get("commit_info") or {}
    what = {"benchmark": name, "group": benchmark.get("group"), "params": parameters}
    cell = _digest(what)
    started = _time(content.get("datetime"), where)
    execution = _digest({**what, "at": started.isoformat(), "seconds": seconds})
    cpu = machine.get("cpu") or {}
    stable = {
        "node": machine.get("node"),
        "machine": machine.get("machine"),
        "system": machine.get("system"),
        "cpu": cpu.get("brand_raw"),
        "count": cpu.get("count"),
    }

    def of(field: str) -> str | None:
        found = told.get(field, parameters.get(field) if isinstance(parameters, dict) else None)
        return str(found) if found is not None else None

    run = {
        "run_id": cell,
        "cell_id": cell,
        "execution_id": f"imported-{execution}",
        "session_id": _digest({"at": started.isoformat(), "commit": commit.get("id")}),
        "started_at": started,
        "framework": of("framework") or of("backend") or "pytest-benchmark",
        "architecture": name.rpartition("::")[2],
        "dataset": benchmark.get("group"),  # what the tests were grouped by, for the label
        "tuning": of("tuning"),
        "precision": of("precision"),
        "device": of("device"),
        "status": "ok",
        "epochs": len(seconds),
        "config": what,
        "versions": {
            "python": str(machine.get("python_version", "")),
            **{str(key): str(value) for key, value in (told.get("versions") or {}).items()},
        },
        "machine": {"cpu": cpu.get("brand_raw"), **stable},
        "machine_id": _digest(stable),
        "commit": commit.get("id"),
        "dirty": bool(commit.get("dirty")) if "dirty" in commit else None,
        "extra": {"imported": "pytest-benchmark", "extra_info": told},
    }
    calls = [
        {"epoch": number, "split": "train", "epoch_seconds": value}
        for number, value in enumerate(seconds, start=1)
    ]
    return run, calls


def _seconds(benchmark: Any, where: str) -> list[float]:
    """The raw times of one call, or their median where the file does not hold them."""
    stats = benchmark.get("stats") if isinstance(benchmark, dict) else None
    if not isinstance(stats, dict):
        raise ValueError(f"{where}: no 'stats'")
    found = stats.get("data") or [stats.get("median")]
    if not all(isinstance(value, int | float) and 0 < value < float("inf") for value in found):
        raise ValueError(f"{where}: 'stats' has neither 'data' nor a 'median' above 0")
    every = -(-len(found) // _MOST_SAMPLES)
    return [float(value) for value in found[::every]]


def _time(text: object, where: str) -> datetime:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError(f"{where}: 'datetime' of the file is {text!r}, not a time") from None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
