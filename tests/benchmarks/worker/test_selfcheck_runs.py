"""The self-check as a user meets it: a plain `benchmarks.run`, sound and with faults."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.fidelity.faults.catalog import MUTANTS
from benchmarks.run import main
from frameworks.backend import framework
from results.store import Store
from tests.helpers import fake_backend
from tests.helpers.faulty import FAULTS, entry_points

# Ends in the same shape whatever the padding and strides ahead, so that no shape gives these away.
NETWORK = """
name = "small"
layers = [
  {type = "conv", filters = 4, kernel = 3, activation = "relu"},
  {type = "batch_norm", momentum = 0.5},
  {type = "max_pool", size = 2},
  {type = "adaptive_average_pool", size = 2},
  {type = "flatten"},
  {type = "dense", units = 3, activation = "tanh"},
  {type = "dense", units = "classes"},
]
"""
# Ends with the weights of the first epoch: no later one is so much better.
BEST_FIRST = ("--early-stopping", "patience=5,min_delta=9,restore_best=true")


def galaxies(directory: Path, monkeypatch: pytest.MonkeyPatch, others: dict[str, str]) -> None:
    labels = np.arange(90) % 3
    images = np.random.default_rng(0).integers(0, 120, (90, 12, 12, 3)).astype(np.uint8)
    images[..., 0] += (60 * labels[:, None, None]).astype(np.uint8)
    fake_backend.working_directory(directory, monkeypatch, images, labels, others)
    (directory / "small.toml").write_text(NETWORK)


def runs(frameworks: list[str], *options: str, architecture: str = "small.toml") -> pd.DataFrame:
    """The rows of a plain run, by framework."""
    usual = ["--dataset", "galaxies.h5", "--architectures", architecture, "--batch-size", "8"]
    usual += ["--epochs", "2", "--threads", "1", "--no-report"]
    main([*usual, "--frameworks", *frameworks, *options])
    return Store("runs").runs(latest=True).set_index("framework")


def test_a_run_says_that_it_checked_itself(tmp_path, monkeypatch) -> None:
    galaxies(tmp_path, monkeypatch, {})
    row = runs(["fake"], architecture="linear.toml").loc["fake"]
    assert row["status"] == "ok"
    assert row["self_checked"]
    assert row["self_check_seconds"] > 0
    phases = ["import", "stage", "build", "compile", "train", "evaluate", "self_check"]
    known = sum(row[f"{phase}_seconds"] for phase in phases)
    assert row["own_seconds"] == pytest.approx(row["wall_seconds"] - known)


def test_a_run_can_be_asked_not_to(tmp_path, monkeypatch) -> None:
    galaxies(tmp_path, monkeypatch, {})
    row = runs(["fake"], "--no-self-check", architecture="linear.toml").loc["fake"]
    assert row["status"] == "ok"
    assert row[["self_checked", "self_check_seconds"]].isna().all()


def test_answers_that_are_not_the_weights_fail_the_run(tmp_path, monkeypatch) -> None:
    galaxies(tmp_path, monkeypatch, {})
    row = runs(["fake-still"], architecture="linear.toml").loc["fake-still"]
    assert row["status"] == "error"
    assert "self-check failed: " in row["reason"]
    assert "reference: " in row["reason"]
    assert not row["self_checked"]


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["idiomatic", "tuned"])
@pytest.mark.parametrize("of", ["keras", "torch", "jax"])
def test_a_plain_run_kills_faults_of_inference_restoring_and_order(
    of, tuning, tmp_path, monkeypatch
) -> None:
    if framework(of).missing_packages():
        pytest.skip(f"{of} is not installed")
    mine = [m for m in MUTANTS.values() if (m.framework, m.tuning) == (of, tuning)]
    faults = [*FAULTS, *(mutant.name for mutant in mine if mutant.in_a_run)]
    names = {f"{of}-{fault}".replace("_", "-"): fault for fault in faults}
    galaxies(tmp_path, monkeypatch, entry_points(names))
    found = runs([of, *names], "--tuning", tuning, *BEST_FIRST)
    assert found.loc[of, "status"] == "ok"
    assert found.loc[of, "self_checked"]
    survived = [name for name in names if not _killed(found.loc[name])]
    assert not survived, found.loc[survived, ["status", "reason"]].to_dict("index")


def _killed(row: pd.Series) -> bool:
    """The run's own checks ended it: of its answers, or of the batches it was served."""
    told = ("self-check failed: ", "batches were served in another order")
    return row["status"] == "error" and any(words in row["reason"] for words in told)
