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
    plain: Case,
    names: Sequence[str],
    steps: int,
    folder: Path,
    *,
    timeout: float,
    mutants: Mapping[str, str] | None = None,
) -> tuple[list[Finding], list[noise.Curve]]:
    """R5c of one float32 case for every pair of frameworks.

    Args:
        steps: of training.
        folder: receives the arrays.
        mutants: by framework, the fault that it is to have in all of its runs.
    """
    mutants = mutants or {}
    forward = msgspec.structs.replace(plain, measure=("forward",))
    found = _collect([REFERENCE, *names], [forward], folder / "forward", timeout, mutants)
    if unmeasured := [trace for trace in found.values() if trace.path is None]:
        return [_not_run(trace) for trace in unmeasured], []
    error = noise.forward_error(forward, found, names)
    training = msgspec.structs.replace(plain, measure=("steps",), steps=steps, record_every=steps)
    cases = [*noise.controls(training, error), *noise.computed_otherwise(training)]
    traces = _collect(names, cases, folder, timeout, mutants)
    if unmeasured := [trace for trace in traces.values() if trace.path is None]:
        return [_not_run(trace) for trace in unmeasured], []
    curves = noise.curves(training, traces, names)
    return noise.judge(training, traces, curves), curves


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


def _not_run(trace: Trace) -> Finding:
    nan = float("nan")
    case = trace.case
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
