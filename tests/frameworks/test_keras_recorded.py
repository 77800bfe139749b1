"""A recorded step of Keras on PyTorch trains as a launched one: on a stand-in for CUDA graphs."""

import json
import subprocess
import sys

import pytest

from benchmarks.process.environment import environment
from benchmarks.system import machine


def test_a_recorded_step_of_keras_trains_as_one_that_is_launched(tmp_path):
    found = recorded(tmp_path, "adam")
    assert found["refused"].startswith("eager; no CUDA graph of a step: RuntimeError: operation")
    assert found["alike"]


@pytest.mark.slow
@pytest.mark.extended
def test_so_it_does_with_every_optimizer_decay_clipping_and_a_schedule_by_step(tmp_path):
    recorded(tmp_path, "decoupled", "nesterov", "adadelta", "weighted", "by step")


def recorded(scratch, *names):
    """Output of a process that trains by these recipes, recorded and launched."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.helpers.keras_recorded", *names],
        env=environment("keras@torch", device="cpu", threads=1, scratch=scratch),
        cwd=machine.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert len(found["apart"]) == 2 * len(names)
    assert max(found["apart"].values()) < 1e-12, found["apart"]
    assert found["replays"] == 2 * 3 * len(found["apart"])  # epochs, of three steps
    return found
