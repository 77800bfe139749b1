"""The peak of a process is its own."""

import subprocess
import sys

import pytest

from benchmarks.system import machine

_CHILD = "import numpy; from frameworks.memory import process_peak_memory as peak; print(*peak())"
_PARENT = (
    "import subprocess, sys; held = b'x' * 300_000_000; "
    f"subprocess.run([sys.executable, '-c', {_CHILD!r}], check=True)"
)


def peak_of(code: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=machine.ROOT, capture_output=True, text=True, check=True
    )
    peak, kind = done.stdout.split(maxsplit=1)
    assert kind.strip() == "process resident set"
    return int(peak)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere getrusage is all there is")
def test_a_small_process_does_not_report_the_peak_of_its_parent() -> None:
    assert 10e6 < peak_of(_PARENT) < 200e6


def test_memory_that_was_let_go_of_counts() -> None:
    assert peak_of(f"held = b'x' * 300_000_000; del held; {_CHILD}") > 300e6
