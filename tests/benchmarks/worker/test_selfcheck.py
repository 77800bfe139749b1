"""A run's check of itself: what it lets pass, and that each kind of fault fails it by name."""

from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.config.artifacts import Agreement
from benchmarks.data.staging import StagedData
from benchmarks.worker import selfcheck
from benchmarks.worker.checkpoint import State
from benchmarks.worker.resume import Resume
from benchmarks.worker.selfcheck import MOST, SelfCheckError, arrived, self_check, telling
from benchmarks.worker.timer import Clock
from datasets.augment import copies_of
from datasets.batches import Batch
from datasets.splits import Split
from frameworks.backend import Backend, Runtime
from frameworks.numpy.backend import NumpyReference
from frameworks.spec.architecture import BatchNorm, Conv, Flatten, parse
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.network import Network
from frameworks.spec.recipe import SGD, Recipe
from tests.helpers import fake_backend
from tests.helpers.fake_backend import FakeBackend
from tests.helpers.faulty import FAULTS, with_fault
from tests.helpers.small_networks import network, random_weights

NETWORK = network(Conv(filters=3, kernel=3, activation="relu"), BatchNorm(), Flatten())
RECIPE = fill_recipe(Recipe(optimizer=SGD(learning_rate=0.1), batch_size=8))
FLOAT32 = Agreement(bound=1e-5, times_float32=3.0)
TESTED = 21  # of batches of 8: the last is of 5


@pytest.fixture
def data() -> StagedData:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, *NETWORK.input_shape), dtype=np.uint8)
    rows = np.arange(60)
    split = Split(rows[:24], rows[24:39], rows[39:])
    assert len(split.test) == TESTED
    labels = rows % NETWORK.classes
    return StagedData(images, labels, split, rows, copies_of(*NETWORK.input_shape[:2]))


def trained(kind: type[Backend], data: StagedData) -> tuple[Backend, np.ndarray]:
    """A backend after an epoch, and its logits of the test set."""
    backend = kind(NETWORK, RECIPE, Runtime(precision="float32"), random_weights(NETWORK))
    train = data.split.train.reshape(-1, 8)
    epoch = [Batch(data.images[rows], data.labels[rows].astype(np.int32)) for rows in train]
    backend.train_epoch(epoch)
    return backend, backend.predict(data.images[data.split.test])


def checked(
    backend: Backend,
    data: StagedData,
    tested: np.ndarray | None,
    agreement: Agreement = FLOAT32,
    steps: int = 0,
) -> dict[str, Any]:
    """The facts that the check sends, its phase's seconds among them."""
    facts: dict[str, Any] = {}
    channel = SimpleNamespace(send=lambda event, **content: facts.update(content.get("values", {})))
    clock = Clock(channel)  # type: ignore[arg-type]
    try:
        self_check(backend, data, tested, agreement, clock, steps)
    finally:
        facts |= clock.facts()
    return facts


def test_a_sound_run_is_checked_and_its_seconds_are_apart(data) -> None:
    backend, tested = trained(NumpyReference, data)
    facts = checked(backend, data, tested)
    assert facts["self_checked"] is True
    assert facts["self_check_seconds"] > 0


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("second_batch_reversed", {"order", "batch size", "singly", "reference"}),
        ("last_batch_training", {"order", "batch size", "singly", "reference"}),
        ("rounded_in_predict", {"reference"}),
        ("statistics_not_restored", {"weights", "batch size", "singly"}),
        ("logits_clamped", {"reference"}),
        ("stale_weights_read", {"batch size", "singly", "reference"}),
    ],
)
def test_a_fault_fails_the_run_by_the_names_of_checks(data, fault, names) -> None:
    backend, tested = trained(with_fault(NumpyReference, fault), data)
    with pytest.raises(SelfCheckError) as failed:
        checked(backend, data, tested)
    said = str(failed.value)
    assert said.startswith("self-check failed: ")
    for name in names:
        assert f"{name}: " in said
    assert "--no-self-check" in said


