"""R8 for plain runs: does `python -m benchmarks.run` itself notice a fault of predictions,
restoration or order?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.fidelity.faults.backends import target
from benchmarks.fidelity.faults.catalog import MUTANTS
from results.store import Store

# Small, and with what such faults bite on: batch norm, a test set of no whole number of batches.
_NETWORK = """
layers = [
  {type = "conv", filters = 4, kernel = 3, stride = 2, activation = "relu"},
  {type = "batch_norm", momentum = 0.75},
  {type = "flatten"},
  {type = "dense", units = "classes"},
]
"""
_USUAL = [
    *("--dataset", "demo", "--demo-images", "130", "--image-size", "13", "--batch-size", "8"),
    *("--epochs", "2", "--threads", "1", "--device", "cpu", "--no-report"),
]
IN_A_RUN = tuple(name for name, mutant in MUTANTS.items() if mutant.in_a_run)


def command(mutant: str, network: str, store: str) -> list[str]:
    """What a user types, with the mutant for the framework's name."""
    options = ["--frameworks", target(mutant), "--architectures", network, "--store", store]
    return [sys.executable, "-m", "benchmarks.run", *_USUAL, *options]


def row(mutant: str, directory: Path) -> dict[str, Any]:
    """The row of a plain run with a mutant: `status` and `reason` say whether it was noticed."""
    network, store = directory / "small.toml", directory / mutant
    network.write_text(_NETWORK)
    subprocess.run(command(mutant, str(network), str(store)), check=False, capture_output=True)
    return dict(Store(store).runs().iloc[0])
