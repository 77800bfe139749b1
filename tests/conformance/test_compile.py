"""Compiling ahead of the first epoch changes nothing: not a bit of the result."""

import msgspec
import numpy as np
import pytest

from benchmarks.fidelity import ladder
from benchmarks.fidelity.collect import collect
from tests.conformance.conftest import FRAMEWORKS

MATCHED = ladder.make(
    ladder.EVERYTHING, "adam", "float32", label="compile", images=20, measure=("compile",)
)
NATIVE = msgspec.structs.replace(MATCHED, name="native-compile", native=True)


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """A process for each framework."""
    return collect(FRAMEWORKS, [MATCHED, NATIVE], tmp_path_factory.mktemp("compile"), parallel=2)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_compiling_does_not_change_the_result(framework, traces):
    for case in (MATCHED, NATIVE):
        trace = traces[framework, case.name]
        assert trace.path is not None, trace.reason
        plain, compiled = trace.group("plain/"), trace.group("compiled/")
        assert plain.keys() == compiled.keys()
        assert plain["conv1/kernel"].any()
        unequal = [key for key in plain if not np.array_equal(plain[key], compiled[key])]
        assert not unequal, (case.name, unequal)
