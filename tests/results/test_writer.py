"""Files are written whole or not at all; what a killed writer left goes, and no live one's."""

import errno
import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from results import writer
from results.writer import clean, scratch_directory, whole_directory, whole_file, write
from tests.conftest import ROOT

_BLOCKS = {
    "file": "writer.whole_file(sys.argv[1])",
    "directory": "writer.whole_directory(sys.argv[1])",
    "scratch": "writer.scratch_directory()",
}


@contextmanager
def another(kind: str, target: Path) -> Iterator[subprocess.Popen]:
    """Another process in the middle of writing; killed at the end, if it is not before."""
    code = (
        "import sys, time; from pathlib import Path; from results import writer\n"
        f"with {_BLOCKS[kind]} as made:\n"
        "    made.write(b'half') if hasattr(made, 'write') else Path(made, 'half').touch()\n"
        "    print('writes', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(target)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(target.parent)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process:
        try:
            assert process.stdout.readline() == b"writes\n"
            yield process
        finally:
            process.kill()


def unfinished(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(writer.TEMPORARY)]


@pytest.mark.parametrize("kind", list(_BLOCKS))
def test_what_a_killed_writer_left_goes_and_what_a_live_one_has_stays(
    tmp_path: Path, kind: str
) -> None:
    with another(kind, tmp_path / "target") as process:
        left = unfinished(tmp_path)
        assert len(left) == (1 if kind == "file" else 2)
        clean(tmp_path)
        assert unfinished(tmp_path) == left
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert unfinished(tmp_path) == left
    clean(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_next_writer_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for kind in _BLOCKS:
        with another(kind, tmp_path / "target"):
            pass
    monkeypatch.setattr(writer, "_cleaned", set())
    write(tmp_path / "next", "")
    assert unfinished(tmp_path) == []
    with another("scratch", tmp_path / "target"):
        pass
    with scratch_directory() as scratch:
        assert sorted(unfinished(tmp_path)) == [scratch.name, f"{scratch.name}.lock"]
        assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    assert unfinished(tmp_path) == []


def test_folders_are_cleaned_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    with another("file", tmp_path / "inner" / "target"):
        pass
    clean(tmp_path)
    assert unfinished(tmp_path / "inner")
    clean(tmp_path, nested=True)
    assert not unfinished(tmp_path / "inner")


def test_without_locks_only_what_is_a_day_old_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    write(tmp_path / "target", "written")
    young, old = (tmp_path / f"{writer.TEMPORARY}{name}" for name in ("young", "old"))
    for path in (young, old):
        path.touch()
    os.utime(old, (time.time() - 48 * 3600,) * 2)
    clean(tmp_path)
    assert (tmp_path / "target").read_text() == "written"
    assert young.exists()
    assert not old.exists()


def test_a_name_taken_before_it_was_locked_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process cleans up between the creation of the temporary file and its lock."""
    lock, taken = writer._lock, []

    def cleaned_first(descriptor: int) -> bool:
        if not taken:
            taken.extend(tmp_path.glob(f"{writer.TEMPORARY}*"))
            taken[0].unlink()
        return lock(descriptor)

    monkeypatch.setattr(writer, "_lock", cleaned_first)
    write(tmp_path / "target", "written")
    assert (tmp_path / "target").read_text() == "written"
    assert len(taken) == 1


def test_a_file_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "page"
    write(path, "the one before")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert path.read_text() == "the one before"
    assert unfinished(tmp_path) == []


def test_an_error_names_the_path_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        write(tmp_path / "absent" / "file", "")
    assert raised.value.filename == str(tmp_path / "absent" / "file")
    with pytest.raises(IsADirectoryError) as refused:
        write(tmp_path, "")
    assert refused.value.filename == str(tmp_path)
    other = tmp_path / "other"
    with pytest.raises(FileNotFoundError) as inner, whole_file(tmp_path / "file"):
        other.read_text()
    assert inner.value.filename == str(other)


def test_mode_and_link_are_kept_and_a_device_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o640)
    (tmp_path / "link").symlink_to("file")
    write(tmp_path / "link", "content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "content"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    write(os.devnull, "content")
    read, written = os.pipe()  # as a shell's >(command) names it
    write(f"/dev/fd/{written}", "content")
    assert os.read(read, 100) == b"content"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe that nothing reads") as told:
        write(tmp_path / "pipe", "content")
    assert told.value.filename == str(tmp_path / "pipe")


@pytest.mark.parametrize("exchange", [True, False])
def test_a_directory_takes_the_place_of_all_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:  # a file system that cannot
        monkeypatch.setattr(writer, "_exchanged", lambda one, other: False)
    target = tmp_path / "report"
    for name in ("first", "second"):
        with whole_directory(target) as made:
            (made / name).touch()
        assert os.listdir(target) == [name]
    with pytest.raises(RuntimeError), whole_directory(target):
        raise RuntimeError
    assert os.listdir(target) == ["second"]
    assert unfinished(tmp_path) == []


# Who else of the product opens a file to write, and why nobody reads a half of it.
_IN_SCRATCH = "in a scratch directory, or in one that gets its name when it is whole"
WRITERS = {
    "results/door/apart.py": "a pipe, to the process that made the fork",
    "results/writer.py": "the one way",
    "datasets/download.py": "NAME.part, which goes on where it broke off; its hash is checked",
    "benchmarks/cluster/ray_queue.py": "states that it renames into their place, and a log",
    "benchmarks/cluster/session.py": "renames what it removes",
    "benchmarks/fidelity/kills/plain_run.py": _IN_SCRATCH,
    "benchmarks/fidelity/measure/__main__.py": _IN_SCRATCH,
    "benchmarks/fidelity/measure/collect.py": _IN_SCRATCH,
    "benchmarks/fidelity/climb.py": _IN_SCRATCH,
    "benchmarks/models/maps_worker.py": _IN_SCRATCH,
    "benchmarks/models/saved.py": _IN_SCRATCH,
    "benchmarks/process/launch.py": _IN_SCRATCH,
    "benchmarks/tracking/selftest/real.py": "a line after another; it goes on where it broke off",
    "frameworks/flax/backend.py": _IN_SCRATCH,
    "frameworks/torch/backend.py": _IN_SCRATCH,
    "frameworks/spec/given_weights.py": _IN_SCRATCH,
    "frameworks/spec/weights.py": _IN_SCRATCH,
    "galaxy_benchmark/api.py": _IN_SCRATCH,
}
_WRITES = re.compile(
    r"\.write_(text|bytes)\(|open\([^()\n]*[\"'][wax]b?\+?[\"']|\bos\.(replace|rename)\("
    r"|\.rename\(|\bTemporaryDirectory\(|\bmk(d|s)temp\(|\bNamedTemporaryFile\("
)


def test_nothing_else_of_the_product_writes_a_file() -> None:
    folders = ("benchmarks", "datasets", "frameworks", "galaxy_benchmark", "results")
    found = {
        str(file.relative_to(ROOT))
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        if _WRITES.search(file.read_text(encoding="utf-8"))
    }
    assert found <= set(WRITERS), "write with results.writer, or say here why not"
