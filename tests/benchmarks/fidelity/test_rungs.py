"""The judge: errors, bounds, and that a difference of each kind is found where it is."""

import ml_dtypes
import msgspec
import numpy as np
import pytest

from benchmarks.fidelity.cases import ladder
from benchmarks.fidelity.cases.case import Case, Material
from benchmarks.fidelity.measure.__main__ import measure
from benchmarks.fidelity.measure.build import optimizer_state
from benchmarks.fidelity.measure.collect import Trace
from benchmarks.fidelity.rungs import errors, flips
from benchmarks.fidelity.rungs.judge import Pair, judge_pair, not_run
from frameworks.numpy.backend import NumpyReference

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


def test_of_gradients_the_one_nearest_the_loss_is_named(tmp_path, arrays):
    """A wrong backward spreads from its layer towards the input."""
    keys = ["gradient/conv1/kernel", "gradient/conv1/bias", "gradient/conv2/kernel"]
    found = judged(tmp_path, arrays, {key: arrays[key] * 2 for key in keys})["R2"]
    assert found.where == "conv2/kernel"


def test_logits_after_training_are_held_where_the_classes_are_equal(tmp_path, arrays):
    found = judged(tmp_path, arrays, {"predictions": arrays["predictions"] * (1 + 1e-9)})["R5a"]
    assert (found.metric, found.where) == ("test logits", "predictions")
    assert "inference" in found.cause


def test_what_an_optimizer_holds_after_many_steps_is_held(tmp_path):
    case = next(c for c in ladder.optimizers_alone(["float64"], steps=4) if "-adam-" in c.name)
    found = measure(case, NumpyReference)
    name = next(key for key in found if key.startswith("state/second_moment/"))
    one = trace(tmp_path, "torch", found | {name: found[name] * (1 + 1e-9)}, case)
    judged = judge_pair(Pair(case, one, trace(tmp_path, "numpy", found, case)))
    (failed,) = (f for f in judged if f.status != "passed")
    assert (failed.rung, failed.metric) == ("R3", "optimizer state")
    assert f"state/{failed.where}" == name
    for missing in (name, "state/step"):
        fewer = {key: array for key, array in found.items() if key != missing}
        one = trace(tmp_path, "torch", fewer, case)
        judged = judge_pair(Pair(case, one, trace(tmp_path, "numpy", found, case)))
        assert [f.where for f in judged if f.status != "passed"] == [missing.removeprefix("state/")]


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


@pytest.mark.parametrize(
    ("asked", "computed", "passes"),
    [
        ("bfloat16", "bfloat16", True),
        ("float16", "float16", True),
        ("bfloat16", "float16", False),
        ("float16", "bfloat16", False),
        ("bfloat16", "float32", False),
    ],
)
def test_kernels_have_the_bits_of_the_precision_asked_for(
    tmp_path, arrays, asked, computed, passes
):
    """More bits than asked for leave every error within its bound."""
    case = msgspec.structs.replace(CASE, precision=asked, measure=("forward",))
    values = {name: arrays[name] for name in arrays if "/" in name or name in ("loss", "logits")}
    mine = {name: rounded(value, computed) for name, value in values.items()}
    one, other = trace(tmp_path, "torch", mine, case), trace(tmp_path, "numpy", values, case)
    failed = [found for found in judge_pair(Pair(case, one, other)) if found.status != "passed"]
    assert [found.metric for found in failed] == ([] if passes else ["bits too many or too few"])
    assert {found.cause for found in failed} <= {"another precision than was asked for"}


def rounded(values, precision):
    """The values as a precision holds them."""
    if precision != "bfloat16":
        return np.asarray(values).astype(precision)
    return np.asarray(values).astype(ml_dtypes.bfloat16).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 3), (3,), ()])
def test_no_distance_is_taken_of_arrays_that_broadcast(shape):
    ones, wide = np.ones(shape), np.ones((4, 3))
    for one, other in ((ones, wide), (wide, ones)):
        found = [errors.largest(one, other), errors.relative_l2(one, other)]
        found.append(errors.of_travel({"w": one}, {"w": other}, {"w": 0 * other}, ["w"]))
        found.append(errors.of_spread(one, other, wide, 1.0))
        assert found == [np.inf] * 4


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


def failed(tmp_path, arrays, changed, case=CASE):
    pair = Pair(
        case,
        trace(tmp_path, "torch", arrays | changed, case),
        trace(tmp_path, "numpy", arrays, case),
    )
    return {f.metric: f for f in judge_pair(pair) if f.status != "passed"}


def test_a_running_mean_that_never_moves_fails(tmp_path, arrays):
    """Of a batch norm behind a layer with a bias too, which nothing but the mean would show."""
    start = Material(CASE).weights
    keys = [f"batch_norm{number}/moving_mean" for number in (1, 2, 3)]
    for key in keys:
        frozen = {f"step/{step}/{key}": start[key] for step in (1, 2, 3)}
        found = failed(tmp_path, arrays, frozen)
        assert set(found) == {"running statistics"}
        assert found["running statistics"].where == f"step 1 {key}"
        assert found["running statistics"].value > 1e-3


