"""Compaction and appending killed at every file operation, and two harnesses on one store."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from results.store import Store
from tests.conftest import ROOT
from tests.factory import synthetic_run

# Kills itself ahead of the file operation of that number: opening, renaming, removing, flushing to
# disk, making a directory. Prints how many there were when it comes to its end.
_KILLED = """
    import os, signal, sys
    import pyarrow.parquet
    from results import pack, store
    from results.store import Store
    from tests.factory import synthetic_run

    path, last = sys.argv[1], int(sys.argv[2])
    count = 0

    def operation():
        global count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event, arguments):
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.listdir"):
            if str(arguments[0]).startswith(path):
                operation()

    flush = os.fsync

    def flushed(descriptor):
        operation()
        flush(descriptor)
        operation()

    run = synthetic_run(seed=99)
    pack.ROW_GROUP_ROWS = 2
    os.fsync = flushed
    sys.addaudithook(watch)
    {work}
    print(count)
"""
_COMPACT = "pack.pack(Store(path).path, Store(path).files(), pack_bytes=1)"
_APPEND = "Store(path).append(*run)"


def killed_at(number: int, store: Store, work: str) -> int | None:
    """Do the work in a process that is killed; the number of operations when it was not."""
    code = textwrap.dedent(_KILLED).format(work=work)
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.path), str(number)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def filled(path: Path, runs: int) -> Store:
    store = Store(path)
    for seed in range(runs):
        store.append(*synthetic_run(seed=seed, epochs=2))
    return store


@pytest.mark.parametrize("work", [_COMPACT, _APPEND], ids=["compact", "append"])
def test_killed_at_any_file_operation_no_row_is_lost_or_doubled(tmp_path: Path, work: str) -> None:
    before = range(5)
    number = 0
    finished = None
    while finished is None:
        number += 1
        store = filled(tmp_path / f"at-{number}", len(before))
        finished = killed_at(number, store, work)
        seeds = sorted(store.runs()["seed"])  # a damaged file would warn, and warnings are errors
        assert seeds in ([*before], [*before, 99]), f"killed at operation {number}"
        assert sorted(store.predictions()["execution_id"].unique()) == sorted(
            store.runs()["execution_id"]
        )
        store.compact()  # what was broken off is done again
        assert sorted(store.runs()["seed"]) == seeds
    assert number == finished + 1
    assert number > (10 if work == _COMPACT else 3)


def _append_many(path: Path, writer: int, runs: int) -> None:
    store = Store(path)
    for number in range(runs):
        run, epochs, _ = synthetic_run(seed=number % 7, epochs=2)
        store.append(run | {"execution_id": f"writer{writer}-{number}"}, epochs)
        if number % 10 == 9:  # as at the end of a session; the other may be at it too
            store.compact()


@pytest.mark.parametrize("runs", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_two_harnesses_at_once_while_it_is_packed(tmp_path: Path, runs: int) -> None:
    store = Store(tmp_path / "runs")
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_append_many, args=(store.path, number, runs)) for number in (0, 1)
    ]
    for process in writers:
        process.start()
    while any(process.is_alive() for process in writers):
        store.compact()
        assert store.runs()["execution_id"].is_unique
    for process in writers:
        process.join()
        assert process.exitcode == 0
    expected = sorted(f"writer{writer}-{number}" for writer in (0, 1) for number in range(runs))
    assert sorted(store.runs()["execution_id"]) == expected
    assert store.epochs().groupby("execution_id").size().nunique() == 1
    assert not [name for name in os.listdir(store.path) if name.startswith(".tmp-")]
