"""A signal at any import of a command: one line, the status 128 + signal, no traceback."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from results import cli, interrupts
from results.store import Store
from tests.conftest import ROOT
from tests.helpers.factory import synthetic_run

# Runs `python -m MODULE ARGUMENT...`, but that it sends itself a signal at the import of the given
# number, of those after the handler is there. Without so many the command ends as it would.
_COMMAND = """
import os, runpy, signal, sys
number, sent, module, *arguments = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests ignore it
sys.argv = ["-m", *arguments]
sys.orig_argv = ["python", "-m", module, *arguments]
left = int(number)

def watch(event, details):
    global left
    if event == "import" and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), int(sent))

sys.addaudithook(watch)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
COMMANDS = {
    "results": ["show", "--store", "runs"],
    "report": ["--store", "runs", "--output", "out"],
    "benchmarks.run": ["--dry-run", "--frameworks", "torch", "--demo-images", "60"],
    "benchmarks.track": ["history", "--store", "runs"],
    "benchmarks.fidelity": ["--defaults"],
    "datasets": ["convert", "absent", "--recipe", "efigi"],
    "benchmarks.block": ["absent.json"],
    "benchmarks.port": ["absent.py:one", "absent.py:other"],
    "benchmarks.micro": ["--output", "absent/times.json"],
    "benchmarks.limits": ["--output", "absent/limits.json"],
    "benchmarks.gpu": ["--output", "/proc/absent"],
}
EVERY = (pytest.mark.slow, pytest.mark.extended)


def signalled(module: str, number: int, sent: int, directory: Path) -> tuple[int, str]:
    """The exit status and what stands on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, str(number), str(sent), module, *COMMANDS[module]],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize(
    ("module", "numbers"),
    [
        ("results", (1, 40, 400)),
        pytest.param("results", range(1, 2000, 50), marks=EVERY),
        *(pytest.param(name, (20, 80, 300), marks=EVERY) for name in COMMANDS),
    ],
)
def test_a_signal_at_any_import(
    tmp_path: Path, sent: int, module: str, numbers: tuple[int, ...]
) -> None:
    Store(tmp_path / "runs").append(*synthetic_run())
    for number in numbers:
        status, told = signalled(module, number, sent, tmp_path)
        if status in (cli.OK, cli.BAD_INPUT):  # it had ended before
            assert number > 100
            break
        assert status == 128 + sent, f"at import {number}: {told}"
        (line,) = told.splitlines()
        assert re.match(r"interrupted($|; .*(kept|goes on))", line)


def test_a_signal_that_is_dropped_in_a_destructor_comes_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Held:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    def command() -> int:
        Held()
        signal.pause()
        return 0

    assert cli.run(command) == 143
    assert capsys.readouterr().err == "interrupted\n"


def test_an_error_that_a_library_makes_of_a_signal_is_the_signal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException as error:
            raise ImportError("cannot import a library") from error
        return 0

    assert cli.run(command) == 143
    assert capsys.readouterr().err == "interrupted\n"


def test_the_second_signal_ends_at_once() -> None:
    code = """
import os, signal, sys
from results import cli
def command():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        print("not reached", flush=True)
sys.exit(cli.run(command, "something is kept"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "interrupted\n")


def test_signals_of_another_program_stay_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its package imports one of ours while `python -m` looks for its module."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "theirs.tool"])
    interrupts.begin("results")
    monkeypatch.setattr(sys, "argv", ["tool.py"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "results"])
    interrupts.begin("results")
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with cli.signals_raise():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_within_an_exec_is_status_130() -> None:
    code = """
import os, signal, sys
from results import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(cli.run(lambda: exec("os.kill(os.getpid(), signal.SIGINT)")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_signal_waits_for_the_end_of_what_is_held() -> None:
    seen: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append("signal"))
    try:
        with interrupts.Held():
            signal.raise_signal(signal.SIGTERM)
            seen.append("held")
        assert seen == ["held", "signal"]
    finally:
        signal.signal(signal.SIGTERM, before)
