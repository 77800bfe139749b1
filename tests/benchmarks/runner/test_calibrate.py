"""What a machine does is kept at its best, and the cache may hold anything."""

import json

import pytest

from benchmarks.config.suite import Suite
from benchmarks.runner import calibrate
from benchmarks.runner.calibrate import Calibration, calibrated, measured
from benchmarks.runner.estimate import Estimator
from tests.helpers.planning import plan


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GALAXY_BENCHMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(calibrate, "measured", lambda: Calibration(2e9, 0.05))
    return tmp_path / "cache"


def test_the_best_of_now_and_before_counts_and_is_kept(cache) -> None:
    assert calibrated("m") == Calibration(2e9, 0.05)
    (path,) = cache.iterdir()
    path.write_text(json.dumps({"flops": 5e9, "loop_seconds": 0.07}))
    assert calibrated("m") == Calibration(5e9, 0.05)
    assert calibrated("m") == Calibration(5e9, 0.05)


@pytest.mark.parametrize("text", ["", "[1]", '{"flops": "x", "loop_seconds": 1}', '{"a": 1}', "["])
def test_a_cache_of_anything_costs_no_more_than_its_memory(cache, text: str) -> None:
    cache.mkdir()
    (cache / "speed-m.json").write_text(text)
    assert calibrated("m") == Calibration(2e9, 0.05)


def test_a_cache_that_cannot_be_written_is_no_error(cache) -> None:
    cache.write_text("a file where a directory should be")
    assert calibrated("m") == Calibration(2e9, 0.05)


def test_a_faster_machine_is_estimated_to_take_less() -> None:
    run = plan(Suite(frameworks=("torch",)))[0]
    slow = Estimator(machine=lambda: Calibration(2e9, 0.10))
    fast = Estimator(machine=lambda: Calibration(200e9, 0.05))
    assert fast.estimate(run).seconds < slow.estimate(run).seconds
    assert "a matrix product here: 200 GFLOP/s" in fast.estimate(run).basis
    fast.observe(run, 10.0, 4.0)
    assert "earlier of the same" in fast.estimate(run).basis


def test_a_process_measures_once() -> None:
    """A notebook and a test start many sessions."""
    assert measured().sound
    assert measured() is measured()
