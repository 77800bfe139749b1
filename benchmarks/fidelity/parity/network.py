"""Do the frameworks compute the same network? Asked in float64 before the first run, in seconds.

The short sister of `check`: layers and loss (R1), gradients (R2), a step (R4) and an epoch in the
calls that are timed (R5a), on the smallest pictures that fit the network. In float64 no rounding
hides a fault of the network or of its training. It says nothing of a run's own precision.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.config.plan import PlannedRun
from benchmarks.config.runconfig import RunConfig
from benchmarks.fidelity.parity.check import can_be_checked

if TYPE_CHECKING:
    from benchmarks.fidelity.cases.case import Case
    from benchmarks.fidelity.rungs.judge import Finding

_TIMEOUT = 300.0  # seconds without a case done

Key = tuple[str, str]  # framework, name of its first case


@dataclass(frozen=True)
class NetworkChecks:
    """Results by framework and case; each is the value of `extra.parity` of a run's row."""

    results: Mapping[Key, dict[str, Any]] = field(default_factory=dict)

    def of(self, config: RunConfig) -> dict[str, Any] | None:
        """The result for a configuration; None when it was not checked."""
        if not self.results or not can_be_checked(config):
            return None
        return self.results.get((config.framework, _cases(config)[0].name))


def check(
    runs: Iterable[PlannedRun], scratch: Path, *, tell: Callable[[str], None] = lambda text: None
) -> NetworkChecks:
    """Check every network of these runs once in each framework, as many processes as CPUs at once.

    One that cannot be measured has not passed. Runs that are skipped or native are not checked.

    Args:
        scratch: a directory for the arrays.
        tell: called with one line for each network, and one for each framework that failed.
    """
    asked: dict[str, tuple[tuple[Case, ...], dict[str, PlannedRun]]] = {}
    for run in runs:
        if not run.skip and can_be_checked(run.config):
            cases = _cases(run.config)
            _, mine = asked.setdefault(cases[0].name, (cases, {}))
            mine.setdefault(run.config.framework, run)
    results: dict[Key, dict[str, Any]] = {}
    for name, (cases, by_framework) in asked.items():
        found = _measured(cases, by_framework, scratch / name)
        for framework, summary in found.items():
            results[framework, name] = summary
        _told(cases[0].architecture.name, found, tell)
    return NetworkChecks(results)


def _cases(config: RunConfig) -> tuple[Case, ...]:
    """The questions: every part and a step, then an epoch in one call, in float64."""
    from benchmarks.fidelity.parity.cases import asked

    plain = msgspec.structs.replace(config, precision="float64", device="cpu", threads=1)
    questions = asked(plain)
    return questions.parts, questions.epoch


def _measured(
    cases: Sequence[Case], runs: Mapping[str, PlannedRun], directory: Path
) -> dict[str, dict[str, Any]]:
    """Summary of each framework's findings against the reference, by its name."""
    from benchmarks.fidelity.measure.__main__ import REFERENCE
    from benchmarks.fidelity.measure.collect import collect
    from benchmarks.fidelity.parity.cases import judge_timed
    from benchmarks.fidelity.rungs.judge import judge

    parts, epoch = cases
    traces = collect(
        [*runs, REFERENCE],
        list(cases),
        directory,
        timeout=_TIMEOUT,
        parallel=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2,
        interpreters={name: run.python for name, run in runs.items() if run.python},
    )
    found = {}
    for name in runs:
        findings = judge(traces, [parts], [name])
        findings += judge_timed(
            epoch, traces[name, epoch.name], traces[REFERENCE, epoch.name], "an epoch in one call"
        )
        found[name] = summary(findings)
    return found


def summary(findings: Sequence[Finding]) -> dict[str, Any]:
    """Passed or not, what failed in words, and the error that is nearest to its bound."""
    from benchmarks.fidelity.parity.check import failures

    measured = [one for one in findings if one.bound > 0 and isfinite(one.value)]
    nearest = max(measured, key=lambda one: one.value / one.bound, default=None)
    failed = failures(findings)
    told: dict[str, Any] = {
        "passed": not failed,
        "failures": list(failed),
        "rungs": sorted({one.rung for one in findings}),
        "precision": "float64",
        "checks": len(findings),
    }
    if nearest is not None:
        told |= {
            "value": nearest.value,
            "bound": nearest.bound,
            "share": nearest.value / nearest.bound,
            "metric": f"{nearest.rung} {nearest.metric}",
        }
    return told


def _told(network: str, found: Mapping[str, dict[str, Any]], tell: Callable[[str], None]) -> None:
    passed = {name: one for name, one in found.items() if one["passed"]}
    for name, one in found.items():
        if not one["passed"]:
            tell(
                f"parity: {name} does NOT compute {network} as the reference: {one['failures'][0]}"
            )
    if passed:
        worst = max(passed.values(), key=lambda one: one.get("share", 0.0))
        rungs = " ".join(worst["rungs"])
        nearest = (
            f"{worst['value']:.0e} of {worst['bound']:.0e} allowed" if "value" in worst else ""
        )
        tell(
            f"parity: {', '.join(passed)} compute {network} as the float64 reference does "
            f"({rungs}; nearest to its bound: {nearest})"
        )