class OnceTrained(NumpyReference):
    """Answers of a trained model in the wrong order; a new one's are right."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.roll(super().predict(images), int(self.get_optimizer_state()["step"] > 0), axis=0)


class OfItsSize(NumpyReference):
    """Answers that are right by batches of the run's size, and one by one."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        logits = super().predict(images)
        wrong = self.recipe.batch_size != RECIPE.batch_size and len(images) > 1
        return -logits if wrong else logits


class OfSeveral(NumpyReference):
    """Answers that are right where several pictures are asked for."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        logits = super().predict(images)
        return -logits if len(images) == 1 else logits


@pytest.mark.parametrize(
    ("kind", "name"), [(OnceTrained, "order"), (OfItsSize, "batch size"), (OfSeveral, "singly")]
)
def test_each_way_to_ask_again_sees_what_no_other_does(data, kind, name) -> None:
    _, tested = trained(NumpyReference, data)
    backend, _ = trained(kind, data)
    with pytest.raises(SelfCheckError) as failed:
        checked(backend, data, tested)
    told = str(failed.value).removeprefix("self-check failed: ").split("; ")
    assert [one.partition(":")[0] for one in told] == [name]


def test_steps_that_the_optimizer_did_not_count_fail_the_run(data) -> None:
    backend, tested = trained(NumpyReference, data)
    steps = len(data.split.train) // RECIPE.batch_size
    assert checked(backend, data, tested, steps=steps)["self_checked"] is True
    for other in (steps + 1, steps - 1):
        told = rf"steps: the optimizer counts 3 steps, .* {other} batches"
        with pytest.raises(SelfCheckError, match=told):
            checked(backend, data, tested, steps=other)


def test_every_fault_of_the_helpers_is_tried() -> None:
    (mark,) = test_a_fault_fails_the_run_by_the_names_of_checks.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _ in mark.args[1]} == set(FAULTS)


def test_a_failure_is_told_before_it_ends_the_run(data) -> None:
    backend, tested = trained(NumpyReference, data)
    sent: list[dict] = []
    channel = SimpleNamespace(send=lambda event, **content: sent.append(content))
    with pytest.raises(SelfCheckError):
        self_check(backend, data, tested[::-1], FLOAT32, Clock(channel))  # type: ignore[arg-type]
    assert {"values": {"self_checked": False}} in sent


def test_without_a_test_set_other_galaxies_are_asked(data) -> None:
    split = Split(data.split.train, np.arange(0), np.arange(0))
    alone = StagedData(data.images, data.labels, split, data.galaxies, data.copies)
    backend, _ = trained(NumpyReference, data)
    assert checked(backend, alone, None)["self_checked"] is True


def test_one_galaxy_is_enough(data) -> None:
    split = Split(data.split.train, np.arange(0), np.arange(1))
    alone = StagedData(data.images, data.labels, split, data.galaxies, data.copies)
    backend, _ = trained(NumpyReference, data)
    assert checked(backend, alone, backend.predict(data.images[:1]))["self_checked"] is True


def test_logits_that_are_no_numbers_never_agree(data) -> None:
    backend, tested = trained(NumpyReference, data)
    with pytest.raises(SelfCheckError, match=r"order: .* differ by inf"):
        checked(backend, data, np.full_like(tested, np.nan))


def test_weights_that_amplify_rounding_are_no_fault(data) -> None:
    """The bound is then what the reference's own rounding comes to with these weights."""
    backend, tested = trained(NumpyReference, data)
    tight = msgspec.structs.replace(FLOAT32, bound=1e-30)
    assert checked(backend, data, tested, tight)["self_checked"] is True
    none = Agreement(bound=1e-30, times_float32=0.0)
    with pytest.raises(SelfCheckError, match="reference: "):
        checked(backend, data, tested, none)


def test_want_of_memory_in_the_check_leaves_the_run_unchecked(data) -> None:
    class Large(NumpyReference):
        built = 0

        def build(self, *, draw: bool) -> None:
            Large.built += 1
            if Large.built > 1:
                raise MemoryError("unable to allocate 3 GiB")
            super().build(draw=draw)

    backend, tested = trained(Large, data)
    facts = checked(backend, data, tested)
    assert "self_checked" not in facts
    assert "unable to allocate" in facts["extra"]["self_check"]


