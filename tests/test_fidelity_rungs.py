"""The judge: errors, bounds, and that a difference of each kind is found where it is."""

import msgspec
import numpy as np
import pytest

from benchmarks.fidelity import errors, ladder
from benchmarks.fidelity.case import Case, Material
from benchmarks.fidelity.collect import Trace
from benchmarks.fidelity.measure import measure
from benchmarks.fidelity.rungs import Pair, judge_pair, not_run
from frameworks.numpy_reference import NumpyReference

CASE = ladder.make(
    ladder.EVERYTHING,
    "adam",
    "float64",
    images=40,
    measure=("structure", "forward", "gradients", "steps"),
    steps=3,
    test_images=8,
)


@pytest.fixture(scope="module")
def arrays():
    return measure(CASE, NumpyReference)


def trace(directory, name, arrays, case=CASE):
    path = directory / f"{name}.npz"
    np.savez(path, **arrays)
    return Trace(name, case, path)


def judged(tmp_path, arrays, changed):
    pair = Pair(CASE, trace(tmp_path, "torch", arrays | changed), trace(tmp_path, "numpy", arrays))
    return {f.rung: f for f in judge_pair(pair) if f.status != "passed"}


def test_equal_traces_pass_every_rung(tmp_path, arrays):
    assert judged(tmp_path, arrays, {}) == {}


def test_a_wrong_layer_is_named_with_its_likely_cause(tmp_path, arrays):
    names = [layer.name for layer in CASE.architecture.layers]
    changed = {f"training/{name}": arrays[f"training/{name}"] * 1.01 for name in names[4:]}
    found = judged(tmp_path, arrays, changed)["R1"]
    assert found.where == f"training/{names[4]}"
    assert "epsilon" in found.cause


def test_a_wrong_gradient_is_named(tmp_path, arrays):
    key = "gradient/conv2/kernel"
    assert judged(tmp_path, arrays, {key: arrays[key] * 2})["R2"].where == "conv2/kernel"


def test_another_order_fails_at_the_inputs(tmp_path, arrays):
    assert judged(tmp_path, arrays, {"order_hash": np.asarray("0")})["R0"].where == "order_hash"


def test_a_loss_that_parts_is_dated(tmp_path, arrays):
    losses = arrays["losses"].copy()
    losses[1:] *= 1 + 1e-6
    assert judged(tmp_path, arrays, {"losses": losses})["R5a"].where == "step 2"


def test_nan_fails_and_is_named(tmp_path, arrays):
    key = "training/conv1"
    poisoned = arrays[key].copy()
    poisoned.flat[0] = np.nan
    found = judged(tmp_path, arrays, {key: poisoned})["R1"]
    assert found.where == "training/conv1"
    assert found.value == float("inf")


def test_what_was_not_run_is_never_passed(tmp_path, arrays):
    missing = Trace("jax", CASE, None, "ImportError: no jax")
    findings = judge_pair(Pair(CASE, missing, trace(tmp_path, "numpy", arrays)))
    assert {f.status for f in findings} == {"not run"}
    assert all("no jax" in f.cause for f in findings)
    assert not_run(Pair(CASE, missing, missing), "R1", "why").status == "not run"


def test_norms():
    reference, shift = np.array([3.0, 4.0]), np.array([0.5, 0.0])
    start = {"w": np.zeros(2)}
    assert errors.largest(reference + shift, reference) == pytest.approx(0.125)
    assert errors.relative_l2(reference + shift, reference) == pytest.approx(0.1)
    travel = errors.of_travel({"w": reference + shift}, {"w": reference}, start, ["w"])
    assert travel == pytest.approx(0.1)
    assert errors.largest(np.zeros(2), np.zeros(2)) == 0
    assert errors.largest(np.ones(2), np.zeros(2)) == float("inf")


def test_a_case_survives_the_journey_to_a_worker():
    assert msgspec.json.decode(msgspec.json.encode(CASE), type=Case) == CASE


def test_perturbed_weights_differ_by_the_size_asked_for():
    noisy = Material(msgspec.structs.replace(CASE, weight_noise=1e-6)).weights
    plain = Material(CASE).weights
    size = errors.relative_l2(noisy["conv1/kernel"], plain["conv1/kernel"])
    assert 1e-7 < size < 1e-6
    moved = Material(msgspec.structs.replace(CASE, ulp=True)).weights
    assert sum(int((moved[key] != plain[key]).sum()) for key in plain) == 1
