"""Blocks of two sessions in two process namespaces, on one store and one TMPDIR."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.run import main
from benchmarks.system import machine
from results.store import Store
from tests.helpers.fake_backend import command

PAIR = ("fake", "fake-tuned")
_APART = ["unshare", "--pid", "--fork", "--mount-proc"]


def namespaces() -> bool:
    """Whether this user may make one."""
    try:
        return not subprocess.run([*_APART, "true"], capture_output=True).returncode
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.skipif(not namespaces(), reason="process namespaces cannot be made here (unshare)")
def test_nothing_is_lost_and_nobodys_data_removed(work) -> None:
    variables = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(machine.ROOT), os.environ["PYTHONPATH"]])
    }
    started = []
    for name, seeds in (("one", ("0", "1")), ("other", ("2", "3"))):
        assert main(command("--seeds", *seeds, "--write-blocks", name, frameworks=PAIR)) == 0
    for name in ("one", "other"):
        runs = [
            shlex.join([sys.executable, "-m", "benchmarks.block", str(path)])
            for path in sorted(Path(name).iterdir())
        ]
        words = [*_APART, "sh", "-c", " && ".join(runs)]
        started.append(
            subprocess.Popen(
                words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
    for process in started:
        out, _ = process.communicate()
        assert process.returncode == 0, out
    runs = Store("runs").runs()
    assert len(runs) == 8
    assert set(runs["status"]) == {"ok"}
    assert runs["session_id"].nunique() == 2
    assert runs["block"].nunique() == 4
    left = {path.name for path in Path("scratch").iterdir()}
    assert left == {f"galaxy-benchmark-{os.getuid()}"}, "the staged galaxies alone"
    (staged,) = (path for path in Path("scratch", *left).iterdir() if path.is_dir())
    assert {path.name for path in staged.iterdir()} == {"data", "galaxies.json"}
