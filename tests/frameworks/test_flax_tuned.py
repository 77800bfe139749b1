"""What is the tuned Flax backend's own: its feeds, its dispatches, what it compiles when."""

from functools import cache

import jax
import numpy as np
import pytest

from datasets.batches import Epoch, MaskSpec, epoch_order, split_into_batches
from frameworks import feed
from frameworks.backend import Runtime
from frameworks.flax.backend import FlaxBackend
from frameworks.flax.tuned import TunedFlaxBackend
from frameworks.jax import convolution
from frameworks.spec import recipe
from frameworks.spec.architecture import BatchNorm, Conv, Dropout, Flatten, MaxPool
from frameworks.spec.defaults import fill_recipe
from tests.helpers.small_networks import network, random_weights

NET = network(
    Conv(filters=4, kernel=3, activation="relu"),
    MaxPool(size=2),
    Dropout(rate=0.25),
    BatchNorm(),
    Flatten(),
)
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (11, *NET.input_shape), dtype=np.uint8)
LABELS = GENERATOR.integers(0, NET.classes, 11)
COMPILED: list[str] = []


def _listen(event: str, seconds: float, **details: object) -> None:
    if event.endswith("backend_compile_duration"):
        COMPILED.append(str(details.get("fun_name")))


jax.monitoring.register_event_duration_secs_listener(_listen)


def epoch(number=1):
    masks = MaskSpec(NET.dropout_shapes, NET.dropout_rates, 0)
    order = epoch_order(np.arange(11), 0, number)
    return Epoch(IMAGES, LABELS, split_into_batches(order, 4), number, masks)


def backend(kind=TunedFlaxBackend, **runtime):
    filled = fill_recipe(recipe.Recipe(optimizer=recipe.Adam(), batch_size=4))
    return kind(NET, filled, Runtime(**runtime), random_weights(NET))


def test_staging_ends_when_the_data_are_on_the_device(monkeypatch):
    waited_for = []
    monkeypatch.setattr(
        jax, "block_until_ready", lambda arrays: waited_for.append(arrays) or arrays
    )
    one = backend()
    one.stage(IMAGES, LABELS)
    assert [array.shape for array in waited_for[0]] == [IMAGES.shape, LABELS.shape]


def test_staged_streamed_and_idiomatic_train_alike():
    staged, streamed, idiomatic = backend(), backend(), backend(FlaxBackend)
    staged.stage(IMAGES, LABELS)
    results = [one.train_epoch(epoch()) for one in (staged, streamed, idiomatic)]
    for found in results[:2]:
        assert found.loss == pytest.approx(results[2].loss, rel=1e-5)
        assert found.accuracy == results[2].accuracy
    for key, value in staged.get_weights().items():
        np.testing.assert_array_equal(value, streamed.get_weights()[key])
    assert staged.settings()["data"] != streamed.settings()["data"]


def test_masks_drawn_on_the_device_are_those_of_the_host():
    on_host, on_device = backend(), backend()
    on_device.draws_masks = True
    assert not any(chunk.masks for chunk in on_device.chunks(epoch()))
    assert on_host.train_epoch(epoch()) == on_device.train_epoch(epoch())


@pytest.mark.parametrize("draws_masks", [False, True])
def test_no_epoch_compiles_what_compile_made_ready(draws_masks):
    one = backend()
    one.draws_masks = draws_masks
    one.stage(IMAGES, LABELS)
    one.compile(epoch())
    COMPILED.clear()
    for number in (1, 2, 3):
        one.train_epoch(epoch(number))
        one.set_learning_rate(1e-3 / number)
        one.predict(IMAGES)
    assert COMPILED == []
    one.set_weights(one.get_weights())
    COMPILED.clear()  # of what copies them
    one.predict(IMAGES)
    assert COMPILED == []


def test_the_backend_lives_on_after_its_state_was_given_away():
    one = backend()
    one.stage(IMAGES, LABELS)
    first = one.train_epoch(epoch()).loss
    before = one.get_weights()
    one.compile(epoch())  # gives away copies only
    np.testing.assert_array_equal(one.get_weights()["l0/kernel"], before["l0/kernel"])
    assert one.gradients(epoch()[0]).loss > 0
    assert one.train_epoch(epoch()).loss < first


def test_what_does_not_fit_is_streamed(monkeypatch):
    monkeypatch.setattr(feed, "STAGED_SHARE", 0.0)
    one = backend()
    one.stage(IMAGES, LABELS)
    assert one.settings()["data"] == "streamed"
    assert np.isfinite(one.train_epoch(epoch()).loss)


@pytest.mark.parametrize("choice", TunedFlaxBackend.CHOICES)
def test_every_choice_can_be_left_out(choice):
    kind = type("Without", (TunedFlaxBackend,), {"without": frozenset({choice})})
    assert first_loss(backend(kind)) == pytest.approx(whole_loss(), rel=1e-5)


@cache
def whole_loss():
    return first_loss(backend())


def first_loss(one):
    one.stage(IMAGES, LABELS)
    return one.train_epoch(epoch()).loss


@pytest.mark.parametrize("staged", [True, False])
def test_a_number_of_steps_known_to_the_compiler_trains_the_same(staged):
    """What a GPU has: a program for full chunks, another for the last ones."""
    counted, other = backend(), backend()
    counted._counted = True
    for one in (counted, other):
        if staged:
            one.stage(IMAGES, LABELS)
        one._length = 2  # of whole batches there are two: one full chunk
        one.compile(epoch())
    COMPILED.clear()
    expected, found = other.train_epoch(epoch()), counted.train_epoch(epoch())
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert found.accuracy == expected.accuracy
    counted.train_epoch(epoch(2))
    assert COMPILED == []  # in an epoch


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "silu", "relu"])
def test_pools_behind_every_activation_have_the_gradients_of_xlas_own(activation):
    """XLA writes over what our pool reads again where the activation is kept (own_pools)."""
    net = network(
        Conv(filters=4, kernel=5, activation=activation),
        MaxPool(size=4),
        Flatten(),
        input_shape=(24, 24, 3),
    )
    images = GENERATOR.integers(0, 256, (8, *net.input_shape), dtype=np.uint8)
    labels = GENERATOR.integers(0, net.classes, 8).astype(np.int32)
    epoch = Epoch(images, labels, [np.arange(8)], 1)
    filled = fill_recipe(recipe.Recipe(optimizer=recipe.SGD(), batch_size=8))
    trained = []
    for kind in (TunedFlaxBackend, FlaxBackend):
        made = kind(net, filled, Runtime(), random_weights(net))
        made.train_epoch(epoch)
        trained.append(made.get_weights())
    for key, value in trained[0].items():
        np.testing.assert_allclose(value, trained[1][key], rtol=1e-4, atol=1e-6, err_msg=key)


def test_only_pools_behind_relu_are_our_own():
    net = network(
        Conv(filters=2, kernel=3, activation="relu"),
        MaxPool(size=2),
        Conv(filters=2, kernel=3, activation="tanh"),
        MaxPool(size=2),
        Flatten(),
        input_shape=(12, 12, 3),
    )
    assert convolution.own_pools(net) == {"l1"}
    assert "(l1)" in convolution.settings(net, on_cpu=True)["max_pool"]
