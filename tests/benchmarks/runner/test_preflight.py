"""What a session finds out first is found out in the interpreters that its runs are given."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from benchmarks.config.suite import Suite
from benchmarks.fidelity.parity.check import ParityChecks
from benchmarks.limits.found import Limits
from benchmarks.runner import preflight as opening
from tests.benchmarks.fidelity.test_parity import plan


def test_runs_with_an_interpreter_of_their_own_get_limits_and_a_parity_check(monkeypatch) -> None:
    planned = {run.config.framework: run for run in plan(frameworks=("torch", "torch@2.12", "jax"))}
    here, there, away = (planned[name] for name in ("torch", "torch@2.12", "jax"))
    runs = [here, replace(there, python="old/bin/python"), replace(away, skip="not installed")]
    asked = SimpleNamespace(parity=[], interpreters=[])

    def check(coming, scratch, *, tell):
        asked.parity += [(run.config.framework, run.python) for run in coming]
        return ParityChecks()

    def collect(precisions, *, device, threads, interpreters, tell):
        asked.interpreters.append(interpreters)
        return Limits(device=device, threads=threads)

    monkeypatch.setattr(opening.parity, "check", check)
    monkeypatch.setattr(opening, "collect", collect)
    session = opening.Session("s", {}, "m", None, None)
    suite = Suite(check_parity=True, limits=True)
    told: list[str] = []
    found = opening.opened(session, runs, suite, scratch=Path("unused"), tell=told.append)
    assert asked.parity == [("torch", ""), ("torch@2.12", "old/bin/python")]
    assert asked.interpreters == [{"torch@2.12": "old/bin/python"}]
    assert set(found.limits) == {"cpu"}
    assert not any("not checked" in line for line in told)
