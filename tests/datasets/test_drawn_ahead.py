"""Drawn batches that are made ahead of training: the same as those made at once."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.drawn.images import AHEAD, Drawing, DrawnImages
from datasets.drawn.pixels import augmented
from tests.helpers.drawing import ALL, pictures


def served(threads: int, order) -> tuple[np.ndarray, DrawnImages]:
    base, rows = pictures(70), [np.arange(k, min(k + 16, 70)) for k in range(0, 70, 16)]
    images = DrawnImages(base, Drawing(ALL, 1, np.arange(70) + 3, threads), 2, rows)
    made = {place: images[rows[place]] for place in order}
    return np.concatenate([made[place] for place in range(5)]), images


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("order", [range(5), (4, 0, 1, 2, 3), (0, 0, 3, 1, 2, 4)])
def test_batches_made_ahead_are_those_made_at_once(threads, order) -> None:
    found, images = served(threads, order)
    expected = augmented(pictures(70), np.arange(70) + 3, ALL, 1, 2)
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(images[np.array([9, 2])], expected[[9, 2]])
    assert (images.shape, len(images)) == ((70, 7, 7, 3), 70)
    assert images.nbytes == 70 * 9 * 9 * 3
    assert images.waited_seconds > 0


def test_the_next_batches_are_begun_and_no_more() -> None:
    base, rows = pictures(90), [np.arange(k, k + 9) for k in range(0, 90, 9)]
    images = DrawnImages(base, Drawing(ALL, 1, np.arange(90)), 1, rows)
    images[rows[2]]
    assert list(images._begun) == [3, 4, 5, 6][:AHEAD]
    images[rows[8]]
    assert list(images._begun) == [9]


def test_an_epoch_of_two_passes_draws_for_each() -> None:
    base, rows = pictures(6), [np.arange(6), np.arange(6)]
    images = DrawnImages(base, Drawing(ALL, 1, np.arange(6)), 1, rows, [3, 4])
    for place, number in ((0, 3), (1, 4)):
        expected = augmented(base, np.arange(6), ALL, 1, number)
        np.testing.assert_array_equal(images[rows[place]], expected)


def test_what_a_thread_raises_is_raised_to_who_asks() -> None:
    rows = [np.array([0, 99])]
    images = DrawnImages(pictures(3), Drawing(ALL, 1, np.arange(3)), 1, rows)
    with pytest.raises(IndexError):
        images[rows[0]]
