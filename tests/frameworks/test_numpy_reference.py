"""The reference as a backend: what it feeds its layers, training, state, refusals."""

from __future__ import annotations

import dataclasses
import statistics

import numpy as np
import pytest

from datasets.batches import Epoch, MaskSpec, split_into_batches
from frameworks.backend import Runtime
from frameworks.numpy.backend import NumpyReference
from frameworks.spec import architecture, weights
from frameworks.spec.architecture import BatchNorm, Conv, Dense, Dropout, Flatten, MaxPool
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, Adam, Recipe
from tests.helpers.small_networks import DOUBLE, random_batch, random_weights, reference
from tests.helpers.small_networks import network as small

# ---- pictures, masks and loss


def test_unbiased_variance_of_one_value_is_refused():
    network = small(Flatten(), BatchNorm(name="norm", running_variance="unbiased"))
    with pytest.raises(SpecificationError, match=r"layer 'norm'.*more than one value"):
        reference(network).gradients(random_batch(network, size=1))


def test_dropout_scales_what_it_keeps_and_is_off_in_inference():
    network = small(Flatten(), Dropout(name="drop", rate=0.75), input_shape=(4, 4, 1))
    backend, batch = reference(network), random_batch(network, size=50)
    mask = batch.masks["drop"]
    assert 0.2 < mask.mean() < 0.3
    active = backend.activations(batch, training=True)
    np.testing.assert_array_equal(active["drop"], active["l0"] * mask * 4)
    passive = backend.activations(batch, training=False)
    np.testing.assert_array_equal(passive["drop"], passive["l0"])


def test_training_with_dropout_needs_masks():
    network = small(Flatten(), Dropout(name="drop", rate=0.5))
    batch = dataclasses.replace(random_batch(network), masks={})
    with pytest.raises(SpecificationError, match=r"layer 'drop'.*masks"):
        reference(network).gradients(batch)
    assert np.isfinite(reference(network).predict(batch.images)).all()


def test_flatten_is_in_row_column_channel_order_and_pixels_are_scaled():
    network = small(Flatten(name="flat"), input_shape=(2, 2, 3))
    batch = random_batch(network, size=1)
    flat = reference(network).activations(batch, training=False)["flat"][0]
    picture = batch.images[0]
    expected = [picture[r, c, k] / 255 for r in (0, 1) for c in (0, 1) for k in (0, 1, 2)]
    np.testing.assert_allclose(flat, expected, rtol=1e-15)


def test_l2_is_the_plain_sum_of_squares_of_kernels_alone():
    plain = small(Flatten(), Dense(name="a", units=4), Dense(name="b", units=3))
    network = small(Flatten(), Dense(name="a", units=4), Dense(name="b", units=3, l2=0.5))
    batch = random_batch(network)
    with_l2, without = reference(network).gradients(batch), reference(plain).gradients(batch)
    kernel = random_weights(network)["b/kernel"]
    assert with_l2.loss - without.loss == pytest.approx(0.5 * (kernel**2).sum(), rel=1e-12)
    for key, gradient in with_l2.gradients.items():
        extra = kernel if key == "b/kernel" else 0  # d(0.5 w^2) / dw
        np.testing.assert_allclose(gradient, without.gradients[key] + extra, atol=1e-14)


# ---- training


def make_epoch(network: Network, images: int, batch_size: int, number: int = 0) -> Epoch:
    data = random_batch(network, size=images, seed=7)
    rows = split_into_batches(np.arange(images), batch_size)
    masks = MaskSpec(network.dropout_shapes, network.dropout_rates, seed=0)
    return Epoch(data.images, data.labels, rows, number, masks)


TRAINED = small(
    Conv(name="conv", filters=3, kernel=3, activation="relu", l2=0.01, max_norm=0.5),
    BatchNorm(name="norm", momentum=0.8),
    MaxPool(size=2),
    Flatten(),
    Dropout(rate=0.5),
    Dense(name="dense", units=5, activation="tanh", max_norm=0.7),
)


def test_an_epoch_is_gradients_and_steps_and_means_over_images():
    epoch = make_epoch(TRAINED, images=7, batch_size=3)  # 3 + 3 + 1
    trained = reference(TRAINED, Adam(learning_rate=0.01))
    by_hand = reference(TRAINED, Adam(learning_rate=0.01))
    losses, hits = [], 0
    for batch in epoch:
        result = by_hand.gradients(batch)
        pixels = by_hand.activations(batch, training=True)["conv"].reshape(-1, 3)
        by_hand.apply_gradients(result.gradients)
        values = by_hand.get_weights()
        for part, now in (("moving_mean", pixels.mean(0)), ("moving_variance", pixels.var(0))):
            values[f"norm/{part}"] = 0.8 * values[f"norm/{part}"] + (1 - 0.8) * now
        by_hand.set_weights(values)
        losses += [result.loss] * len(batch)
        hits += np.count_nonzero(result.logits.argmax(1) == batch.labels)
    result = trained.train_epoch(epoch)
    assert result.loss == pytest.approx(statistics.fmean(losses), rel=1e-13)
    assert result.accuracy == hits / 7
    expected = by_hand.get_weights()
    for key, array in trained.get_weights().items():
        np.testing.assert_allclose(array, expected[key], rtol=1e-11, atol=1e-13, err_msg=key)


