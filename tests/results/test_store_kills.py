"""Compaction and appending killed at every file operation, and two harnesses on one store."""

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from results.parquet import pack
from results.store import Store
from tests.helpers.factory import synthetic_run

# A process is forked from one that has the imports already: every kill costs a fork.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["results.store", "tests.helpers.factory", "pyarrow.parquet"])


def _compact(path: Path) -> None:
    pack.pack(path, Store(path).files(), pack_bytes=1)


def _append(path: Path) -> None:
    Store(path).append(*synthetic_run(seed=99))


def _killed(work: Callable[[Path], None], path: Path, last: int, counted: Path) -> None:
    """Do the work and kill itself ahead of the file operation of that number: opening, renaming,
    removing, flushing to disk, making a directory. How many there were is written at the end."""
    count = 0

    def operation() -> None:
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        touched = event in ("open", "os.rename", "os.remove", "os.mkdir", "os.listdir")
        if touched and str(arguments[0]).startswith(str(path)):
            operation()

    flush = os.fsync

    def flushed(descriptor: int) -> None:
        operation()
        flush(descriptor)
        operation()

    pack.ROW_GROUP_ROWS = 2
    os.fsync = flushed
    sys.addaudithook(watch)
    work(path)
    counted.write_text(str(count))


def killed_at(number: int, store: Store, work: Callable[[Path], None], counted: Path) -> int | None:
    """Do the work in a process that is killed; the number of operations when it was not."""
    process = _FORKS.Process(target=_killed, args=(work, store.path, number, counted))
    process.start()
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return None
    assert process.exitcode == 0
    return int(counted.read_text())


def filled(path: Path, runs: int) -> Store:
    store = Store(path)
    for seed in range(runs):
        store.append(*synthetic_run(seed=seed, epochs=2))
    return store


_EVERY = (pytest.mark.slow, pytest.mark.extended)


@pytest.mark.parametrize(
    ("work", "stride"),
    [(_compact, 5), (_append, 1), pytest.param(_compact, 1, marks=_EVERY)],
)
def test_killed_at_any_file_operation_no_row_is_lost_or_doubled(
    tmp_path: Path, work: Callable[[Path], None], stride: int
) -> None:
    before = range(5)
    whole = filled(tmp_path / "whole", len(before))
    number = 1 - stride
    finished = None
    while finished is None:
        number += stride
        store = Store(Path(shutil.copytree(whole.path, tmp_path / f"at-{number}")))
        finished = killed_at(number, store, work, tmp_path / "counted")
        seeds = sorted(store.runs()["seed"])  # a damaged file would warn, and warnings are errors
        assert seeds in ([*before], [*before, 99]), f"killed at operation {number}"
        assert sorted(store.predictions()["execution_id"].unique()) == sorted(
            store.runs()["execution_id"]
        )
        store.compact()  # what was broken off is done again
        assert sorted(store.runs()["seed"]) == seeds
    assert finished < number <= finished + stride
    assert number > (10 if work is _compact else 3)


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
    assert not [name for name in os.listdir(store.path) if name.startswith(".")]
