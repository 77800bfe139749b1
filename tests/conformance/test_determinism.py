"""The same configuration twice gives the same bits, on the CPU, in every framework.

And compiling ahead of the first epoch changes none of them.
"""

import msgspec
import numpy as np
import pytest

from benchmarks.fidelity.cases import ladder
from benchmarks.fidelity.measure.collect import collect
from tests.conformance.conftest import FRAMEWORKS

# Two threads, where a reduction could be split in another way each time; dropout and batch norm on.
PLAIN = ladder.make(
    ladder.EVERYTHING,
    "adam",
    "float32",
    label="twice",
    images=44,
    test_images=8,
    measure=("steps",),
    steps=6,
    record_every=2,
    threads=2,
)
NATIVE = msgspec.structs.replace(PLAIN, name="native-twice", native=True)
COMPILED = [
    msgspec.structs.replace(case, name=f"{case.name}-compiled", measure=("compile",), images=20)
    for case in (PLAIN, NATIVE)
]
# After PLAIN it is given PLAIN's backend, compiled and trained; after anything else one of its own.
MOVED = msgspec.structs.replace(PLAIN, name="moved-twice", weight_noise=1e-3, noise_seed=1)
FLAGS = msgspec.structs.replace(PLAIN, name="flags-twice", deterministic=True)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Every framework's traces, from two processes each, which compete for the cores."""
    folder = tmp_path_factory.mktemp("twice")
    one, other = [PLAIN, MOVED, NATIVE], [MOVED, NATIVE, PLAIN]
    return [
        collect(FRAMEWORKS, one, folder / "one", parallel=2),
        collect(FRAMEWORKS, other, folder / "other", parallel=2),
    ]


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_same_twice_is_the_same_to_the_bit(framework, twice):
    first, second = twice
    for case in (PLAIN, NATIVE, MOVED):
        one, other = first[framework, case.name], second[framework, case.name]
        assert one.path is not None, one.reason
        assert other.path is not None, other.reason
        assert one.keys() == other.keys()
        assert len(set(one["losses"])) == case.steps  # it trains, and not on one batch
        unequal = [key for key in one if not np.array_equal(one[key], other[key])]
        assert not unequal, (case.name, unequal)
    plain, moved = (first[framework, case.name]["losses"] for case in (PLAIN, MOVED))
    assert not np.array_equal(plain, moved)


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_compiling_does_not_change_the_result(framework, tmp_path):
    traces = collect([framework], COMPILED, tmp_path, parallel=2)
    for case in COMPILED:
        trace = traces[framework, case.name]
        assert trace.path is not None, trace.reason
        plain, compiled = trace.group("plain/"), trace.group("compiled/")
        assert plain.keys() == compiled.keys()
        assert plain["conv1/kernel"].any()
        unequal = [key for key in plain if not np.array_equal(plain[key], compiled[key])]
        assert not unequal, (case.name, unequal)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_deterministic_flags_change_no_result_on_a_cpu(framework, tmp_path):
    """Every operation of the networks has a deterministic form: none is refused."""
    traces = collect([framework], [PLAIN], tmp_path / "plain")
    flagged = collect([framework], [FLAGS], tmp_path / "flags")
    one, other = traces[framework, PLAIN.name], flagged[framework, FLAGS.name]
    assert other.path is not None, other.reason
    np.testing.assert_allclose(one["losses"], other["losses"], rtol=1e-5)
