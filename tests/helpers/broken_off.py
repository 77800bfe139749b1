"""Runs broken off at a moment that no clock decides: ahead of the n-th checkpoint of a worker.

A `sitecustomize.py` on the path of the workers watches them put a checkpoint aside (by an audit
hook) and kills the worker, or the harness that started it, when it is time. It is in the middle of
a run: an epoch more than the last checkpoint has been trained, and is lost.
"""

import os
from pathlib import Path

import pytest

_HOOK = """
import os, signal, sys

count = 0

def watch(event, arguments):
    global count
    if event == "os.rename" and str(arguments[1]).endswith("checkpoint.previous.npz"):
        count += 1
        if count == int(os.environ["BROKEN_OFF_AT"]):
            parent = sys.orig_argv[sys.orig_argv.index("benchmarks.worker") - 1]
            victim = int(parent) if os.environ["BROKEN_OFF"] == "harness" else os.getpid()
            os.kill(victim, signal.SIGKILL)
            signal.pause()

if "benchmarks.worker" in sys.orig_argv and os.environ.get("BROKEN_OFF"):
    sys.addaudithook(watch)
"""


def install(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have workers started from here look at `BROKEN_OFF`."""
    folder = directory / "hooks"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_HOOK)
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("BROKEN_OFF_AT", "3")


def break_off(monkeypatch: pytest.MonkeyPatch, who: str, at: int = 3) -> None:
    """From now on kill the "worker" or the "harness" ahead of checkpoint `at`; "" for no one."""
    monkeypatch.setenv("BROKEN_OFF", who)
    monkeypatch.setenv("BROKEN_OFF_AT", str(at))