def test_a_bias_ahead_of_a_batch_norm_is_judged(tmp_path, arrays):
    key = "step/1/conv1/bias"  # a ReLU, then the batch norm: not dead
    found = failed(tmp_path, arrays, {key: Material(CASE).weights["conv1/bias"]})
    assert found["each weight over distance travelled"].where == "step 1 conv1/bias"
    assert found["each weight over distance travelled"].value == pytest.approx(1)


def test_a_small_tensor_is_not_hidden_by_a_large_one(tmp_path, arrays):
    """Wrong by 2e-10 of its own way, less than the bound of the way of all together."""
    start, key = Material(CASE).weights, "batch_norm1/gamma"
    moved = {name.removeprefix("step/3/"): a for name, a in arrays.items() if "step/3/" in name}
    wrong = {key: moved[key] + 2e-10 * (moved[key] - start[key])}
    keys = Material(CASE).network.trainable_keys
    assert errors.of_travel(moved | wrong, moved, start, keys) < 1e-10
    found = failed(tmp_path, arrays, {f"step/3/{key}": wrong[key]})
    assert found["each weight over distance travelled"].where == f"step 3 {key}"


def test_biases_that_a_batch_norm_takes_out_are_held_too(tmp_path, arrays):
    assert "conv2/bias" in Material(CASE).network.dead_biases
    key = "step/2/conv2/bias"
    found = failed(tmp_path, arrays, {key: arrays[key] + 1e-6})
    assert set(found) == {"biases that a batch norm takes out"}
    assert found["biases that a batch norm takes out"].where == "step 2 conv2/bias"


@pytest.mark.parametrize(
    ("name", "place", "metric", "where"),
    [
        ("losses", -1, "loss at every step", "step 3"),
        ("gradient/conv2/bias", 3, "zero gradient", "conv2/bias"),
        ("predictions", -1, "unequal predictions", "predictions"),
    ],
)
def test_nan_behind_numbers_that_hold_fails(tmp_path, arrays, name, place, metric, where):
    poisoned = arrays[name].copy()
    poisoned.flat[place] = np.nan
    found = failed(tmp_path, arrays, {name: poisoned})
    assert found[metric].where == where


def test_the_spread_is_the_scale_of_a_running_mean_near_zero():
    zero, spread = np.zeros(4), np.full(4, 0.25)
    assert errors.of_spread(zero + 1e-12, zero, spread, 0.01) == pytest.approx(2e-10)
    assert errors.of_spread(np.full(4, np.nan), zero, spread, 0.01) == float("inf")
    assert errors.of_spread(np.zeros(3), zero, spread, 0.01) == float("inf")


def float32_case(seed=0, optimizer="sgd"):
    options = {"images": 24, "measure": ("forward", "gradients", "steps"), "steps": 1}
    case = ladder.make(ladder.EVERYTHING, optimizer, "float32", **options)
    return msgspec.structs.replace(case, seed=seed)


def on_the_other_side(case, name, place, side):
    """(a float32 trace whose gradient and step have one unit on another side, the reference's)."""
    material = Material(msgspec.structs.replace(case, precision="float64"))
    reference = measure(material.case, NumpyReference)
    other = NumpyReference(material.network, case.recipe, material.case.runtime, material.weights)
    batch = material.epoch(1)[0]
    kinks = other.kinks(batch)
    assert (kinks[name][place] != side).any()
    kinks[name][place] = side
    gradients = other.gradients(batch, kinks).gradients
    other.apply_gradients(gradients)
    mine = reference | {f"gradient/{key}": array for key, array in gradients.items()}
    mine |= {f"step/1/{key}": other.get_weights()[key] for key in material.network.trainable_keys}
    return mine | optimizer_state(other), reference


@pytest.fixture(scope="module")
def flipped():
    """(case, a float32 trace in which one ReLU fell on the other side, the reference's trace).

    Invented: the unit nearest to zero is put across, and the step is the one of that side.
    """
    case = float32_case()
    across = measure(msgspec.structs.replace(case, precision="float64"), NumpyReference)[
        "training/conv1"
    ]
    place = np.unravel_index(np.where(across > 0, across, np.inf).argmin(), across.shape)
    mine, reference = on_the_other_side(case, "conv1", place, False)
    across[place] = 0.0
    return case, mine | {"training/conv1": across}, reference


