"""Augmentation by the framework in whole runs: recorded, and gone on with after a break."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.run import main
from results.store import Store
from tests.conformance.conftest import FRAMEWORKS
from tests.conformance.test_resumed import NETWORK, losses
from tests.helpers import broken_off, small_galaxies

USUAL = ["--dataset", "galaxies.h5", "--architectures", "normed.toml", "--batch-size", "16"]
USUAL += ["--augment", "flip,rotation=20,brightness=0.1,by=framework", "--parity", "native"]
USUAL += ["--tuning", "idiomatic", "tuned", "--epochs", "4", "--checkpoint-every", "0"]
USUAL += ["--timeout", "0", "--threads", "1", "--device", "cpu", "--no-report"]


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_resumed_training_goes_on_with_its_own_draws(tmp_path, monkeypatch, framework) -> None:
    broken_off.install(tmp_path, monkeypatch)
    small_galaxies.enter(tmp_path, monkeypatch)
    Path("normed.toml").write_text(NETWORK)
    assert main([*USUAL, "--store", "whole", "--frameworks", framework]) == 0
    broken_off.break_off(monkeypatch, "worker", at=2)
    # of the machine's: another program may be killed for it meanwhile
    monkeypatch.setattr("benchmarks.system.machine.killed_for_memory", lambda: 0)
    assert main([*USUAL, "--store", "broken", "--frameworks", framework]) == 1
    broken_off.break_off(monkeypatch, "")
    assert main([*USUAL, "--store", "broken", "--frameworks", framework, "--resume"]) == 0
    np.testing.assert_allclose(losses("broken"), losses("whole"), rtol=1e-5)
    runs = Store("whole").runs()
    for recipe, extra in zip(runs["recipe"], runs["extra"], strict=True):
        assert json.loads(recipe)["augment"]["by"] == "framework"
        assert json.loads(extra)["settings"]["augmentation"].startswith("native: ")
    assert runs["augmentation_hash"].isna().all()
