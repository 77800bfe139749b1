"""The checkpoint file: whole or not at all, checked, and killed at every file operation."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from benchmarks.worker.checkpoint import (
    NEWEST,
    PREVIOUS,
    Checkpoints,
    DamagedError,
    State,
    from_bytes,
    to_bytes,
)
from results.version import NewerVersionError
from tests.conftest import ROOT


def state(epoch: int) -> State:
    arrays = {
        "weights/conv1/kernel": np.random.default_rng(epoch).normal(size=(3, 3, 1, 2)),
        "optimizer/step": np.asarray(epoch, np.int64),
        "random/cpu": np.arange(40, dtype=np.uint8),
    }
    rows = [{"epoch": epoch, "loss": 0.1 + epoch / 3, "split": "train"}]
    return State(arrays, {"done": epoch, "rows": rows})


def same(one: State, other: State) -> bool:
    return (
        one.facts == other.facts
        and one.arrays.keys() == other.arrays.keys()
        and all(
            one.arrays[key].dtype == other.arrays[key].dtype
            and np.array_equal(one.arrays[key], other.arrays[key])
            for key in one.arrays
        )
    )


def test_what_is_written_is_read_to_the_bit(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "there" / "not")
    assert checkpoints.read() == (None, [])
    checkpoints.write(state(1))
    found, damage = checkpoints.read()
    assert found is not None
    assert same(found, state(1))
    assert damage == []
    assert set(found.group("weights")) == {"conv1/kernel"}
    checkpoints.remove()
    assert not (tmp_path / "there").exists()


def test_one_of_a_newer_version_is_told_and_stays(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    newer = state(1)
    checkpoints.write(State(newer.arrays, {**newer.facts, "format": 2}))
    for read in (checkpoints.read, checkpoints.check_format):
        with pytest.raises(NewerVersionError, match=r"checkpoint.npz was written by a newer"):
            read()
    assert (tmp_path / NEWEST).exists()


def test_one_of_an_older_version_states_no_format(tmp_path: Path) -> None:
    folder = ROOT / "tests/data/23b7b0d/broken/checkpoints/9e89e07a5f8cd3aa"
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    found, damage = Checkpoints(tmp_path).read()
    assert found is not None
    assert found.facts["done"] > 0
    assert damage == []


def test_it_is_an_ordinary_archive_without_pickles(tmp_path: Path) -> None:
    Checkpoints(tmp_path).write(state(1))
    with np.load(tmp_path / NEWEST, allow_pickle=False) as archive:
        assert set(archive.files) == {*state(1).arrays, "facts.json"}


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    content = to_bytes(state(1))
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(DamagedError, match=r"a\.npz is damaged"):
            from_bytes(bytes(flipped), "a.npz")
    for length in range(0, len(content), 11):
        with pytest.raises(DamagedError):
            from_bytes(content[:length], "a.npz")


def test_a_damaged_file_falls_back_to_the_previous_and_is_gone(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(state(1))
    checkpoints.write(state(2))
    newest = tmp_path / NEWEST
    newest.write_bytes(newest.read_bytes()[:-100])
    found, damage = checkpoints.read()
    assert found is not None
    assert same(found, state(1))
    assert len(damage) == 1
    assert str(newest) in damage[0]
    checkpoints.write(state(3))  # must not push the whole one out with the damaged one
    assert (tmp_path / NEWEST).exists()
    (tmp_path / NEWEST).unlink()
    found, damage = checkpoints.read()
    assert found is not None
    assert same(found, state(1))
    (tmp_path / PREVIOUS).write_bytes(b"")
    found, damage = checkpoints.read()
    assert found is None
    assert len(damage) == 1


# Kills itself ahead of the file operation of that number; prints how many there were at its end.
_KILLED = """
    import os, signal, sys
    from pathlib import Path
    from benchmarks.worker.checkpoint import Checkpoints
    from tests.benchmarks.worker.test_checkpoint import state

    path, last = sys.argv[1], int(sys.argv[2])
    count = 0

    def operation():
        global count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event, arguments):
        if event in ("open", "os.rename", "os.remove", "os.mkdir"):
            if str(arguments[0]).startswith(path):
                operation()

    flush = os.fsync

    def flushed(descriptor):
        operation()
        flush(descriptor)
        operation()

    os.fsync = flushed
    sys.addaudithook(watch)
    Checkpoints(Path(path)).write(state(3))
    print(count)
"""


def test_killed_at_any_file_operation_a_whole_checkpoint_is_left(tmp_path: Path) -> None:
    number, finished = 0, None
    while finished is None:
        number += 1
        checkpoints = Checkpoints(tmp_path / f"at-{number}")
        checkpoints.write(state(1))
        checkpoints.write(state(2))
        done = subprocess.run(
            [
                *(sys.executable, "-c", textwrap.dedent(_KILLED)),
                *(str(checkpoints.directory), str(number)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != -signal.SIGKILL:
            assert done.returncode == 0, done.stderr
            finished = int(done.stdout)
        found, damage = checkpoints.read()
        assert damage == [], f"killed at operation {number}"
        assert found is not None
        assert found.facts["done"] in (2, 3), f"killed at operation {number}"
        assert same(found, state(found.facts["done"]))
        checkpoints.write(state(4))  # what was broken off does not stand in the way
        found, damage = checkpoints.read()
        assert found is not None
        assert same(found, state(4))
        assert damage == []
        checkpoints.remove()
        assert not checkpoints.directory.exists()
    assert number == finished + 1
    assert number > 5


def test_a_full_disk_leaves_the_earlier_ones(tmp_path: Path, monkeypatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(state(1))
    checkpoints.write(state(2))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.write(state(3))
    found, damage = checkpoints.read()
    assert found is not None
    assert same(found, state(2))
    assert damage == []
    assert not list(tmp_path.glob(".*"))
