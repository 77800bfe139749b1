"""R5c: the limit that controls set, and a gap that is the same in every run."""

import msgspec
import numpy as np
import pytest
from scipy import stats

from benchmarks.fidelity.cases import ladder
from benchmarks.fidelity.cases.case import Material
from benchmarks.fidelity.measure.__main__ import Builder
from benchmarks.fidelity.measure.collect import Trace
from benchmarks.fidelity.rungs import divergence
from benchmarks.fidelity.rungs.divergence_run import against_own_noise
from frameworks.numpy.backend import NumpyReference

CASE = ladder.make("unam", "adam", "float32", label="noise", steps=20)
RUNS = divergence.controls(CASE, 1e-6)


def apart(steps, begin):
    """1e-5 at step `begin`, twice that at the next, and so on."""
    return np.where(steps >= begin, 1e-5 * 2.0 ** (steps - begin), 0.0)


def invented(
    tmp_path,
    *,
    gap: float = 0.0,
    parts_at: int = 12,
    sooner: int = 0,
    float32_alone: float = 0.0,
):
    """Traces of torch and jax whose losses double their distance a step from `parts_at` on.

    gap: torch's losses are larger by it in every run, of float64 too; float32_alone: in every run
    but float64's. sooner: steps by which all of torch's runs part from jax's earlier than either
    from itself.
    """
    generator = np.random.default_rng(3)
    steps = np.arange(CASE.steps)
    plain = 2.3 - 0.01 * steps
    traces = {}
    for framework in ("torch", "jax"):
        for case in [*RUNS, *divergence.computed_otherwise(CASE)]:
            side = generator.choice([-1, 1])
            larger = 1.0
            if framework == "torch":
                larger += gap + (float32_alone if case.precision == "float32" else 0.0)
            parted = side * apart(steps, parts_at)
            if sooner and framework == "torch":
                parted = parted + apart(steps, parts_at - sooner)
            rounding = generator.uniform(-1e-7, 1e-7, CASE.steps)
            path = tmp_path / f"{framework}-{case.name}.npz"
            np.savez(path, losses=plain * larger * (1 + parted + rounding))
            traces[framework, case.name] = Trace(framework, case, path)
    return traces


BOTH = ["torch", "jax"]
PLACES = ["step 2", "step 5", "step 10", "step 20"]


def judged(traces):
    """(where the pair failed, which frameworks are too far from their float64)."""
    curves = divergence.curves(CASE, traces, ["torch", "jax"])
    found = divergence.judge(CASE, traces, curves)
    pair = [f for f in found if f.against == "jax"]
    exact = [f for f in found if f.against == "float64"]
    assert [f.where for f in pair] == [*PLACES, "steps 1-10"]
    assert [(f.framework, f.where) for f in exact] == [
        (name, where) for name in ("torch", "jax") for where in PLACES
    ]
    return [f.where for f in pair if f.status == "failed"], {
        f.framework for f in exact if f.status == "failed"
    }


def failed(traces):
    return judged(traces)[0]


def test_two_that_part_as_each_does_from_itself_pass(tmp_path):
    assert (
        failed(
            invented(
                tmp_path,
            )
        )
        == []
    )


def test_two_that_part_sooner_than_from_themselves_fail(tmp_path):
    found = failed(invented(tmp_path, sooner=4))
    assert {"step 10", "step 20"} <= set(found)
    assert "step 5" not in found


def test_one_step_sooner_is_forgiven(tmp_path):
    assert "step 20" not in failed(invented(tmp_path, sooner=1))


def test_a_gap_of_the_same_sign_in_every_run_fails_however_wide_the_noise(tmp_path):
    """At step 20 the noise is a hundred times the gap."""
    found = failed(invented(tmp_path, gap=3e-5, parts_at=11))
    assert "steps 1-10" in found
    assert "step 20" not in found
    assert "steps 1-10" not in failed(invented(tmp_path, gap=3e-6, parts_at=11))


@pytest.mark.parametrize("size", [0.2, -0.2, 1e-3, -1e-4])
def test_what_is_wrong_in_float32_alone_does_not_set_its_own_limit(tmp_path, size):
    """Every float32 run of torch is off alike: its float64 run is no control of the pair, and
    is itself further off than jax's controls are."""
    pair, exact = judged(invented(tmp_path, float32_alone=size))
    assert {"step 2", "step 5", "steps 1-10"} <= set(pair)
    assert exact == {"torch"}


def test_what_is_wrong_in_float64_too_is_the_pairs_alone(tmp_path):
    pair, exact = judged(invented(tmp_path, gap=1e-3))
    assert {"step 2", "step 5", "steps 1-10"} <= set(pair)
    assert exact == set()


def test_one_framework_alone_is_not_run(tmp_path):
    """It would set its own limit: rounding to TF32 throughout was within it."""
    found, curves = against_own_noise([CASE], ["torch"], 20, tmp_path, timeout=60)
    assert [(f.framework, f.status, f.cause[:16]) for f in found] == [
        ("torch", "not run", "R5c needs a seco")
    ]
    assert curves == []


def changed(traces, names, step, factor):
    """The traces with the losses of those cases of torch times a factor from a step on."""
    for (framework, name), trace in traces.items():
        if framework == "torch" and name in names:
            losses = trace["losses"].copy()
            losses[step:] *= factor
            np.savez(trace.path, losses=losses)
    return traces


def failures(traces):
    found = divergence.judge(CASE, traces, divergence.curves(CASE, traces, ["torch", "jax"]))
    return {(f.framework, f.against, f.where) for f in found if f.status == "failed"}


@pytest.mark.parametrize("factor", [np.nan, np.inf])
def test_a_control_that_is_not_finite_excuses_nothing(tmp_path, factor):
    traces = changed(invented(tmp_path), [f"{CASE.name}-noise3"], 1, factor)
    assert {("torch", "jax", where) for where in PLACES} <= failures(traces)


