"""The check of a network in float64 before the first run: what it asks, tells and keeps."""

from dataclasses import replace

import pytest

from benchmarks.config.plan import PlannedRun
from benchmarks.config.suite import Suite
from benchmarks.fidelity.parity import network
from benchmarks.fidelity.parity.network import NetworkChecks, summary
from benchmarks.fidelity.rungs.finding import Finding
from tests.helpers.planning import plan


def finding(**changes: object) -> Finding:
    usual = {
        "rung": "R1",
        "case": "c",
        "framework": "torch",
        "against": "numpy",
        "precision": "float64",
        "metric": "loss",
        "value": 1e-13,
        "bound": 1e-12,
        "status": "passed",
    }
    return Finding(**{**usual, **changes})  # type: ignore[arg-type]


def runs(**changes: object) -> list[PlannedRun]:
    suite = Suite(frameworks=("torch", "jax"), seeds=(0, 1), **changes)  # type: ignore[arg-type]
    return plan(suite)


def test_the_error_nearest_to_its_bound_is_kept() -> None:
    found = summary([finding(), finding(rung="R2", value=5e-12, bound=1e-11)])
    assert found["passed"]
    assert found["rungs"] == ["R1", "R2"]
    assert (found["value"], found["bound"]) == (5e-12, 1e-11)


def test_what_failed_or_did_not_run_has_not_passed() -> None:
    for status in ("failed", "not run"):
        found = summary([finding(), finding(status=status, value=float("nan"))])
        assert not found["passed"]
        assert found["failures"]


def test_each_network_is_asked_once_in_each_framework_in_float64(tmp_path, monkeypatch) -> None:
    asked = []

    def measured(cases, by_framework, directory):
        asked.append(({case.precision for case in cases}, sorted(by_framework)))
        return {
            "torch": summary([finding()]),
            "jax": summary([finding(status="failed", value=1.0)]),
        }

    monkeypatch.setattr(network, "_measured", measured)
    told: list[str] = []
    planned = runs()
    found = network.check(planned, tmp_path, tell=told.append)
    assert asked == [({"float64"}, ["jax", "torch"])]
    assert [line.split()[1] for line in told] == ["jax", "torch"]
    assert "does NOT compute unam" in told[0]
    assert "nearest to its bound: 1e-13 of 1e-12 allowed" in told[1]
    passed = {run.config.framework: found.of(run.config) for run in planned}
    assert passed["torch"] is not None
    assert passed["torch"]["passed"]
    assert passed["jax"] is not None
    assert not passed["jax"]["passed"]


@pytest.mark.parametrize("changes", [{"parity": ("native",)}, {}])
def test_native_and_skipped_runs_are_not_asked(tmp_path, monkeypatch, changes) -> None:
    monkeypatch.setattr(network, "_measured", None)
    planned = runs(**changes)
    if not changes:
        planned = [replace(run, skip="not installed") for run in planned]
    assert network.check(planned, tmp_path) == NetworkChecks()
    assert NetworkChecks().of(planned[0].config) is None
