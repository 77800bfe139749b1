"""R5e: several replicas compute what one does, in every framework that has them."""

import msgspec
import pytest

from benchmarks.fidelity import plan
from benchmarks.fidelity.cases.replicas import cases, rounded
from benchmarks.fidelity.kills.matrix import kill_matrix
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import collect
from benchmarks.fidelity.rungs.judge import judge
from tests.conformance.conftest import FRAMEWORKS

TWO, *OTHERS = cases()
LONG = (pytest.mark.slow, pytest.mark.extended)
ABLE = [name for name in FRAMEWORKS if plan.asked_of(name, TWO)]


def apart(found):
    return [f"{f.framework} {f.metric} {f.value:.1e} {f.cause}" for f in found if f.value > f.bound]


def climbed(asked, names, folder):
    """Findings of the cases in these frameworks."""
    how = {"parallel": 2, "asked_of": plan.asked_of}
    return judge(collect([REFERENCE, *names], asked, folder, **how), asked, names)


@pytest.mark.parametrize(
    "framework",
    [pytest.param(name, marks=LONG if "keras" in name else ()) for name in ABLE],
)
def test_two_replicas_compute_what_one_does(framework, tmp_path):
    found = climbed([TWO], [framework], tmp_path)
    assert {one.status for one in found} == {"passed"}, apart(found)


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.skipif(not ABLE, reason="no framework asked for has replicas")
def test_more_replicas_tuned_ones_and_one_framework_beside_another(tmp_path):
    plain = [TWO, *OTHERS, rounded()]
    tuned = [msgspec.structs.replace(c, name=f"{c.name}-tuned", tuning="tuned") for c in plain]
    found = climbed([*plain, *tuned], ABLE, tmp_path)
    assert {one.status for one in found} == {"passed"}, apart(found)


@pytest.mark.slow
@pytest.mark.extended
def test_each_condition_left_out_is_found(tmp_path):
    from benchmarks.fidelity.faults.catalog import MUTANTS

    mutants = [one for one in MUTANTS.values() if one.rung == "R5e" and one.framework in ABLE]
    for kill in kill_matrix(tmp_path, [one.name for one in mutants], parallel=2):
        assert kill.as_it_should_be, kill
        assert not kill.mutant or kill.rung == "R5e"
