"""A library that loops, crashes or takes all memory ends in one message."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from results.door import apart, hdf5
from results.door.refusal import FileError

MIB = 1 << 20


def loop() -> None:
    while True:
        pass


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "a loop": (loop, "reading it comes to no end"),
    "SIGSEGV": (lambda: os.kill(os.getpid(), signal.SIGSEGV), r"crashes on it \(SIGSEGV\)"),
    "SIGBUS": (lambda: os.kill(os.getpid(), signal.SIGBUS), r"crashes on it \(SIGBUS\)"),
    "SIGFPE": (lambda: os.kill(os.getpid(), signal.SIGFPE), r"crashes on it \(SIGFPE\)"),
    "abort()": (os.abort, r"crashes on it \(SIGABRT\)"),
    "exit()": (lambda: os._exit(0), "ends the program"),
    "memory": (lambda: bytearray(64 * MIB), "more memory than there is"),
    "the kernel's killer": (lambda: os.kill(os.getpid(), signal.SIGKILL), "more memory than"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the fork is of Linux")
@pytest.mark.parametrize("case", BAD)
def test_what_a_library_does_ends_in_a_message(
    case: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(apart, "_THREADED", ())  # other tests may have loaded one
    monkeypatch.setattr(apart, "MEMORY", MIB)
    work, told = BAD[case]
    with pytest.raises(FileError, match=rf"my\.h5: not a file, or damaged: .*{told}.*; get it"):
        apart.done_apart(work, "my.h5", "a file", 0, "get it again", seconds=1)
    assert capfd.readouterr() == ("", "")


class OddError(ValueError):
    """An error that pickle cannot make again."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def raise_odd() -> None:
    raise OddError(1, 2)


def test_results_and_errors_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_THREADED", ())
    there = lambda work: apart.done_apart(work, "x", "a file", 0, "")  # noqa: E731
    assert there(os.getpid) != os.getpid() or sys.platform != "linux"
    assert there(lambda: there(os.getppid)) in (os.getpid(), os.getppid())  # no fork of a fork
    assert (there(lambda: np.arange(9)) == np.arange(9)).all()
    with pytest.raises(FileNotFoundError, match="gone"):
        there(lambda: open("gone"))  # noqa: SIM115
    with pytest.raises(ValueError, match="1 and 2"):
        there(raise_odd)
    with pytest.raises(ZeroDivisionError):
        there(lambda: 1 / 0)


def test_signs_of_life_give_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_THREADED", ())

    def work() -> int:
        monkeypatch.setattr(time, "process_time", lambda: 99.5)  # of the fork alone
        apart.alive()
        return resource.getrlimit(resource.RLIMIT_CPU)[0]

    assert apart.done_apart(work, "x", "a file", 0, "") == 100 + apart.SECONDS
    before = resource.getrlimit(resource.RLIMIT_CPU)
    apart.alive()
    assert resource.getrlimit(resource.RLIMIT_CPU) == before  # not of this process


HANGS = """
import os, sys, time
from results import cli
from results.door import apart
def work():
    print(os.getpid(), flush=True)
    time.sleep(600)
sys.exit(cli.run(lambda: apart.done_apart(work, "x", "a file", 0, "")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the fork is of Linux")
@pytest.mark.parametrize("sent", ["SIGTERM", "SIGKILL"])
def test_a_signal_ends_the_fork_as_well(sent: str) -> None:
    number = getattr(signal, sent)
    with subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE, text=True) as made:
        assert made.stdout is not None
        fork = psutil.Process(int(made.stdout.readline()))
        made.send_signal(number)
        told = made.communicate(timeout=60)[0]
        psutil.wait_procs([fork], timeout=60)
    assert made.returncode == (-number if sent == "SIGKILL" else 128 + number)
    assert "Traceback" not in told
    assert not fork.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="the fork is of Linux")
def test_a_file_that_hdf5_does_not_survive_is_walked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "_THREADED", ())
    monkeypatch.setattr(hdf5, "_walk", lambda *_: os.abort())
    path = tmp_path / "my.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.arange(12)
    for _ in range(2):
        with pytest.raises(FileError, match="SIGABRT"), hdf5.opened(path, "galaxies"):
            pass
        monkeypatch.setattr(os, "fork", lambda: pytest.fail("a second walk"))


@pytest.mark.parametrize("kind", ["gzip", "lzf", "scale and offset", "none", "strings", "empty"])
def test_a_walk_reads_all_that_is_there(kind: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "my.h5", "w") as file:
        more: dict[str, object] = {"compression": kind} if kind in ("gzip", "lzf") else {}
        if kind == "scale and offset":
            more = {"scaleoffset": 0, "chunks": (100,)}
        values: object = (
            ["a", "b"] if kind == "strings" else np.arange(0 if kind == "empty" else 999)
        )
        found = file.create_dataset("deep/down/here", data=values, **more)
        found.attrs["name"] = "x"
        file["again"] = h5py.SoftLink("/deep")
        file["deep/up"] = file["/"]
        file["gone"] = h5py.ExternalLink("gone.h5", "/x")
        file["scalar"] = 1.5
        read: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            real = hdf5.values
            patch.setattr(hdf5, "values", lambda f, *a: read.append(f.name) or real(f, *a))
            hdf5._walk(file, tmp_path / "my.h5")
    assert sorted(read) == ["/deep/down/here", "/scalar"]


def test_a_filter_of_another_kind_is_tried_on_every_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "_WALKED", 100)
    read: list[object] = []
    with h5py.File(tmp_path / "my.h5", "w") as file:
        usual = {"chunks": (100,), "compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("usual", data=np.arange(500), **usual)
        file.create_dataset("other", data=np.arange(500), scaleoffset=0, chunks=(100,))
        real = hdf5.values
        monkeypatch.setattr(hdf5, "values", lambda f, *a: read.append(f.name) or real(f, *a))
        hdf5._walk(file, tmp_path / "my.h5")
    assert sorted(map(str, read)) == ["/other"] * 5 + ["/usual"]


def test_without_room_for_a_fork_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(apart, "_THREADED", ())
    monkeypatch.setattr(os, "fork", full)
    before = os.listdir("/dev/fd")
    assert apart.done_apart(os.getpid, "x", "a file", 0, "") == os.getpid()
    assert os.listdir("/dev/fd") == before


@pytest.mark.skipif(sys.platform != "linux", reason="the fork is of Linux")
def test_a_parent_that_ignores_its_children_gets_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apart, "_THREADED", ())
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert apart.done_apart(lambda: "done", "x", "a file", 0, "") == "done"
        with pytest.raises(FileError, match="ends the program"):
            apart.done_apart(os.abort, "x", "a file", 0, "again")
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.skipif(sys.platform != "linux", reason="the fork is of Linux")
def test_a_signal_waits_until_the_fork_has_handlers_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the fork would run the command's own end: a second program."""
    monkeypatch.setattr(apart, "_THREADED", ())
    fork, waiting = os.fork, []

    def forked() -> int:
        waiting.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return fork()

    monkeypatch.setattr(os, "fork", forked)
    now = lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [])  # noqa: E731
    assert apart.done_apart(now, "x", "a file", 0, "") == now() == set()
    assert waiting == [{signal.SIGINT, signal.SIGTERM, signal.SIGHUP}]
