"""Every backend computes what the float64 reference computes: rungs R0-R5a on small pictures."""

from itertools import combinations

import pytest

from benchmarks.fidelity import ladder
from benchmarks.fidelity.collect import collect
from benchmarks.fidelity.measure import REFERENCE
from benchmarks.fidelity.rungs import Pair, judge, judge_pair
from frameworks.network import Network
from tests.conformance.conftest import (
    ARCHITECTURES,
    FRAMEWORKS,
    LARGE,
    SMALL,
    batch_cases,
    optimizer_cases,
    step_cases,
    training_cases,
)

CASES = {
    case.name: case
    for case in [*batch_cases(), *step_cases(), *training_cases(), *optimizer_cases()]
}
PAIRS = [(name, REFERENCE) for name in FRAMEWORKS] + list(combinations(FRAMEWORKS, 2))


def failures(findings):
    return [
        f"{f.rung} {f.metric}: {f.value:.2e} > {f.bound:.0e} at {f.where or '-'} "
        f"[{f.status}] {f.cause}"
        for f in findings
        if f.status != "passed"
    ]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("pair", PAIRS, ids=[f"{a}~{b}" for a, b in PAIRS])
def test_every_rung_holds(traces, pair, case):
    framework, other = pair
    findings = judge_pair(Pair(case, traces[framework, case.name], traces[other, case.name]))
    assert findings
    assert not failures(findings)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_framework_counts_the_parameters(traces, framework, name):
    case = CASES[f"{name}-batch-adam-10-float32"]
    network = Network(case.architecture, case.input_shape, case.classes)
    assert int(traces[framework, case.name]["parameters"]) == network.parameters()


def test_no_framework_is_much_less_exact_than_the_others(traces):
    findings = judge(traces, batch_cases(), FRAMEWORKS)
    compared = [f for f in findings if "median" in f.metric]
    assert len(compared) == len(FRAMEWORKS) * sum(c.precision == "float32" for c in batch_cases())
    assert not failures(compared)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_large_networks_take_the_same_step(framework, tmp_path):
    cases = step_cases(LARGE)
    found = collect([REFERENCE, framework], cases, tmp_path, parallel=2)
    for case in cases:
        findings = judge_pair(Pair(case, found[framework, case.name], found[REFERENCE, case.name]))
        assert not failures(findings), case.name


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_architecture_trains_alike_with_every_optimizer(framework, tmp_path):
    cases = ladder.trajectories(SMALL, ladder.DYADIC)
    found = collect([REFERENCE, framework], cases, tmp_path, parallel=2)
    for case in cases:
        findings = judge_pair(Pair(case, found[framework, case.name], found[REFERENCE, case.name]))
        assert not failures(findings), case.name
