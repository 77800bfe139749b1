"""Initial weights: bounds and spread of each initialiser, streams, hashes, files."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from scipy import stats

from frameworks.spec import architecture, weights
from frameworks.spec.architecture import BatchNorm, Conv, Dense, Flatten, from_table
from frameworks.spec.defaults import NATIVE, PROJECT, fill_architecture
from frameworks.spec.layers import KernelInitializer
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from tests.helpers.small_networks import network, random_weights

# shapes (kernel) of the table in which the frameworks' own initialisers were measured
SHAPES = {
    "conv 3 to 32": (3, 3, 3, 32),
    "conv 32 to 64": (3, 3, 32, 64),
    "dense 4096 to 256": (4096, 256),
    "dense 256 to 10": (256, 10),
}
MEASURED = {  # standard deviations of the frameworks' own draws, in the order of SHAPES
    "glorot_uniform": (0.0797, 0.0481, 0.0214, 0.0867),  # Keras
    "torch_uniform": (0.111, 0.0340, 0.0090, 0.0361),  # PyTorch
    "lecun_normal": (0.1925, 0.0589, 0.0156, 0.0625),  # Flax
}
NORMAL = {"kernel_initializer": "normal", "kernel_deviation": 0.01}
INITIALIZERS = tuple(
    name
    for name in get_args(KernelInitializer)
    if name not in ("normal", "truncated_normal", "orthogonal")
)


def draw(initializer: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return weights.draw(initializer, shape, shape, np.random.default_rng(seed))


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    receptive = math.prod(shape[:-2])
    return receptive * shape[-2], receptive * shape[-1]


def deviation(initializer: str, shape: tuple[int, ...]) -> float:
    """Standard deviation by theory: a / sqrt(3) of a uniform distribution on [-a, a]."""
    fan_in, fan_out = fans(shape)
    return {
        "glorot": math.sqrt(2 / (fan_in + fan_out)),
        "he": math.sqrt(2 / (fan_out if initializer.endswith("fan_out") else fan_in)),
        "lecun": math.sqrt(1 / fan_in),
        "torch": 1 / math.sqrt(3 * fan_in),
    }[initializer.partition("_")[0]]


def bound(initializer: str, shape: tuple[int, ...]) -> float:
    """The largest value there can be."""
    if "uniform" in initializer:
        return deviation(initializer, shape) * math.sqrt(3)
    truncated = stats.truncnorm(-2, 2).std()  # 0.8796: what truncation leaves of 1
    return 2 * deviation(initializer, shape) / truncated


# ---- initialisers


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_spread_bounds_and_mean_are_those_of_theory(initializer, shape):
    values = draw(initializer, shape)
    sigma, largest = deviation(initializer, shape), bound(initializer, shape)
    count = values.size
    assert values.std() == pytest.approx(sigma, rel=4 / math.sqrt(2 * count))
    assert abs(values.mean()) < 4 * sigma / math.sqrt(count)
    assert np.abs(values).max() <= largest
    assert np.abs(values).max() > 0.98 * largest - 10 * largest / count


@pytest.mark.parametrize("initializer", MEASURED)
def test_spread_is_what_was_measured_in_the_framework_that_defaults_to_it(initializer):
    for shape, measured in zip(SHAPES.values(), MEASURED[initializer], strict=True):
        # the measurement was one draw: its own error, and rounding to the digits given
        noise = 4 / math.sqrt(2 * math.prod(shape)) + 0.006
        assert deviation(initializer, shape) == pytest.approx(measured, rel=noise)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_distribution_is_uniform_or_truncated_normal(initializer):
    shape = (3, 3, 32, 64)
    scaled = draw(initializer, shape).ravel() / bound(initializer, shape)  # on [-1, 1]
    if "uniform" in initializer:
        expected = stats.uniform(-1, 2)
    else:
        expected = stats.truncnorm(-2, 2, scale=0.5)
    assert stats.kstest(scaled, expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (2, 2, 1, 16), (20, 5)])
def test_orthogonal_columns_or_rows_are_orthonormal(shape):
    flat = draw("orthogonal", shape).reshape(-1, shape[-1])
    product = flat.T @ flat if len(flat) >= shape[-1] else flat @ flat.T
    assert np.abs(product - np.eye(len(product))).max() < 1e-12


def test_a_truncated_normal_has_a_deviation_of_its_own():
    values = draw("truncated_normal", (3, 3, 32, 64))
    assert np.abs(values).max() <= 0.04
    assert values.std() == pytest.approx(0.02 * stats.truncnorm(-2, 2).std(), rel=0.02)


def test_a_normal_distribution_has_the_deviation_of_its_layer():
    net = network(Flatten(), Dense(name="d", units=400, **NORMAL))
    values = weights.initial(net, 0)["d/kernel"].ravel()
    assert stats.kstest(values, stats.norm(scale=0.01).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"kernel_initializer": "normal"}, "normal needs one"),
        ({"kernel_deviation": 0.1}, "belongs to"),
        ({**NORMAL, "kernel_deviation": 0.0}, "must be finite and positive"),
    ],
)
def test_a_deviation_belongs_to_a_normal_distribution(stated, words):
    layers = [{"type": "flatten"}, {"type": "dense", "units": "classes", **stated}]
    with pytest.raises(SpecificationError, match=words):
        from_table({"layers": layers}, origin="x", default_name="x")


def test_a_gamma_may_start_at_zero():
    net = network(
        Conv(name="c", filters=5, kernel=3),
        BatchNorm(gamma_initializer="zeros", name="n"),
        Flatten(),
    )
    drawn = weights.initial(net, 0)
    assert (drawn["n/gamma"] == 0).all()
    assert (drawn["n/moving_variance"] == 1).all()


def test_torch_draws_biases_within_the_bounds_of_their_kernel():
    kernel_shape = (5, 5, 8, 2000)
    values = weights.draw("torch_uniform", (2000,), kernel_shape, np.random.default_rng(0))
    limit = 1 / math.sqrt(5 * 5 * 8)
    assert 0.99 * limit < np.abs(values).max() <= limit
    assert values.std() == pytest.approx(limit / math.sqrt(3), rel=0.07)


def test_an_unknown_or_unstated_initialiser_is_refused():
    for name in ("glorot", None):
        with pytest.raises(SpecificationError, match=f"unstated initialiser: {name!r}"):
            weights.draw(name, (2, 2), (2, 2), np.random.default_rng(0))
    raw = Network(architecture.load("c2"), (69, 69, 3), 10)
    with pytest.raises(SpecificationError, match="unstated initialiser: None"):
        weights.initial(raw, 0)


# ---- initial weights of a network


SMALL = network(Conv(name="c", filters=5, kernel=3), BatchNorm(name="n"), Flatten())


@pytest.mark.parametrize("column", [PROJECT, *NATIVE.values()])
def test_initial_weights_are_float32_of_the_networks_shapes(column):
    spec = fill_architecture(architecture.load("c2"), column)
    net = Network(spec, (69, 69, 3), 10)
    drawn = weights.initial(net, 0)
    weights.check(drawn, net)
    assert {array.dtype for array in drawn.values()} == {np.dtype(np.float32)}
    for key, array in drawn.items():
        part = key.split("/")[1]
        if part in ("gamma", "moving_variance"):
            assert (array == 1).all()
        elif part in ("beta", "moving_mean"):
            assert (array == 0).all()
        elif part == "bias":
            assert (array == 0).all() == (column["conv.bias_initializer"] == "zeros")
        else:
            assert array.std() > 0


def test_the_same_seed_draws_the_same_bits_and_another_does_not():
    assert weights.sha256(weights.initial(SMALL, 5)) == weights.sha256(weights.initial(SMALL, 5))
    one, other = weights.initial(SMALL, 5), weights.initial(SMALL, 6)
    assert not np.intersect1d(one["c/kernel"], other["c/kernel"]).size


def test_a_draw_does_not_depend_on_the_sizes_of_other_layers():
    wider = network(Conv(name="c", filters=7, kernel=3), BatchNorm(name="n"), Flatten(), classes=3)
    taller = network(
        Conv(name="c", filters=5, kernel=3),
        BatchNorm(name="n"),
        Flatten(),
        classes=9,
    )
    first = weights.initial(SMALL, 0)["c/kernel"]
    np.testing.assert_array_equal(weights.initial(taller, 0)["c/kernel"], first)
    assert weights.initial(wider, 0)["c/kernel"].shape == (3, 3, 2, 7)


FIRST = (0.060844142, 0.055460125, 0.2449472)


def test_these_bits_are_kept_for_good():
    """A change of NumPy or of the code that draws other numbers must not pass unnoticed."""
    values = weights.initial(SMALL, 0)["c/kernel"].ravel()[:3]
    np.testing.assert_array_equal(values, np.array(FIRST, np.float32))


# ---- checks, hashes, files


def test_check_names_what_is_missing_unknown_or_of_another_shape():
    good = random_weights(SMALL)
    weights.check(good, SMALL)
    without = {key: array for key, array in good.items() if key != "n/beta"}
    with pytest.raises(SpecificationError, match="weights lack n/beta"):
        weights.check(without, SMALL)
    with pytest.raises(SpecificationError, match="weights have unknown n/delta"):
        weights.check({**good, "n/delta": np.zeros(3)}, SMALL)
    with pytest.raises(SpecificationError, match=r"c/bias has shape \(2,\), not \(5,\)"):
        weights.check({**good, "c/bias": np.zeros(2)}, SMALL)


def test_hash_sees_values_dtypes_shapes_and_keys_but_not_the_order():
    good = weights.initial(SMALL, 0)
    digest = weights.sha256(good)
    assert weights.sha256(dict(reversed(good.items()))) == digest
    assert weights.sha256({key: np.asfortranarray(array) for key, array in good.items()}) == digest
    key = "c/kernel"
    nudged = good[key].copy()
    nudged.flat[0] = np.nextafter(nudged.flat[0], np.float32(9))
    changes = (
        {key: nudged},
        {key: good[key].astype(np.float64)},
        {key: good[key].reshape(-1)},
        {"d/kernel": good[key]},
    )
    for change in changes:
        assert weights.sha256({**good, **change}) != digest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_survive_a_file(tmp_path, dtype):
    good = {key: array.astype(dtype) for key, array in random_weights(SMALL).items()}
    weights.save(tmp_path / "weights.npz", good)
    again = weights.load(tmp_path / "weights.npz")
    assert weights.sha256(again) == weights.sha256(good)
    assert list(again) == list(good)


def test_a_pickle_in_a_weights_file_is_not_opened(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, kernel=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"weights\.npz: .*Python objects"):
        weights.load(path)


def test_a_nudge_moves_every_weight_to_a_neighbour_by_its_number():
    made = Network(fill_architecture(architecture.load("c1")), (32, 32, 3), 10)
    drawn = weights.initial(made, 0)
    moved = weights.nudged(made, drawn, 2)
    for key in made.trainable_keys:
        up, down = (np.nextafter(drawn[key], np.float32(way)) for way in (np.inf, -np.inf))
        assert ((moved[key] == up) | (moved[key] == down)).all()
    kernel = made.trainable_keys[0]
    assert 0.4 < (moved[kernel] > drawn[kernel]).mean() < 0.6
    assert weights.sha256(weights.nudged(made, drawn, 2)) == weights.sha256(moved)
    assert weights.sha256(weights.nudged(made, drawn, 1)) != weights.sha256(moved)
    assert weights.sha256(weights.nudged(made, drawn, 0)) == weights.sha256(drawn)