@pytest.mark.parametrize("turned", [False, True])
def test_a_flip_is_taken_out_and_the_bound_of_a_step_stays(tmp_path, flipped, turned):
    """Against the reference, and between two frameworks of which either may have flipped."""
    case, *arrays = flipped
    mine, other = reversed(arrays) if turned else arrays
    key = "step/1/conv1/kernel"
    raw = np.linalg.norm(mine[key] - other[key])
    start = Material(case).weights["conv1/kernel"]
    travel = np.linalg.norm(other[key] - start)
    assert raw > 1e-4 * travel  # the flip is no rounding
    pair = Pair(case, trace(tmp_path, "torch", mine, case), trace(tmp_path, "jax", other, case))
    found = {f.metric: f for f in judge_pair(pair)}
    weights = found["weights over distance travelled"]
    assert (weights.status, weights.flips, weights.bound) == ("passed", 1, 1e-3)
    assert weights.value < 1e-12
    assert found["gradient by tensor"].value < 1e-12
    assert found["optimizer state"].flips == 1
    assert found["optimizer state"].value < 1e-12

    start = Material(case).weights
    wrong = {
        name: mine[name] + 2e-3 * (mine[name] - start[name.removeprefix("step/1/")])
        for name in (f"step/1/{key}" for key in pair.material.network.trainable_keys)
    }  # less than the 5e-3 that a step with flips was once allowed
    bad = Pair(case, trace(tmp_path, "torch", mine | wrong, case), pair.other)
    again = {f.metric: f for f in judge_pair(bad)}["weights over distance travelled"]
    assert again.status == "failed"


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "adadelta"])
def test_flips_that_take_a_whole_gradient_away_leave_means_of_squares(tmp_path, optimizer, turned):
    """A channel that only one has is off in the other: a square less a square that differs by
    rounding may be below zero, and is larger than rounding in any case."""
    case = float32_case(optimizer=optimizer)
    channel = np.s_[..., 0]
    mine, other = on_the_other_side(case, "conv1", channel, False)
    off = other["training/conv1"].copy()
    off[channel] = 0.0
    both = [
        {
            name: array.astype(np.float32) if array.dtype == np.float64 else array
            for name, array in one
        }
        for one in ((mine | {"training/conv1": off}).items(), other.items())
    ]
    mine, other = reversed(both) if turned else both
    pair = Pair(case, trace(tmp_path, "torch", mine, case), trace(tmp_path, "jax", other, case))
    state = {f.metric: f for f in judge_pair(pair)}["optimizer state"]
    assert state.flips == 15
    assert state.value < 1e-6


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("seed", "layer"), [(62, "conv1"), (10, "max_pool1")])
def test_a_unit_at_its_edge_may_be_on_either_side_in_the_program_of_the_gradient(
    tmp_path, seed, layer, turned
):
    """With these seeds one unit lies within rounding of it; the forward pass shows no flip."""
    case = float32_case(seed)
    kinks, *perturbed = flips.under_rounding(case, error=1e-5, draws=8)
    (place,) = {
        tuple(place) for other in perturbed for place in np.argwhere(other[layer] != kinks[layer])
    }
    sides = {other[layer][place] for other in perturbed} - {kinks[layer][place]}
    both = on_the_other_side(case, layer, place, *sides)
    mine, other = reversed(both) if turned else both
    assert errors.relative_l2(mine["gradient/conv1/kernel"], other["gradient/conv1/kernel"]) > 1e-4
    pair = Pair(case, trace(tmp_path, "torch", mine, case), trace(tmp_path, "jax", other, case))
    found = {f.metric: f for f in judge_pair(pair)}
    assert [f.metric for f in found.values() if f.status != "passed"] == []
    assert found["gradient by tensor"].flips == 1
    assert found["gradient by tensor"].value < 1e-12
    assert found["optimizer state"].value < 1e-12


def test_a_unit_away_from_its_edge_is_no_rounding(tmp_path, flipped):
    """The same flip as is taken out where the forward pass shows it, which it does not here."""
    case, mine, reference = flipped
    mine = mine | {"training/conv1": reference["training/conv1"]}
    pair = Pair(case, trace(tmp_path, "torch", mine, case), trace(tmp_path, "jax", reference, case))
    status = {f.metric: f.status for f in judge_pair(pair)}
    assert status["gradient by tensor"] == "failed"


@pytest.mark.parametrize("slot", ["first_moment", "second_moment"])
def test_a_mean_of_squares_is_judged_by_its_root(tmp_path, slot, monkeypatch):
    """A gradient that is off by a share gives both moments the same error; NaN has none."""
    case = ladder.make(ladder.EVERYTHING, "adam", "float64", images=16, measure=("steps",), steps=1)
    own = measure(case, NumpyReference)
    state = NumpyReference.get_optimizer_state

    def value(change):
        def changed(backend):
            found = state(backend)
            return found | {f"{slot}/conv1/kernel": change(found[f"{slot}/conv1/kernel"])}

        with monkeypatch.context() as patch:
            patch.setattr(NumpyReference, "get_optimizer_state", changed)
            mine = measure(case, NumpyReference)
        pair = Pair(case, trace(tmp_path, "torch", mine, case), trace(tmp_path, "jax", own))
        return {f.metric: f for f in judge_pair(pair)}["optimizer state"].value

    power = 2 if slot == "second_moment" else 1
    assert value(lambda array: array * (1 + 2**-10) ** power) == pytest.approx(2**-10, rel=1e-9)
    assert value(lambda array: array) == 0
    assert value(lambda array: np.full_like(array, np.nan)) == float("inf")
    assert value(lambda array: -array) > 1
