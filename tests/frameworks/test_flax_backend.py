"""What is Flax's own: compilation, dispatch, random streams; the numbers are for conformance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from datasets.batches import Epoch, MaskSpec, epoch_order, split_into_batches
from frameworks.backend import Runtime
from frameworks.flax import backend as flax_backend
from frameworks.flax.backend import FlaxBackend
from frameworks.spec import recipe, weights
from frameworks.spec.architecture import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
)
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.reading import SpecificationError
from tests.helpers.small_networks import network, random_batch, random_weights

NET = network(
    Conv(filters=4, kernel=3, activation="relu"),
    Dropout(rate=0.25),
    BatchNorm(),
    MaxPool(size=2),
    Flatten(),
    Dropout(rate=0.5),
)
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (11, *NET.input_shape), dtype=np.uint8)
LABELS = GENERATOR.integers(0, NET.classes, 11)
COMPILED: list[str] = []


def _listen(event: str, seconds: float, **details: object) -> None:
    if event.endswith("backend_compile_duration"):
        COMPILED.append(str(details.get("fun_name")))


jax.monitoring.register_event_duration_secs_listener(_listen)


def epoch(number: int = 0, *, native: bool = False) -> Epoch:
    """11 images in batches of 4: the last one is smaller."""
    masks = None if native else MaskSpec(NET.dropout_shapes, NET.dropout_rates, 0)
    batches = split_into_batches(epoch_order(np.arange(11), 0, number), 4)
    return Epoch(IMAGES, LABELS, batches, number, masks)


def backend(optimizer=None, net=NET, drawn=False, **runtime) -> FlaxBackend:
    filled = fill_recipe(recipe.Recipe(optimizer=optimizer or recipe.Adam(), batch_size=4))
    start = None if drawn else random_weights(net)
    return FlaxBackend(net, filled, Runtime(**runtime), start)


def arrays(of: FlaxBackend) -> list[np.ndarray]:
    """Everything that a backend remembers, random keys included, and its modes with it."""
    state = nnx.state((of.model, of.optimizer))
    leaves = jax.tree.leaves(state)
    keys = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    return [
        np.array(jax.random.key_data(leaf) if key else leaf)
        for leaf, key in zip(leaves, keys, strict=True)
    ]


def same(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    return len(before) == len(after) and all(map(np.array_equal, before, after))


@pytest.mark.parametrize("native", [False, True])
def test_compile_gradients_and_activations_leave_every_bit_as_it_was(native):
    made = backend(native_dropout=native)
    made.train_epoch(epoch(native=native))
    before = arrays(made)
    made.compile(epoch(native=native))
    made.gradients(epoch(native=native)[0])
    made.activations(epoch(native=native)[0], training=True)
    made.predict(IMAGES)
    assert same(before, arrays(made))
    made.train_epoch(epoch(native=native))
    assert not same(before, arrays(made))


def test_nothing_is_compiled_after_compile():
    made = backend()
    made.compile(epoch())
    COMPILED.clear()
    made.train_epoch(epoch(1))
    made.set_learning_rate(1e-4)
    made.train_epoch(epoch(2))
    made.predict(IMAGES)
    made.predict(IMAGES[:1])
    made.set_weights(made.get_weights())
    made.set_optimizer_state(made.get_optimizer_state())
    made.train_epoch(epoch(3))
    assert COMPILED == []


def test_a_shape_not_warmed_up_is_seen_to_compile():
    made = backend()
    made.compile(epoch())
    COMPILED.clear()
    made.train_epoch([random_batch(NET, 3), random_batch(NET, 2)])
    assert COMPILED == ["jit(train_step)"]  # 3 is the size of the last batch, 2 is new


def test_a_step_is_one_dispatch_and_an_epoch_is_read_once(monkeypatch):
    made = backend()
    steps, reads = [], []
    step, read = flax_backend.train_step, jax.device_get
    monkeypatch.setattr(flax_backend, "train_step", lambda *a: (steps.append(0), step(*a))[1])
    monkeypatch.setattr(jax, "device_get", lambda x: (reads.append(len(x)), read(x))[1])
    result = made.train_epoch(epoch())
    assert len(steps) == 3
    assert reads == [3]
    assert 0 <= result.accuracy <= 1


@pytest.mark.parametrize(
    "optimizer",
    [recipe.Adam(epsilon_form="hat", epsilon=1e-3), recipe.SGD(momentum=0.9, nesterov=True)],
)
def test_gradients_applied_are_a_training_step(optimizer):
    whole, halves = backend(optimizer), backend(optimizer)
    for batch in epoch():
        gradients = halves.gradients(batch).gradients
        whole.train_epoch([batch])
        halves.apply_gradients(gradients)
        expected = whole.get_weights()
        for key in NET.trainable_keys:
            np.testing.assert_allclose(halves.get_weights()[key], expected[key], atol=2e-5)
        halves.set_weights(expected)  # running statistics too
        halves.set_optimizer_state(whole.get_optimizer_state())


def test_training_goes_on_from_a_state_given_back():
    optimizer = recipe.Adam(epsilon_form="hat", epsilon=1e-3)
    made, other = backend(optimizer), backend(optimizer)
    made.train_epoch(epoch())
    made.set_learning_rate(3e-4)
    other.set_weights(made.get_weights())
    other.set_optimizer_state(made.get_optimizer_state())
    made.train_epoch(epoch(1))
    other.train_epoch(epoch(1))
    assert same(arrays(made), arrays(other))  # every count of steps with it


def test_arrays_handed_in_and_out_are_copies():
    net = network(Flatten(), Dense(units=64), input_shape=(16, 16, 2))  # large: JAX may alias it
    given = {key: array.astype(np.float32) for key, array in random_weights(net).items()}
    made = backend(net=net)
    made.set_weights(given)
    before = weights.sha256(given)
    given["l1/kernel"][:] = 0
    taken = made.get_weights()
    assert weights.sha256(taken) == before
    taken["l1/kernel"][:] = 0
    assert weights.sha256(made.get_weights()) == before


def test_a_new_rate_rescales_the_velocity_where_the_recipe_has_it_inside():
    made = backend(recipe.SGD(learning_rate=0.5, momentum=0.9, velocity_form="rate_inside"))
    made.train_epoch(epoch())
    before = made.get_optimizer_state()
    made.set_learning_rate(0.125)
    after = made.get_optimizer_state()
    assert after["learning_rate"] == 0.125
    key = f"velocity/{NET.trainable_keys[0]}"
    np.testing.assert_array_equal(after[key], before[key] * 4)


def test_native_dropout_draws_anew_each_step_and_is_off_in_prediction():
    made = backend(native_dropout=True)
    batch = epoch(native=True)[0]
    first = made.gradients(batch).loss
    assert made.gradients(batch).loss == first  # a probe draws from where training stands
    made.train_epoch([batch])
    made.set_weights(random_weights(NET))
    assert made.gradients(batch).loss != first
    np.testing.assert_array_equal(made.predict(IMAGES), made.predict(IMAGES))


def test_native_masks_differ_between_layers_and_seeds():
    net = network(Dropout(rate=0.5), Dropout(rate=0.5), Flatten(), input_shape=(12, 12, 2))
    batch = random_batch(net, 4)

    def dropped(seed):
        made = backend(net=net, native_dropout=True, seed=seed)
        outputs = made.activations(batch, training=True)
        return outputs["l0"] == 0, outputs["l1"] == 0

    first, second = dropped(0)
    assert 0.4 < first.mean() < 0.6
    assert 0.7 < second.mean() < 0.8  # a quarter is kept: the second mask is independent
    assert not np.array_equal(first, dropped(1)[0])


def test_own_initial_weights_follow_what_the_layers_state():
    net = network(
        Conv(filters=64, kernel=3, kernel_initializer="he_normal"),
        Flatten(),
        Dense(units=200, kernel_initializer="torch_uniform", bias_initializer="torch_uniform"),
        input_shape=(6, 6, 20),
    )
    drawn = backend(net=net, drawn=True).get_weights()
    again = backend(net=net, drawn=True).get_weights()
    other = backend(net=net, drawn=True, seed=1).get_weights()
    assert weights.sha256(drawn) == weights.sha256(again) != weights.sha256(other)
    fan_in = 3 * 3 * 20
    assert drawn["l0/kernel"].std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.03)
    assert np.abs(drawn["l0/kernel"]).max() <= 2 * np.sqrt(2 / fan_in) / 0.87962
    assert not drawn["l0/bias"].any()
    limit = 1 / np.sqrt(4 * 4 * 64)
    for part in ("kernel", "bias"):
        assert 0.9 * limit < np.abs(drawn[f"l2/{part}"]).max() <= limit


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_keeps_weights_statistics_and_logits_in_float32(precision):
    batch = epoch()[0]
    made, exact = backend(precision=precision), backend()
    assert made.model.of("l0").dtype == jnp.dtype(precision)
    found, expected = made.gradients(batch), exact.gradients(batch)
    assert found.logits.dtype == np.float32
    error = np.abs(found.logits - expected.logits).max()
    assert 0 < error < 0.05 * np.abs(expected.logits).max()
    made.train_epoch(epoch())
    assert {array.dtype for array in made.get_weights().values()} == {np.dtype(np.float32)}
    convolution = made.activations(batch, training=True)["l0"]
    np.testing.assert_array_equal(convolution, convolution.astype(precision))


def test_prediction_takes_any_number_of_images():
    made = backend()
    logits = made.predict(IMAGES)
    assert logits.shape == (11, NET.classes)
    np.testing.assert_allclose(made.predict(IMAGES[8:]), logits[8:], rtol=1e-5)


def test_layers_may_have_the_names_of_methods():
    net = network(
        Flatten(name="items"),
        Dense(name="eval", units=4),
        BatchNorm(name="pop"),
        Activation(name="update", function="tanh"),
        Dropout(name="layers", rate=0.5),
    )
    made = backend(net=net)
    batch = random_batch(net, 4)
    before = made.get_weights()
    made.train_epoch([batch])
    assert set(made.activations(batch, training=True)) == {layer.name for layer in net.layers}
    assert not np.array_equal(made.get_weights()["eval/kernel"], before["eval/kernel"])
    assert not np.array_equal(made.get_weights()["pop/moving_mean"], before["pop/moving_mean"])


def test_the_unbiased_variance_of_one_value_is_refused():
    net = network(Flatten(), BatchNorm(running_variance="unbiased"))
    with pytest.raises(SpecificationError, match="more than one value per channel"):
        backend(net=net).train_epoch([random_batch(net, 1)])


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="there is a GPU")
def test_a_missing_gpu_is_named():
    with pytest.raises(SpecificationError, match="no CUDA device"):
        backend(device="cuda")
