"""Area averaging, against the plain definition in exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.resize import box_downscale


def by_definition(image: np.ndarray, size: int) -> np.ndarray:
    """The mean over each new pixel's area, pixel by pixel, in fractions: uint8 (size, size)."""
    side = len(image)
    scale = Fraction(side, size)

    def overlap(new: int, old: int) -> Fraction:
        return max(Fraction(0), min((new + 1) * scale, old + 1) - max(new * scale, old))

    result = np.empty((size, size), np.uint8)
    for row in range(size):
        for column in range(size):
            total = sum(
                overlap(row, y) * overlap(column, x) * int(image[y, x])
                for y in range(side)
                for x in range(side)
            )
            result[row, column] = int(total / scale**2 + Fraction(1, 2))
    return result


@given(st.integers(1, 9), st.data())
@settings(deadline=None, max_examples=40)
def test_it_is_the_mean_over_each_new_pixel(side: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, side))
    seed = data.draw(st.integers(0, 1000))
    image = np.random.default_rng(seed).integers(0, 256, (side, side)).astype(np.uint8)
    scaled = box_downscale(image[None, :, :, None], size)
    assert scaled.dtype == np.uint8
    np.testing.assert_array_equal(scaled[0, :, :, 0], by_definition(image, size))


@pytest.mark.parametrize("size", [256, 128, 69, 1])
def test_even_pictures_stay_even(size: int) -> None:
    for value in (0, 7, 255):
        image = np.full((1, 256, 256, 3), value, np.uint8)
        np.testing.assert_array_equal(box_downscale(image, size), value)


def test_whole_factors_are_block_means_of_each_picture_and_channel() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3)).astype(np.uint8)
    means = images.reshape(5, 4, 3, 4, 3, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(box_downscale(images, 4), np.floor(means + 0.5))


def test_the_mean_brightness_is_kept_at_galaxy10_decals_size() -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 256, 256, 3)).astype(np.uint8)
    scaled = box_downscale(images, 69)
    assert scaled.shape == (2, 69, 69, 3)
    # Only the rounding of each new pixel is lost: 0.5 at most, and far less on average.
    np.testing.assert_allclose(scaled.mean((1, 2)), images.mean((1, 2)), atol=0.05)
    # Noise averages out: 255/sqrt(12) over (256/69)**2 = 13.8 pixels leaves at least that much.
    assert scaled.std() < 25


def test_large_pictures_do_not_overflow() -> None:
    """White at 400 to 300 pixels sums to 1.2e10, beyond 32 bits; one dark pixel must show."""
    image = np.full((1, 400, 400, 1), 255, np.uint8)
    image[0, -1, -1] = 0
    scaled = box_downscale(image, 300)[0, :, :, 0]
    # The last new pixel is (4/3)**2 old ones large, and one of them is dark.
    assert scaled[-1, -1] == round(255 * (1 - 9 / 16))
    assert (np.delete(scaled.ravel(), -1) == 255).all()
