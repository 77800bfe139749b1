"""The gradients of the reference against finite differences, and its kinks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.batches import Batch
from frameworks.numpy import layers as numpy_layers
from frameworks.numpy.backend import NumpyReference, count_flips, recorded_kinks
from frameworks.spec import architecture, weights
from frameworks.spec.architecture import (
    Activation,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
)
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.layers import Concatenate
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from tests.helpers.small_networks import DOUBLE, networks, random_batch, random_weights, reference
from tests.helpers.small_networks import network as small

NETWORKS = {
    "conv_relu_max_pool": small(
        Conv(filters=3, kernel=3, activation="relu", l2=0.02),
        MaxPool(size=2),
        Flatten(),
        Dense(units=4, activation="relu", l2=0.01),
    ),
    "even_kernel_same_stride_2": small(
        Conv(filters=2, kernel=4, stride=2, padding="same", activation="tanh"),
        Conv(filters=2, kernel=(2, 3), padding="same", activation="silu"),
        Flatten(),
        input_shape=(7, 6, 2),
    ),
    "batch_norm": small(
        Conv(filters=3, kernel=3, activation="relu"),
        BatchNorm(epsilon=1e-5),
        AveragePool(size=2),
        Flatten(),
        Dense(units=4),
        BatchNorm(variance="fast"),
        Activation(function="sigmoid"),
    ),
    "dropout_overlapping_pools": small(
        Dropout(rate=0.25),
        Conv(filters=3, kernel=2, activation="silu"),
        MaxPool(size=3, stride=1),
        AveragePool(size=2, stride=1),
        Dropout(rate=0.5),
        Flatten(),
        Dropout(rate=0.5),
    ),
    "mobile_functions": small(
        Conv(filters=3, kernel=2, activation="hard_swish"),
        Activation(function="mish"),
        Concatenate(
            branches=(
                (),
                (Conv(name="a", filters=2, kernel=1, activation="relu6"),),
                (Conv(name="b", filters=3, kernel=1, activation="hard_sigmoid"),),
            )
        ),
        Flatten(),
        Dense(units=4, activation="selu"),
    ),
    "batch_norm_first": small(BatchNorm(), MaxPool(size=2), Flatten()),
}


def slope(backend: NumpyReference, batch: Batch, direction: dict[str, np.ndarray], h: float):
    """d loss / d direction by the five-point rule, on the piece of the network we are on.

    The rule's error is h^4 times the fifth derivative; rounding adds about 1e-16 / h.
    """
    kinks, start = backend.kinks(batch), backend.get_weights()

    def loss(distance: float) -> float:
        moved = {key: start[key] + distance * direction.get(key, 0) for key in start}
        backend.set_weights(moved)
        return backend.gradients(batch, kinks).loss

    result = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
    backend.set_weights(start)
    return result


@pytest.mark.parametrize("name", NETWORKS)
def test_every_gradient_is_the_slope_of_the_loss(name):
    network = NETWORKS[name]
    backend, batch = reference(network), random_batch(network)
    gradients = backend.gradients(batch).gradients
    assert list(gradients) == list(network.trainable_keys)
    for key, gradient in gradients.items():
        assert gradient.shape == network.weight_shapes[key]
        for index in np.ndindex(gradient.shape):
            direction = np.zeros(gradient.shape)
            direction[index] = 1
            expected = slope(backend, batch, {key: direction}, h=1e-3)
            assert gradient[index] == pytest.approx(expected, rel=1e-7, abs=1e-9), (key, index)


@given(networks(), st.integers(0, 99))
def test_gradients_of_any_network_are_slopes_of_its_loss(network, seed):
    backend, batch = reference(network), random_batch(network, size=3, seed=seed)
    generator = np.random.default_rng(seed)
    for key, gradient in backend.gradients(batch).gradients.items():
        direction = generator.normal(size=gradient.shape) / math.sqrt(gradient.size)
        expected = slope(backend, batch, {key: direction}, h=1e-4)
        assert np.vdot(gradient, direction) == pytest.approx(expected, rel=1e-6, abs=1e-8), key


def test_gradients_hold_without_freezing_the_kinks():
    network = NETWORKS["conv_relu_max_pool"]
    backend, batch = reference(network), random_batch(network)
    start, result = backend.get_weights(), backend.gradients(batch)
    for key, gradient in result.gradients.items():
        direction = np.random.default_rng(1).normal(size=gradient.shape)
        losses = []
        for distance in (1e-6, -1e-6):
            backend.set_weights({**start, key: start[key] + distance * direction})
            losses.append(backend.gradients(batch).loss)
        expected = (losses[0] - losses[1]) / 2e-6
        assert np.vdot(gradient, direction) == pytest.approx(expected, rel=1e-6, abs=1e-8), key


def test_gradients_of_the_unam_network_at_full_size():
    network = Network(fill_architecture(architecture.load("unam")), (69, 69, 3), 10)
    recipe = fill_recipe(Recipe())
    backend = NumpyReference(network, recipe, DOUBLE, weights.initial(network, 0))
    batch = random_batch(network, size=1)
    gradients = backend.gradients(batch).gradients
    generator = np.random.default_rng(0)
    direction = {
        key: generator.normal(size=g.shape) / math.sqrt(g.size) for key, g in gradients.items()
    }
    along = sum(np.vdot(gradients[key], direction[key]) for key in gradients)
    assert along == pytest.approx(slope(backend, batch, direction, h=1e-4), rel=1e-8)


@pytest.mark.parametrize(
    ("between", "dead"),
    [
        ([], ("a/bias",)),
        ([MaxPool(size=2)], ("a/bias",)),
        ([AveragePool(size=2), Activation(function="linear"), Flatten()], ("a/bias",)),
        ([Conv(name="b", filters=2, kernel=2)], ("a/bias", "b/bias")),
        (
            [BatchNorm(name="b"), Flatten(), Dense(name="c", units=2)],
            ("a/bias", "b/beta", "c/bias"),
        ),
        ([Conv(name="b", filters=2, kernel=3, padding="same")], ("b/bias",)),
        ([Activation(function="tanh")], ()),
        ([Dropout(rate=0.5)], ()),
    ],
)
def test_biases_called_dead_are_those_without_a_gradient(between, dead):
    flat = [] if any(isinstance(layer, Flatten) for layer in between) else [Flatten()]
    first = Conv(name="a", filters=3, kernel=2)
    network = small(first, *between, BatchNorm(name="last", epsilon=1e-5), *flat)
    assert network.dead_biases == dead
    for key, gradient in reference(network).gradients(random_batch(network, 6)).gradients.items():
        if key in dead:
            assert np.abs(gradient).max() < 1e-14, key
        else:
            assert np.abs(gradient).max() > 1e-6, key


def test_float64_is_as_good_as_its_rounding():
    if np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("no floating-point type wider than float64 on this machine")
    network = NETWORKS["batch_norm"]
    double, extended = reference(network), reference(network)
    extended.dtype = np.dtype(np.longdouble)
    extended.set_weights(random_weights(network))
    batch = random_batch(network, size=8)
    exact = extended.gradients(batch)
    assert exact.logits.dtype == np.longdouble
    for key, gradient in double.gradients(batch).gradients.items():
        error = np.abs(gradient - exact.gradients[key]).max()
        assert error < 1e-14 * np.abs(exact.gradients[key]).max() + 1e-15, key


def test_convolution_in_several_portions_of_pictures(monkeypatch):
    network = NETWORKS["even_kernel_same_stride_2"]
    batch = random_batch(network, size=5)
    whole = reference(network).gradients(batch)
    monkeypatch.setattr(numpy_layers, "_WINDOW_BYTES", 1)
    portions = reference(network).gradients(batch)
    np.testing.assert_allclose(portions.logits, whole.logits, rtol=1e-13)
    for key, gradient in whole.gradients.items():
        np.testing.assert_allclose(portions.gradients[key], gradient, rtol=1e-11, atol=1e-13)


# ---- kinks


def test_own_kinks_change_nothing_and_can_be_read_from_activations():
    network = NETWORKS["conv_relu_max_pool"]
    batch = random_batch(network)
    backend = reference(network)
    kinks = backend.kinks(batch)
    assert {name: array.dtype.kind for name, array in kinks.items()} == {
        "l0": "b",
        "l1": "i",
        "l3": "b",
    }
    recorded = recorded_kinks(network, batch.images, backend.activations(batch, training=True))
    assert count_flips(kinks, recorded) == {"l0": 0, "l1": 0, "l3": 0}
    free, imposed = backend.gradients(batch), backend.gradients(batch, kinks)
    for key, gradient in free.gradients.items():
        np.testing.assert_array_equal(imposed.gradients[key], gradient)


def test_a_pool_that_comes_first_reads_its_kinks_from_the_pictures():
    network = NETWORKS["batch_norm_first"]
    bare = small(MaxPool(name="pool", size=2), Flatten())
    for net in (network, bare):
        batch = random_batch(net)
        backend = reference(net)
        recorded = recorded_kinks(net, batch.images, backend.activations(batch, training=True))
        assert set(count_flips(backend.kinks(batch), recorded).values()) == {0}


def test_imposed_kinks_give_the_gradient_of_the_other_piece():
    """One weight is moved so that one ReLU turns; imposing the old pattern undoes only the turn."""
    network = small(Flatten(), Dense(name="hidden", units=3, activation="relu"))
    batch = random_batch(network, size=1)
    backend = reference(network)
    start, before = backend.get_weights(), backend.kinks(batch)
    pixels = batch.images.reshape(1, -1) / 255
    inputs = (pixels @ start["hidden/kernel"] + start["hidden/bias"])[0]
    unit = int(np.abs(inputs).argmin())
    step = -inputs[unit] - np.sign(inputs[unit]) * 1e-9  # just across zero
    bias = start["hidden/bias"].copy()
    bias[unit] += step
    backend.set_weights({**start, "hidden/bias": bias})
    after = backend.kinks(batch)
    assert count_flips(before, after) == {"hidden": 1}
    free = backend.gradients(batch).gradients["hidden/bias"]
    imposed = backend.gradients(batch, before).gradients["hidden/bias"]
    lets_through = bool(before["hidden"][0, unit])
    assert (imposed[unit] != 0) == lets_through
    assert (free[unit] != 0) != lets_through