def test_looking_changes_nothing():
    backend = reference(TRAINED, Adam())
    epoch = make_epoch(TRAINED, images=8, batch_size=4)
    backend.train_epoch(epoch)
    before = {**backend.get_weights(), **backend.get_optimizer_state()}
    backend.compile(epoch)
    backend.gradients(epoch[0])
    backend.activations(epoch[0], training=True)
    backend.kinks(epoch[0])
    backend.predict(epoch[0].images)
    backend.get_weights()["conv/kernel"][:] = 0  # a copy: writing to it is harmless
    after = {**backend.get_weights(), **backend.get_optimizer_state()}
    assert list(before) == list(after)
    for key, array in before.items():
        np.testing.assert_array_equal(after[key], array, err_msg=key)


def test_training_goes_on_from_stored_weights_and_state():
    first, second = (make_epoch(TRAINED, images=6, batch_size=3, number=n) for n in (0, 1))
    whole = reference(TRAINED, Adam(learning_rate=0.01))
    whole.train_epoch(first)
    resumed = NumpyReference(TRAINED, whole.recipe, DOUBLE, whole.get_weights())
    resumed.set_optimizer_state(whole.get_optimizer_state())
    assert whole.train_epoch(second) == resumed.train_epoch(second)
    for key, array in whole.get_weights().items():
        np.testing.assert_array_equal(resumed.get_weights()[key], array, err_msg=key)
    assert resumed.get_optimizer_state()["step"] == 4


def test_learning_rate_changes_from_the_next_step_on():
    backend = reference(TRAINED, SGD(learning_rate=0.5))
    start = backend.get_weights()
    ones = {key: np.ones_like(start[key]) for key in TRAINED.trainable_keys}
    backend.apply_gradients(ones)
    backend.set_learning_rate(0.25)
    backend.apply_gradients(ones)
    moved = start["dense/bias"] - backend.get_weights()["dense/bias"]
    np.testing.assert_allclose(moved, 0.75, rtol=1e-14)
    assert backend.get_optimizer_state()["learning_rate"] == 0.25


def test_a_small_network_learns_its_batch_by_heart():
    network = small(
        Conv(filters=8, kernel=3, activation="relu"), MaxPool(size=2), Flatten(), classes=4
    )
    backend = reference(network, Adam(learning_rate=0.02))
    epoch = make_epoch(network, images=12, batch_size=12)
    for _ in range(80):
        result = backend.train_epoch(epoch)
    assert result.loss < 0.05
    assert result.accuracy == 1
    np.testing.assert_array_equal(backend.predict(epoch.images).argmax(1), epoch.labels)


def test_predictions_do_not_depend_on_the_batch_size():
    batch = random_batch(TRAINED, size=7)
    one, other = reference(TRAINED, batch_size=7), reference(TRAINED, batch_size=2)
    logits = one.predict(batch.images)
    assert logits.shape == (7, 3)
    np.testing.assert_allclose(other.predict(batch.images), logits, rtol=1e-12)


def test_parameters_are_counted_from_the_arrays():
    assert reference(TRAINED).parameters() == TRAINED.parameters()


def test_without_weights_it_draws_its_own_from_the_seed():
    recipe = fill_recipe(Recipe())
    backend = NumpyReference(TRAINED, recipe, Runtime(precision="float64", seed=3), None)
    expected = weights.initial(TRAINED, 3)
    for key, array in backend.get_weights().items():
        np.testing.assert_array_equal(array, expected[key])


def test_float32_stays_float32_and_near_float64():
    batch = random_batch(TRAINED, size=6)
    single = reference(TRAINED, Adam(), Runtime(precision="float32"))
    double = reference(TRAINED, Adam())
    ours, theirs = single.gradients(batch, double.kinks(batch)), double.gradients(batch)
    for key, gradient in ours.gradients.items():
        assert gradient.dtype == np.float32, key
        error = np.linalg.norm(gradient - theirs.gradients[key])
        assert error < 1e-5 * np.linalg.norm(theirs.gradients[key]), key
    single.train_epoch([batch])
    state = {**single.get_weights(), **single.activations(batch, training=True)}
    assert {array.dtype for array in state.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("runtime", "word"),
    [
        (Runtime(device="cuda", precision="float64"), "cuda"),
        (Runtime(precision="bfloat16"), "bfloat16"),
        (Runtime(precision="float64", native_dropout=True), "masks"),
    ],
)
def test_what_numpy_cannot_do_is_refused(runtime, word):
    with pytest.raises(SpecificationError, match=word):
        reference(TRAINED, runtime=runtime)


def test_unstated_fields_are_refused():
    raw = Network(architecture.load("c2"), (69, 69, 3), 10)
    with pytest.raises(SpecificationError, match=r"'batch_norm1'.*'epsilon' is not stated"):
        NumpyReference(raw, fill_recipe(Recipe()), DOUBLE, None)
    with pytest.raises(SpecificationError, match=r"'adam'.*'learning_rate' is not stated"):
        NumpyReference(TRAINED, Recipe(), DOUBLE, None)