def test_a_model_that_cannot_be_built_again_fails(data) -> None:
    class Once(NumpyReference):
        built = 0

        def build(self, *, draw: bool) -> None:
            Once.built += 1
            if Once.built > 1:
                raise RuntimeError("only one session at a time")
            super().build(draw=draw)

    backend, tested = trained(Once, data)
    with pytest.raises(SelfCheckError, match="only one session at a time"):
        checked(backend, data, tested)


def test_the_reference_is_given_what_its_time_is_enough_for(data) -> None:
    backend, _ = trained(NumpyReference, data)
    images = data.images[:MOST]
    seconds = iter(np.arange(100.0))
    slow = selfcheck._by_reference(
        backend, backend.get_weights(), images, now=lambda: next(seconds)
    )
    assert len(slow) == 2
    whole = selfcheck._by_reference(backend, backend.get_weights(), images, now=lambda: 0.0)
    assert len(whole) == MOST


@pytest.mark.parametrize(("count", "batch"), [(1, 8), (2, 1), (8, 8), (9, 8), (500, 64)])
def test_the_galaxies_asked_again_are_on_both_sides_of_batches(count, batch) -> None:
    places = telling(count, batch)
    assert len(set(places)) == len(places) <= MOST
    assert {0, count - 1} <= set(places.tolist()) <= set(range(count))
    if count > batch + 1:
        assert {batch - 1, batch} <= set(places.tolist())


def test_weights_that_did_not_arrive_are_named() -> None:
    asked = random_weights(NETWORK)
    arrived(asked, {key: array.astype(np.float32) for key, array in asked.items()}, "weights")
    with pytest.raises(SelfCheckError, match="the best weights did not arrive: l1/moving_mean"):
        arrived(asked, {**asked, "l1/moving_mean": asked["l1/moving_mean"] + 1}, "best weights")
    with pytest.raises(SelfCheckError, match="l1/gamma"):
        arrived(asked, {key: asked[key] for key in asked if key != "l1/gamma"}, "weights")


def test_a_state_may_lose_its_last_bit_and_no_more() -> None:
    asked = {"velocity/l0/kernel": np.array([1.0, -2.0], np.float32), "step": np.asarray(3)}
    near = asked | {"velocity/l0/kernel": np.nextafter(asked["velocity/l0/kernel"], np.float32(9))}
    arrived(asked, near, "state", rounded=True)
    with pytest.raises(SelfCheckError, match="velocity/l0/kernel"):
        arrived(asked, near, "state")
    with pytest.raises(SelfCheckError, match="the state did not arrive: step differs"):
        arrived(asked, near | {"step": np.asarray(4)}, "state", rounded=True)


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("set_weights", "weights did"),
        ("set_optimizer_state", "optimizer state"),
        ("set_random_state", "random state"),
    ],
)
def test_what_a_resumed_run_does_not_get_back_is_named(monkeypatch, method, what) -> None:
    made = parse(fake_backend.ARCHITECTURE, origin="linear", default_name="linear")
    linear = Network(made, NETWORK.input_shape, 3)
    drawn = random_weights(linear)
    resumed, trained = (
        FakeBackend(linear, RECIPE, Runtime(native_dropout=True, seed=seed), weights)
        for seed, weights in enumerate((drawn, {key: one + 1 for key, one in drawn.items()}))
    )
    trained.set_learning_rate(0.5)
    found = {
        "weights": trained.get_weights(),
        "optimizer": trained.get_optimizer_state(),
        "random": trained.get_random_state(),
    }
    arrays = {f"{group}/{key}": one for group, of in found.items() for key, one in of.items()}
    monkeypatch.setattr(FakeBackend, method, lambda self, given: None)
    training: Any = SimpleNamespace(backend=resumed)
    with pytest.raises(SelfCheckError, match=f"the checkpoint's {what}"):
        Resume.__new__(Resume)._restore(State(arrays, {}), training)
