"""R5c measured: the forward error of a network, then every control that it sets the size of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.fidelity import noise
from benchmarks.fidelity.case import Case
from benchmarks.fidelity.collect import Trace, Traces, collect
from benchmarks.fidelity.finding import Finding
from benchmarks.fidelity.measure import REFERENCE


def against_own_noise(
    plain: Sequence[Case],
    names: Sequence[str],
    steps: int,
    folder: Path,
    *,
    timeout: float,
    mutants: Mapping[str, str] | None = None,
) -> tuple[list[Finding], list[noise.Curve]]:
    """R5c of float32 cases that differ in the optimizer alone, for every pair of frameworks.

    Args:
        steps: of training.
        folder: receives the arrays.
        timeout: seconds, of a process that trains all the cases in one framework.
        mutants: by framework, the fault that it is to have in all of its runs.
    """
    mutants = mutants or {}
    forward = msgspec.structs.replace(plain[0], measure=("forward",))
    found = _collect([REFERENCE, *names], [forward], folder / "forward", timeout, mutants)
    if unmeasured := _unmeasured(found):
        return [_not_run(trace, case) for case in plain for trace in unmeasured], []
    error = noise.forward_error(forward, found, names)
    trainings = [
        msgspec.structs.replace(case, measure=("steps",), steps=steps, record_every=0)
        for case in plain
    ]
    family = {
        case.name: [*noise.controls(case, error), *noise.computed_otherwise(case)]
        for case in trainings
    }
    cases = [case for each in family.values() for case in each]
    traces = _collect(names, cases, folder, timeout, mutants)
    findings: list[Finding] = []
    curves: list[noise.Curve] = []
    for training in trainings:
        own = {case.name for case in family[training.name]}
        mine = {key: trace for key, trace in traces.items() if key[1] in own}
        if unmeasured := _unmeasured(mine):
            findings += [_not_run(trace, trace.case) for trace in unmeasured]
            continue
        drawn = noise.curves(training, mine, names)
        findings += noise.judge(training, mine, drawn)
        curves += drawn
    return findings, curves


def _unmeasured(traces: Traces) -> list[Trace]:
    return [trace for trace in traces.values() if trace.path is None]


def _collect(
    names: Sequence[str],
    cases: Sequence[Case],
    folder: Path,
    timeout: float,
    mutants: Mapping[str, str],
) -> Traces:
    traces: Traces = {}
    for name in names:
        fault = mutants.get(name, "")
        mine = [msgspec.structs.replace(case, mutant=fault) for case in cases]
        traces |= collect([name], mine, folder, timeout=timeout)
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
