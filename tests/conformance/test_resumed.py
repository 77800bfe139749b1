"""A run that is killed and resumed ends as the float64 reference's unbroken one does."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.fidelity.measure.__main__ import ORACLE
from benchmarks.run import main
from results.store import Store
from tests.conformance.conftest import FRAMEWORKS
from tests.helpers import broken_off, small_galaxies

NETWORK = """
layers = [
  {type = "conv", filters = 4, kernel = 3, stride = 2, activation = "relu"},
  {type = "batch_norm", momentum = 0.75},
  {type = "flatten"},
  {type = "dropout", rate = 0.25},
  {type = "dense", units = "classes"},
]
"""
# Adam's moments make what is lost of them show; its epsilon keeps rounding from growing.
USUAL = ["--dataset", "galaxies.h5", "--architectures", "normed.toml", "--batch-size", "16"]
USUAL += ["--optimizer", "adam,epsilon=0.001", "--precision", "float64", "--threads", "1"]
USUAL += ["--rounds", "after=1,learning_rate=0.002,frozen=conv1"]  # broken off in the second
USUAL += ["--accumulation", "3", "--average-weights", "decay=0.75"]
USUAL += ["--epochs", "4", "--checkpoint-every", "0", "--timeout", "0", "--no-report"]
USUAL += ["--device", "cpu"]


def losses(store: str) -> np.ndarray:
    """Of every epoch and split, in order."""
    epochs = Store(store).epochs(latest=True)
    return epochs.sort_values(["split", "epoch"])["loss"].to_numpy()


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """A working directory with galaxies and a network, and the hook that breaks workers off."""
    broken_off.install(tmp_path, monkeypatch)
    small_galaxies.enter(tmp_path, monkeypatch)
    Path("normed.toml").write_text(NETWORK)
    return tmp_path


def compiled_late(names: list[str]) -> list:
    """The names; all but PyTorch and what third parties bring are among the slow."""
    late = [pytest.mark.slow]
    slow = ("keras", "jax")
    return [pytest.param(name, marks=late if name.startswith(slow) else []) for name in names]


@pytest.mark.parametrize("framework", compiled_late(FRAMEWORKS))
def test_a_resumed_training_is_the_reference_s_unbroken_one(work, monkeypatch, framework) -> None:
    assert main([*USUAL, "--store", "whole", "--frameworks", ORACLE]) == 0
    broken_off.break_off(monkeypatch, "worker", at=2)
    # of the machine's: another program may be killed for it meanwhile
    monkeypatch.setattr("benchmarks.system.machine.killed_for_memory", lambda: 0)
    assert main([*USUAL, "--store", "broken", "--frameworks", framework]) == 1
    broken_off.break_off(monkeypatch, "")
    assert main([*USUAL, "--store", "broken", "--frameworks", framework, "--resume"]) == 0
    expected, found = losses("whole"), losses("broken")
    assert len(found) == len(expected) >= 8
    np.testing.assert_allclose(found, expected, rtol=1e-10)
