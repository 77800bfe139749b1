"""Galaxies as the pictures of a comparison, and masks that both programs share."""

import numpy as np
import pytest

from benchmarks.port.galaxies import Galaxies, Pictures
from benchmarks.port.masks import uniforms
from benchmarks.port.operation import PortError


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
