"""Stores with a history: invented runs of several commits, with times that are told."""

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks.track import main
from results.stats.noise import NEEDED
from results.store import Store
from tests.helpers.factory import START, synthetic_run


def add_session(
    store: Store,
    session: str,
    seconds: Sequence[float | Sequence[float]],
    *,
    framework: str = "torch",
    day: int = 0,
    commit: str = "a" * 40,
    **changes: Any,
) -> list[str]:
    """Append a process for each of these epoch times, of all its epochs or one for each; returns
    their execution ids."""
    executions = []
    for repeat, value in enumerate(seconds):
        run, epochs, _ = synthetic_run(framework, "c2", execution=abs(day) * 100 + repeat)
        run["execution_id"] = f"{session}-{framework.replace('@', '-')}-{len(executions)}-{day}"
        changed = {
            "repeat": repeat,
            "session_id": session,
            "commit": commit,
            "started_at": START + datetime.timedelta(days=day, minutes=repeat),
            "config": {
                "framework": framework,
                "architecture": {"name": "c2"},
                "data": {"sha256": "d1"},
                "parity": "matched",
            },
        }
        trained = sum(row["epoch_seconds"] is not None for row in epochs)
        times = iter(np.broadcast_to(value, trained).tolist())
        timed = [
            {**row, "epoch_seconds": None if row["epoch_seconds"] is None else next(times)}
            for row in epochs
        ]
        failed = changes.get("status", "ok") != "ok"
        store.append(run | changed | changes, [] if failed else timed)
        executions.append(run["execution_id"])
    return executions


def around(value: float, count: int = 8, *, seed: int = 0, spread: float = 0.005) -> list[float]:
    """So many times around a value."""
    return (value * np.exp(np.random.default_rng(seed).normal(0, spread, count))).tolist()


def keep_sessions(store: Store, count: int = NEEDED, level: float = 5.0, **changes: Any) -> None:
    """Sessions of the days before the first: what tells how much sessions differ."""
    for number in range(count):
        seconds = around(level, 3, seed=100 + number)
        add_session(store, f"kept{number:02d}", seconds, day=number - count, **changes)


def verdict(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit status of benchmarks.track with these arguments, and what it printed."""
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err
