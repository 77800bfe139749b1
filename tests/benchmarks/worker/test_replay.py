"""A few batches trained again: a sound backend ends alike, and each fault of an epoch does not."""

import numpy as np
import pytest

from benchmarks.fidelity.faults import lifecycle
from benchmarks.worker import replay
from benchmarks.worker.replay import contradictions, too_dear
from datasets.batches import Epoch, MaskSpec, few_of
from frameworks.backend import Backend, Runtime
from frameworks.numpy.backend import NumpyReference
from frameworks.spec.architecture import BatchNorm, Conv, Dropout, Flatten
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.recipe import SGD, Adam, Recipe
from frameworks.spec.weights import sha256
from tests.helpers.small_networks import network, random_weights

NETWORK = network(
    Conv(filters=3, kernel=3, activation="relu"), BatchNorm(), Dropout(rate=0.5), Flatten()
)
SIZE = 4


def an_epoch(galaxies: int, number: int = 1) -> Epoch:
    random = np.random.default_rng(number)
    images = random.integers(0, 256, (galaxies, *NETWORK.input_shape), dtype=np.uint8)
    rows = np.split(random.permutation(galaxies), range(SIZE, galaxies, SIZE))
    masks = MaskSpec(NETWORK.dropout_shapes, NETWORK.dropout_rates, 0)
    return Epoch(images, np.arange(galaxies) % NETWORK.classes, rows, number, masks)


def found(kind: type[Backend], epoch: Epoch, **recipe) -> list[str]:
    """Findings of training again after two epochs, with the weights left as they were."""
    asked = {"optimizer": Adam(learning_rate=0.01), "batch_size": SIZE, **recipe}
    runtime = Runtime(precision="float32")
    backend = kind(NETWORK, fill_recipe(Recipe(**asked)), runtime, random_weights(NETWORK))
    backend.compile(epoch)
    for number in (1, 2):
        backend.train_epoch(an_epoch(len(epoch.images), number))
    before = backend.get_weights(), backend.get_optimizer_state()
    told = list(contradictions(backend, few_of(epoch, backend.recipe.accumulation)))
    after = backend.get_weights(), backend.get_optimizer_state()
    assert [sha256(arrays) for arrays in after] == [sha256(arrays) for arrays in before]
    return told


@pytest.mark.parametrize("galaxies", [SIZE, SIZE + 1, 5 * SIZE + 2])
@pytest.mark.parametrize("accumulation", [1, 3])
def test_a_sound_backend_ends_alike(galaxies, accumulation) -> None:
    assert not found(NumpyReference, an_epoch(galaxies), accumulation=accumulation)


@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        ("rows_of_first_epoch", "epochs: weights"),
        ("batches_shifted", "epochs: weights"),
        ("moments_lost_between_epochs", "epochs: weights"),
        ("partial_batch_unweighted", "epochs: losses"),
        ("rate_of_compile", "rate: the optimizer's learning rate is 0.01, and was set to 0.005"),
    ],
)
def test_a_fault_of_an_epoch_is_told(fault, sign) -> None:
    methods = lifecycle.FAULTS[fault](NumpyReference)
    kind = type("Faulty", (NumpyReference,), methods)
    told = found(kind, an_epoch(5 * SIZE + 2))
    assert any(one.startswith(sign) for one in told), told


def test_running_statistics_that_an_epoch_leaves_are_told() -> None:
    class Still(NumpyReference):
        def train_epoch(self, epoch):
            moving = {key: one for key, one in self.get_weights().items() if "/moving_" in key}
            result = super().train_epoch(epoch)
            if len(epoch) > 1:
                self.set_weights(self.get_weights() | moving)
            return result

    told = found(Still, an_epoch(5 * SIZE + 2))
    assert [one.split(" of ")[0] for one in told] == ["epochs: running statistics"]


def test_an_order_is_told_without_moments() -> None:
    """Plain descent: the order of batches shows in the second order of the rate alone."""
    methods = lifecycle.FAULTS["batches_shifted"](NumpyReference)
    kind = type("Shifted", (NumpyReference,), methods)
    assert found(kind, an_epoch(5 * SIZE + 2), optimizer=SGD(learning_rate=0.001))


def test_rounding_that_shows_is_no_fault(monkeypatch) -> None:
    """A program of several steps may round otherwise; at a small rate that is a large share."""

    class Rounded(NumpyReference):
        def train_epoch(self, epoch):
            result = super().train_epoch(epoch)
            if len(epoch) > 1:
                for array in self.weights.values():
                    array[...] = np.nextafter(array, np.float32(9))
            return result

    slow = SGD(learning_rate=1e-6)
    assert not found(Rounded, an_epoch(5 * SIZE + 2), optimizer=slow)
    monkeypatch.setattr(replay, "_TIMES_ROUNDING", 0.0)
    assert found(Rounded, an_epoch(5 * SIZE + 2), optimizer=slow)


@pytest.mark.parametrize(
    ("seconds", "batches", "accumulation", "dear"),
    [(10.0, 10, 1, ""), (20.0, 10, 1, "2 s"), (300.0, 150, 1, ""), (20.0, 20, 3, "3 s")],
)
def test_large_steps_are_not_taken_again(seconds, batches, accumulation, dear) -> None:
    why = too_dear(seconds, batches, accumulation)
    assert why.endswith(dear)
    assert bool(why) == bool(dear)
