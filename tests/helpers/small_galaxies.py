"""Made-up galaxies and a small network with every kind of state, for whole runs in a test."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORKS = ("keras", "torch", "jax")
NETWORK = """
[[layers]]
type = "conv"
filters = 4
kernel = 3
activation = "relu"
l2 = 0.001
[[layers]]
type = "batch_norm"
[[layers]]
type = "max_pool"
size = 2
[[layers]]
type = "dropout"
rate = 0.3
[[layers]]
type = "conv"
filters = 6
kernel = 2
activation = "relu"
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 6
activation = "relu"
max_norm = 2.0
[[layers]]
type = "dropout"
rate = 0.5
[[layers]]
type = "dense"
units = "classes"
"""
IMAGES, SIDE = 90, 10


def write(directory: Path) -> None:
    """`galaxies.h5` (three classes that differ in red) and `small.toml`."""
    labels = np.arange(IMAGES) % 3
    images = np.random.default_rng(0).integers(0, 120, (IMAGES, SIDE, SIDE, 3)).astype(np.uint8)
    images[..., 0] += (60 * labels[:, None, None]).astype(np.uint8)
    with h5py.File(directory / "galaxies.h5", "w") as file:
        file["images"], file["ans"] = images, labels.astype(np.uint8)
    (directory / "small.toml").write_text(NETWORK)


def enter(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the directory, with scratch space of its own and without a GPU."""
    write(directory)
    scratch = directory / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(directory)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def train(directory: Path) -> None:
    """A store `runs` with the models of six runs: three frameworks, both parities, two epochs."""
    write(directory)
    options = ["--dataset", "galaxies.h5", "--architectures", "small.toml", "--epochs", "2"]
    options += ["--batch-size", "16", "--threads", "1", "--no-report", "--save-models"]
    options += ["--parity", "matched", "native", "--device", "cpu", "--frameworks", *FRAMEWORKS]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", *options],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
