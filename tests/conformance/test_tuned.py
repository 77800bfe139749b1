"""The tuned backends keep parity too: the ladder again, on fewer networks unless `-m slow`."""

import msgspec
import numpy as np
import pytest

from benchmarks.fidelity import plan
from benchmarks.fidelity.cases import ladder, lifecycle
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import collect
from benchmarks.fidelity.rungs.judge import Pair, judge_pair
from tests.conformance.conftest import (
    FRAMEWORKS,
    LARGE,
    batch_cases,
    life_cases,
    optimizer_cases,
    step_cases,
    training_cases,
)
from tests.conformance.test_ladder import failures

COMPILE = ladder.make(
    ladder.EVERYTHING, "adam", "float32", label="compile", images=20, measure=("compile",)
)


def tuned(cases):
    return [msgspec.structs.replace(case, tuning="tuned") for case in cases]


def chosen():
    """Every kind of layer in both precisions, and the optimizers that have a fused form."""
    both = [*batch_cases([ladder.EVERYTHING]), *step_cases([ladder.EVERYTHING])]
    alone = [case for case in optimizer_cases(50) if case.name.startswith("small-alone-adam")]
    return tuned([*both, *alone, *life_cases()])


def named():
    """C2 in float32 for its batch norms, UNAM for its pools behind ReLUs."""
    cases = [*batch_cases(["c2", "unam"], ["float32"], (10,)), *step_cases(["c2"])]
    return tuned([case for case in cases if case.precision == "float32"])


CASES = {case.name: case for case in chosen()}
COMPILED = tuned([COMPILE, msgspec.structs.replace(COMPILE, name="native-compile", native=True)])
EVERY = tuned([*batch_cases(), *step_cases(), *training_cases(), *optimizer_cases()])
EVERY += tuned([*step_cases(LARGE), *lifecycle.lifecycles()])


def compiled_late(names):
    """The names; all but PyTorch compile for about a minute, so theirs is one of the `extended`."""
    late = [pytest.mark.slow, pytest.mark.extended]
    return [pytest.param(name, marks=[] if name == "torch" else late) for name in names]


def judged(framework, cases, traces):
    findings = []
    for case in cases:
        if not plan.asked_of(framework, case):
            continue
        pair = Pair(case, traces[framework, case.name], traces[REFERENCE, case.name])
        findings += judge_pair(pair)
    return findings


@pytest.fixture(scope="module")
def reference_traces(tmp_path_factory):
    """The reference's traces of the chosen cases."""
    return collect([REFERENCE], list(CASES.values()), tmp_path_factory.mktemp("tuned"), parallel=2)


@pytest.fixture(scope="module")
def compile_traces(tmp_path_factory):
    """Plain and compiled, matched and native."""
    return collect(FRAMEWORKS, COMPILED, tmp_path_factory.mktemp("compiled"), parallel=2)


def test_the_chosen_cases_reach_every_measurement():
    measured = {what for case in CASES.values() for what in case.measure}
    parts = {"structure", "forward", "gradients", "restored", "optimizer"}
    assert measured == parts | {"steps", "lifecycle", "own_masks", "drawn"}
    assert {case.precision for case in CASES.values()} == {"float64", "float32"}
    assert all(case.tuning == "tuned" for case in CASES.values())


@pytest.mark.parametrize("framework", compiled_late(FRAMEWORKS))
def test_tuned_backends_hold_every_rung(framework, reference_traces, tmp_path):
    cases = [case for case in CASES.values() if plan.asked_of(framework, case)]
    traces = collect([framework], cases, tmp_path, parallel=2)
    findings = judged(framework, cases, reference_traces | traces)
    assert {finding.case for finding in findings} == {case.name for case in cases}
    assert not failures(findings)


@pytest.mark.slow
@pytest.mark.extended
def test_tuned_backends_hold_every_rung_on_c2_and_unam(tmp_path):
    traces = collect([REFERENCE, *FRAMEWORKS], named(), tmp_path, parallel=2)
    for framework in FRAMEWORKS:
        assert not failures(judged(framework, named(), traces))


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_tuned_backends_hold_every_rung_on_every_network(framework, tmp_path):
    asked = plan.asked_of
    traces = collect([REFERENCE, framework], EVERY, tmp_path, parallel=2, asked_of=asked)
    assert not failures(judged(framework, EVERY, traces))


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_compiling_does_not_change_the_result(framework, compile_traces):
    for case in COMPILED:
        trace = compile_traces[framework, case.name]
        assert trace.path is not None, trace.reason
        plain, compiled = trace.group("plain/"), trace.group("compiled/")
        assert plain.keys() == compiled.keys()
        assert plain["conv1/kernel"].any()
        unequal = [key for key in plain if not np.array_equal(plain[key], compiled[key])]
        assert not unequal, (case.name, unequal)
