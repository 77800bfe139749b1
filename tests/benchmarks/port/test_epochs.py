"""Galaxies as the pictures of a comparison, and training both programs with their own steps."""

import numpy as np
import pytest

from benchmarks.port.compare import DIFFERENT, EQUAL
from benchmarks.port.galaxies import Galaxies, Pictures
from benchmarks.port.masks import uniforms
from benchmarks.port.operation import PortError
from tests.benchmarks.port.conftest import Compared


def galaxies(count: int = 40, size: int = 8, classes: int = 5) -> Galaxies:
    """Pictures whose first pixel is their label."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, size, size, 3), np.uint8)
    labels = np.arange(count) % classes
    images[:, 0, 0, 0] = labels
    return Galaxies(name="drawn", images=images, labels=labels)


def test_labels_go_with_their_pictures() -> None:
    source = Pictures(np.random.default_rng(1), [8, 8, 3], 5, galaxies())
    for pictures, labels in (source.raw(6), source.raw(50)):
        assert (pictures[:, 0, 0, 0] == labels).all()
    scaled, labels = source.scaled(6)
    assert np.allclose(scaled[:, 0, 0, 0] * 255, labels)
    assert scaled.max() <= 1


@pytest.mark.parametrize(
    ("size", "classes", "message"),
    [([9, 8, 3], 5, r"pictures of \[8, 8, 3\]"), ([8, 8, 3], 4, "has 5 classes, .* tell 4 apart")],
)
def test_galaxies_that_do_not_fit_are_refused(size: list[int], classes: int, message: str) -> None:
    with pytest.raises(PortError, match=message):
        Pictures(np.random.default_rng(1), size, classes, galaxies())


def test_masks_of_one_number_are_the_same() -> None:
    flat = uniforms({"4": (2, [12])}, 3, 7)["4"]
    square = uniforms({"9": (2, [2, 2, 3])}, 3, 7)["9"]
    assert (flat == square.reshape(3, 12)).all()
    assert (flat != uniforms({"4": (3, [12])}, 3, 7)["4"]).any()


@pytest.mark.slow
@pytest.mark.extended
def test_equal_programs_train_alike(compared: Compared) -> None:
    asked = {"train": 2, "galaxies": galaxies()}
    found = compared("r06_keras.py:make", "r06_torch.py:aligned", **asked)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    one = found.trained
    assert one is not None
    assert one.batches == 40 // 6
    assert one.parted is None
    assert one.weights < 1e-9
    assert np.allclose(one.losses_a, one.losses_b, rtol=1e-9)
    assert one.losses_a[1] < one.losses_a[0]


@pytest.mark.slow
@pytest.mark.extended
def test_programs_train_with_their_own_constants(compared: Compared) -> None:
    """B's momentum takes A's value while its blame is shown, and its own again in training."""
    found = compared("r06_keras.py:make", "r06_torch.py:make", train=1)
    assert found.status == DIFFERENT
    assert found.trained is not None
    assert found.trained.statistics > 0.1
    assert found.trained.weights < 1e-9  # training mode does not read running statistics
