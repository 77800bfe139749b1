"""Every backend computes what the float64 reference computes: rungs R0-R5a on small pictures."""

from itertools import combinations

import pytest

from benchmarks.fidelity import plan
from benchmarks.fidelity.cases import ladder
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import collect
from benchmarks.fidelity.rungs.judge import Pair, judge_pair, rms_against_median
from frameworks.spec.network import Network
from tests.conformance.conftest import (
    FRAMEWORKS,
    LARGE,
    SMALL,
    USUAL,
    asked_by_default,
    asked_in_depth,
    batch_cases,
    deep_cases,
    default_cases,
    step_cases,
)

CASES = {case.name: case for case in default_cases()}
ENGINES = [name for name in FRAMEWORKS if "@" in name]
OWN = [name for name in FRAMEWORKS if name not in ENGINES]
DEEP_CASES = {case.name: case for case in deep_cases()}
LARGE_CASES = {case.name: case for case in [*batch_cases(LARGE), *step_cases(LARGE)]}
PAIRS = [(name, REFERENCE) for name in FRAMEWORKS] + list(combinations(FRAMEWORKS, 2))


def failures(findings):
    return [
        f"{f.rung} {f.metric}: {f.value:.2e} > {f.bound:.0e} at {f.where or '-'} "
        f"[{f.status}] {f.cause}"
        for f in findings
        if f.status != "passed"
    ]


ASKED = [
    (pair, case)
    for pair in PAIRS
    for case in CASES.values()
    if all(asked_by_default(name, case) and plan.asked_of(name, case) for name in pair)
]


@pytest.mark.parametrize(
    ("pair", "case"), ASKED, ids=[f"{a}~{b}-{case.name}" for (a, b), case in ASKED]
)
def test_every_rung_holds(traces, pair, case):
    framework, other = pair
    findings = judge_pair(Pair(case, traces[framework, case.name], traces[other, case.name]))
    assert findings
    assert not failures(findings)


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.parametrize("framework", OWN)
def test_the_framework_counts_the_parameters(traces, framework, name):
    case = CASES[f"{name}-batch-adam-10-float32"]
    network = Network(case.architecture, case.input_shape, case.classes)
    assert int(traces[framework, case.name]["parameters"]) == network.parameters()


def test_no_framework_is_much_less_exact_than_the_others(traces):
    cases = [c for c in CASES.values() if c.precision == "float32" and "gradients" in c.measure]
    compared = [f for case in cases for f in rms_against_median(case, traces, OWN)]
    if len(OWN) >= 3:
        assert len(compared) == len(OWN) * len(cases)
    assert not failures(compared)


@pytest.mark.slow
@pytest.mark.extended
def test_every_network_all_the_way(tmp_path):
    cases = list(DEEP_CASES.values())
    how = {"parallel": 2, "asked_of": asked_in_depth}
    found = collect([REFERENCE, *FRAMEWORKS], cases, tmp_path, **how)
    rest = [case for case in CASES.values() if not asked_by_default("@", case)]
    if ENGINES:
        found |= collect([REFERENCE, *ENGINES], rest, tmp_path / "engines", **how)
    findings = []
    for one, other in PAIRS:
        also = rest if {one, other} <= {REFERENCE, *ENGINES} else []
        for case in [*cases, *also]:
            if asked_in_depth(one, case) and asked_in_depth(other, case):
                findings += judge_pair(Pair(case, found[one, case.name], found[other, case.name]))
    assert {finding.rung for finding in findings} == {"R0", "R1", "R2", "R3", "R4", "R5a", "R5d"}
    assert not failures(findings)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ENGINES)
def test_every_network_on_other_engines_of_keras(framework, tmp_path):
    left = [case for case in DEEP_CASES.values() if not asked_in_depth(framework, case)]
    found = collect([REFERENCE, framework], left, tmp_path, parallel=2, asked_of=plan.asked_of)
    findings = []
    for case in left:
        if plan.asked_of(framework, case):
            pair = Pair(case, found[framework, case.name], found[REFERENCE, case.name])
            findings += judge_pair(pair)
    assert findings
    assert not failures(findings)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_large_networks(framework, tmp_path):
    cases = list(LARGE_CASES.values())
    found = collect([REFERENCE, framework], cases, tmp_path, parallel=2)
    findings = []
    for case in cases:
        findings += judge_pair(Pair(case, found[framework, case.name], found[REFERENCE, case.name]))
    assert not failures(findings)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_architecture_trains_alike_with_every_optimizer(framework, tmp_path):
    cases = ladder.trajectories(SMALL, ladder.DYADIC)
    found = collect([REFERENCE, framework], cases, tmp_path, parallel=2)
    for case in cases:
        findings = judge_pair(Pair(case, found[framework, case.name], found[REFERENCE, case.name]))
        assert not failures(findings), case.name