def test_the_last_steps_are_judged_too(tmp_path):
    """Of 20 steps none is a checkpoint but the last; of torch all runs are off from step 17 on."""
    case = msgspec.structs.replace(CASE, steps=19)
    traces = invented(tmp_path)
    names = {name for _, name in traces}
    curves = divergence.curves(case, changed(traces, names, 16, np.nan), BOTH)
    found = divergence.judge(case, traces, curves)
    assert {f.where for f in found if f.status == "failed"} == {"step 19"}


@pytest.mark.parametrize("label", ["tuned", "threads2"])
def test_a_control_that_computes_something_else_is_told(tmp_path, label):
    """It would excuse whatever its framework does: it has a limit too, by the perturbed ones."""
    traces = changed(invented(tmp_path), [f"{CASE.name}-{label}"], 0, 1.2)
    assert failures(traces) == {("torch", label, where) for where in PLACES}


@pytest.mark.parametrize(("found", "size"), [([3e-7, 1e-3], 3e-7), ([3e-7, 5e-7, 1e-3], 5e-7)])
def test_a_framework_that_is_off_does_not_set_the_size_of_the_noise(tmp_path, found, size):
    exact = np.linspace(-1, 1, 20)
    logits = {"numpy": exact} | {f"f{n}": exact * (1 + error) for n, error in enumerate(found)}
    traces = {}
    for name, array in logits.items():
        np.savez(path := tmp_path / f"{name}.npz", logits=array)
        traces[name, CASE.name] = Trace(name, CASE, path)
    names = [name for name in logits if name != "numpy"]
    assert divergence.forward_error(CASE, traces, names) == pytest.approx(size, rel=1e-6)


def test_the_limit_never_falls_and_exceeds_every_control_by_the_margin_alone():
    bimodal = [1e-7] * 8 + [1e-2] * 8
    assert divergence.limit(bimodal) == pytest.approx(divergence.MARGIN * 1e-2)
    assert divergence.limit([0.0, 0.0]) == pytest.approx(
        divergence.MARGIN * np.finfo(np.float32).eps / 2
    )
    curves = np.maximum.accumulate(np.random.default_rng(0).lognormal(size=(16, 50)), axis=1)
    limits = [divergence.limit(curves[:, step]) for step in range(50)]
    assert (np.diff(limits) >= 0).all()
    assert np.isnan(divergence.limit([1.0, np.nan]))  # which no value is within


def test_the_bound_of_the_gap_is_where_the_t_tests_together_say_one_percent():
    gaps = np.random.default_rng(1).normal(3e-4, 2e-4, 8)
    for tests in (1, 10):
        bound = divergence.largest_gap_of_chance(gaps, tests)
        shifted = gaps - gaps.mean() + bound
        assert stats.ttest_1samp(shifted, 0).pvalue == pytest.approx(divergence.GAP_LEVEL / tests)
    assert divergence.largest_gap_of_chance(gaps * 1e-6, 10) == divergence.GAP


def test_ten_controls_from_other_weights_and_computed_otherwise(tmp_path):
    curves = divergence.curves(
        CASE,
        invented(
            tmp_path,
        ),
        ["torch", "jax"],
    )
    labels = [curve.label for curve in curves if curve.framework == "jax"]
    perturbed = [f"noise{number}" for number in range(1, divergence.PERTURBED + 1)]
    assert sorted(labels) == sorted(["ulp", *perturbed, "float64", "threads2", "tuned"])
    tuned = msgspec.structs.replace(CASE, tuning="tuned", threads=2)
    _, threads, other = divergence.computed_otherwise(tuned)
    assert (threads.threads, other.tuning) == (1, "idiomatic")
    on_gpu = msgspec.structs.replace(CASE, device="cuda")
    _, kernels, _ = divergence.computed_otherwise(on_gpu)  # CPU threads change nothing there
    assert (kernels.deterministic, kernels.threads) == (True, CASE.threads)


def test_the_paired_runs_are_the_plain_one_the_ulp_and_the_perturbed(tmp_path):
    gaps = divergence.signed_gaps(CASE, invented(tmp_path, gap=1e-3), "torch", "jax")
    assert len(gaps) == divergence.PERTURBED + 2
    assert gaps == pytest.approx(1e-3, rel=1e-2)
    assert msgspec.structs.replace(RUNS[1], ulp=False, name=CASE.name) == CASE


def test_controls_that_differ_in_their_weights_share_a_backend_set_back_to_its_start():
    builder = Builder()
    trained = [msgspec.structs.replace(case, measure=("steps",)) for case in RUNS]
    built = [builder.backend(Material(case), NumpyReference) for case in trained]
    assert all(one is built[0] for one in built)
    start = built[0].get_optimizer_state()
    built[0].apply_gradients(Material(CASE).gradient_stream(0))
    again = builder.backend(Material(trained[1]), NumpyReference)
    assert again is built[0]
    assert same(again.get_optimizer_state(), start)
    assert same(again.get_weights(), Material(trained[1]).weights)


def same(arrays, others):
    return all(np.array_equal(arrays[key], others[key]) for key in others)


@pytest.mark.parametrize("other", [{"mutant": "beta_2_of_099"}, {"seed": 1}])
def test_whatever_differs_otherwise_has_a_backend_of_its_own(other):
    builder = Builder()
    plain = msgspec.structs.replace(CASE, measure=("steps",))
    case = msgspec.structs.replace(plain, **other)
    built = [builder.backend(Material(one), NumpyReference) for one in (plain, case, case)]
    assert built[1] is not built[0]
    assert (built[2] is built[1]) == ("seed" in other)
