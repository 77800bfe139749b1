"""The layer lists that belong to experiments alone: what every backend computes of them (slow)."""

import pytest

from benchmarks.config import experiment
from benchmarks.fidelity.cases import ladder
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import collect
from benchmarks.fidelity.rungs.judge import Pair, judge_pair
from benchmarks.fidelity.rungs.settle import settled
from frameworks.spec import architecture
from tests.conformance.conftest import FRAMEWORKS
from tests.conformance.test_ladder import failures

VARIANTS = sorted((experiment.DIRECTORY / "architectures").glob("*.toml"))


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_variants_compute_the_same_everywhere(framework, tmp_path):
    """Structure, forward pass, gradients (R0-R2) in both precisions, one whole step (R4)."""
    networks = [architecture.load(path) for path in VARIANTS]
    batches = ladder.one_batch(networks, ("float64", "float32"), (4,), batch_size=8)
    cases = [settled(case) for case in batches]
    cases += ladder.one_step(networks, ("float64",))
    found = collect([REFERENCE, framework], cases, tmp_path, parallel=2)
    for case in cases:
        findings = judge_pair(Pair(case, found[framework, case.name], found[REFERENCE, case.name]))
        assert findings
        assert not failures(findings), case.name
