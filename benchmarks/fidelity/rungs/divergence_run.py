"""R5c measured: the forward error of a network, then every control that it sets the size of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import Trace, Traces, collect
from benchmarks.fidelity.rungs import divergence
from benchmarks.fidelity.rungs.finding import Finding


def against_own_noise(
    plain: Sequence[Case],
    names: Sequence[str],
    steps: int,
    folder: Path,
    *,
    timeout: float,
    parallel: int = 1,
    tell: Callable[[str], None] | None = None,
    mutants: Mapping[str, str] | None = None,
) -> tuple[list[Finding], list[divergence.Curve]]:
    """R5c of cases that differ in the optimizer alone, for every pair of frameworks.

    Args:
        steps: of training.
        folder: receives the arrays.
        timeout: seconds without a case done, after which a process is killed.
        parallel: processes at a time.
        tell: is told every minute how far it is.
        mutants: by framework, the fault that it is to have in all of its runs.
    """
    if len(names) < 2:
        reason = "R5c needs a second framework: one alone would set its own limit"
        return [
            _not_run(Trace(name, case, None, reason), case) for case in plain for name in names
        ], []
    faults = dict.fromkeys(names, "") | dict(mutants or {})
    forward = msgspec.structs.replace(plain[0], measure=("forward",))
    how = {"timeout": timeout, "parallel": parallel, "tell": tell}
    found = _collect({REFERENCE: ""} | faults, [forward], folder / "forward", **how)
    if unmeasured := _unmeasured(found):
        return [_not_run(trace, case) for case in plain for trace in unmeasured], []
    error = divergence.forward_error(forward, found, names)
    trainings = [
        msgspec.structs.replace(case, measure=("steps",), steps=steps, record_every=0)
        for case in plain
    ]
    family = {
        case.name: [*divergence.controls(case, error), *divergence.computed_otherwise(case)]
        for case in trainings
    }
    cases = [case for each in family.values() for case in each]
    traces = _collect(faults, cases, folder, **how)
    findings: list[Finding] = []
    curves: list[divergence.Curve] = []
    for training in trainings:
        own = {case.name for case in family[training.name]}
        mine = {key: trace for key, trace in traces.items() if key[1] in own}
        if unmeasured := _unmeasured(mine):
            findings += [_not_run(trace, trace.case) for trace in unmeasured]
            continue
        drawn = divergence.curves(training, mine, names)
        findings += divergence.judge(training, mine, drawn)
        curves += drawn
    return findings, curves


def _unmeasured(traces: Traces) -> list[Trace]:
    return [trace for trace in traces.values() if trace.path is None]


def _collect(faults: Mapping[str, str], cases: Sequence[Case], folder: Path, **how: Any) -> Traces:
    """Traces of each framework with its fault; frameworks of one fault run side by side."""
    traces: Traces = {}
    for fault in dict.fromkeys(faults.values()):
        alike = [name for name in faults if faults[name] == fault]
        mine = [msgspec.structs.replace(case, mutant=fault) for case in cases]
        traces |= collect(alike, mine, folder, **how)
    return traces


def _not_run(trace: Trace, case: Case) -> Finding:
    nan = float("nan")
    return Finding(
        "R5c",
        case.name,
        trace.framework,
        "itself",
        case.precision,
        "",
        nan,
        nan,
        "not run",
        cause=trace.reason,
    )
