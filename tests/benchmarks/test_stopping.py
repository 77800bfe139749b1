"""A ladder that is stopped leaves no process behind, and says with its status why it ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.system import machine
from tests.helpers.processes import ended

# Ctrl-C reaches it also where the tests ignore it.
_LADDER = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("benchmarks.fidelity", run_name="__main__")
"""
# Long enough that it is the signal which ends it.
_ASKED = ["--frameworks", "torch", "--architectures", "c1", "--rungs", "R5b", "--steps", "100000"]


def _measuring(ladder: psutil.Process) -> list[psutil.Process]:
    """Its processes: PyTorch's and the reference's."""
    for _ in range(3000):
        if len(children := ladder.children()) == 2:
            return children
        time.sleep(0.1)
    pytest.fail("the ladder did not start measuring")


@pytest.mark.parametrize(
    ("sent", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["Ctrl-C to it alone", "SIGTERM", "SIGKILL"],
)
def test_a_stopped_ladder_leaves_no_process(tmp_path: Path, sent: int, status: int) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ladder = subprocess.Popen(
        [sys.executable, "-c", _LADDER, *_ASKED, "--parallel", "2", "--store", "runs"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(machine.ROOT), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    measuring = _measuring(psutil.Process(ladder.pid))
    ladder.send_signal(sent)
    told, _ = ladder.communicate(timeout=300)
    assert ladder.returncode == status, told
    assert ended(measuring)
    if sent != signal.SIGKILL:
        assert "interrupted" in told
        assert "Traceback" not in told
        assert list(scratch.iterdir()) == []
