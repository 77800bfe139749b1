"""Batch order and dropout masks: permutations, partitions, streams."""

from __future__ import annotations

import math
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.batches import (
    Epoch,
    MaskSpec,
    Sampler,
    distinct_sizes,
    dropout_mask,
    epoch_order,
    order_sha256,
    planned,
    split_into_batches,
)
from frameworks.spec import weights
from frameworks.spec.architecture import Dense, Flatten
from tests.helpers.small_networks import network

SEEDS = st.integers(0, 2**31)


def make_epoch(images: int = 10, batch_size: int = 4, number: int = 0, seed: int = 0) -> Epoch:
    pictures = np.random.default_rng(0).integers(0, 256, (images, 3, 3, 1), dtype=np.uint8)
    rows = split_into_batches(epoch_order(np.arange(images), seed, number), batch_size)
    masks = MaskSpec({"a": (3, 3, 2), "b": (5,)}, {"a": 0.5, "b": 0.25}, seed)
    return Epoch(pictures, np.arange(images), rows, number, masks)


# ---- order


@given(st.lists(st.integers(0, 10**6), min_size=1, unique=True), SEEDS, st.integers(0, 500))
def test_an_order_is_a_permutation_of_the_indices(indices, seed, epoch):
    given_indices = np.array(indices)
    order = epoch_order(given_indices, seed, epoch)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == sorted(indices)
    assert given_indices.tolist() == indices  # left as they were
    np.testing.assert_array_equal(order, epoch_order(given_indices, seed, epoch))


def test_orders_differ_between_epochs_and_seeds():
    indices = np.arange(1000)
    orders = [epoch_order(indices, seed, epoch) for seed in range(3) for epoch in range(3)]
    for position, one in enumerate(orders):
        for other in orders[position + 1 :]:
            # 1 image is expected in its old place by chance
            assert np.count_nonzero(one == other) < 10


def test_every_image_is_as_likely_anywhere():
    places = np.array([epoch_order(np.arange(8), 0, epoch) for epoch in range(2000)])
    counts = np.array([[np.sum(places[:, p] == image) for p in range(8)] for image in range(8)])
    assert np.abs(counts - 250).max() < 5 * math.sqrt(250)


@given(st.integers(1, 200), st.integers(1, 200), st.booleans())
def test_batches_partition_the_order(images, batch_size, keep_partial):
    order = np.random.default_rng(0).permutation(images)
    if batch_size > images:
        with pytest.raises(ValueError, match=f"batch size {batch_size} is larger"):
            split_into_batches(order, batch_size, keep_partial=keep_partial)
        return
    batches = split_into_batches(order, batch_size, keep_partial=keep_partial)
    together = np.concatenate(batches)
    np.testing.assert_array_equal(together, order[: len(together)])
    sizes = [len(batch) for batch in batches]
    assert set(sizes[:-1]) <= {batch_size}
    if keep_partial:
        assert len(together) == images
        assert sizes[-1] == (images % batch_size or batch_size)
    else:
        assert set(sizes) == {batch_size}
        assert len(together) == images - images % batch_size


# ---- masks


@given(SEEDS, st.integers(0, 5), st.integers(0, 1000), st.integers(0, 1000), st.floats(0, 0.999))
def test_a_mask_is_a_function_of_its_arguments(seed, layer, epoch, step, rate):
    mask = dropout_mask((3, 2, 5), rate, seed, layer, epoch, step)
    assert mask.dtype == np.uint8
    assert mask.shape == (3, 2, 5)
    assert set(np.unique(mask)) <= {0, 1}
    np.testing.assert_array_equal(mask, dropout_mask((3, 2, 5), rate, seed, layer, epoch, step))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.5, 0.9])
def test_the_share_dropped_is_the_rate(rate):
    masks = [dropout_mask((1000, 10), rate, 0, 0, 0, step) for step in range(20)]
    error = math.sqrt(rate * (1 - rate) / 200_000)
    assert 1 - np.mean(masks) == pytest.approx(rate, abs=4 * error)
    # and no position is special
    by_position = np.mean(masks, axis=(0, 1))
    assert np.abs(1 - by_position - rate).max() <= 4.5 * math.sqrt(rate * (1 - rate) / 20_000)


def test_rate_zero_keeps_all_and_a_rate_near_one_drops_nearly_all():
    assert dropout_mask((1000,), 0.0, 0, 0, 0, 0).all()
    assert not dropout_mask((1000,), 1 - 1e-12, 0, 0, 0, 0).any()


def test_masks_differ_between_seeds_layers_epochs_and_steps_and_are_uncorrelated():
    size = 100_000
    arguments = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 1, 1)]
    masks = [dropout_mask((size,), 0.5, *where).astype(float) for where in arguments]
    correlations = np.corrcoef(masks) - np.eye(len(masks))
    assert np.abs(correlations).max() < 4.5 / math.sqrt(size)


def test_a_higher_rate_drops_what_a_lower_one_drops():
    low, high = (dropout_mask((1000,), rate, 0, 0, 0, 0) for rate in (0.3, 0.6))
    assert (high <= low).all()
    assert high.sum() < low.sum()


def test_a_smaller_batch_has_the_first_rows_of_the_mask():
    """So that the images a partial batch shares with a whole one are masked alike."""
    whole = dropout_mask((8, 6), 0.5, 0, 0, 0, 0)
    np.testing.assert_array_equal(dropout_mask((3, 6), 0.5, 0, 0, 0, 0), whole[:3])


def test_no_stream_is_shared_between_weights_order_and_masks(monkeypatch):
    """Keys of Philox are (seed, stream << 32 | part), and no two parts have the same."""
    used: list[tuple[int, ...]] = []
    philox = np.random.Philox

    class Recorder(philox):
        def __init__(self, key, counter=(0, 0, 0, 0)):
            used.append((*key, *counter))
            super().__init__(key=key, counter=list(counter))

    monkeypatch.setattr(np.random, "Philox", Recorder)
    weights.initial(network(Flatten(), Dense(units=3), Dense(units=3)), 0)
    masks = MaskSpec({"a": (2,), "b": (2,)}, {"a": 0.5, "b": 0.5}, 0)
    for number in range(3):
        epoch_order(np.arange(5), 0, number)
        for step in range(3):
            masks.draw(2, number, step)
    assert len(used) == 6 + 3 + 18
    assert len(set(used)) == len(used)


# ---- epochs


def test_an_epoch_gathers_images_labels_and_masks():
    epoch = make_epoch()
    assert len(epoch) == 3
    assert [len(batch) for batch in epoch] == [4, 4, 2]
    for step, batch in enumerate(epoch):
        rows = epoch.indices[step]
        np.testing.assert_array_equal(batch.labels, rows)
        assert batch.labels.dtype == np.int32
        np.testing.assert_array_equal(batch.images, epoch.images[rows])
        assert batch.masks["a"].shape == (len(rows), 3, 3, 2)
        expected = dropout_mask((len(rows), 5), 0.25, 0, 1, 0, step)
        np.testing.assert_array_equal(batch.masks["b"], expected)


def test_a_step_counted_from_the_end_is_the_same_batch():
    epoch = make_epoch()
    for step in range(3):
        one, other = epoch[step], epoch[step - 3]
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.masks["a"], other.masks["a"])
    for outside in (3, -4):
        with pytest.raises(IndexError):
            epoch[outside]


def test_an_epoch_records_the_steps_asked_for():
    epoch, other = make_epoch(), make_epoch()
    assert epoch.served == []
    epoch[-1]
    assert [len(batch) for batch in epoch] == [4, 4, 2]
    assert epoch.served == [2, 0, 1, 2]
    assert other.served == []


def test_epochs_have_masks_of_their_own():
    first, second = make_epoch(number=0), make_epoch(number=1)
    assert (first[0].masks["a"] != second[0].masks["a"]).any()


def test_an_epoch_without_masks_leaves_them_to_the_framework():
    epoch = Epoch(np.zeros((2, 1, 1, 1), np.uint8), np.zeros(2, int), [np.arange(2)], 0)
    assert epoch[0].masks == {}


def test_distinct_sizes_are_the_whole_and_the_partial_batch():
    assert [len(batch) for batch in distinct_sizes(make_epoch(10, 4))] == [4, 2]
    assert [len(batch) for batch in distinct_sizes(make_epoch(8, 4))] == [4]


# ---- hash


@given(st.permutations(list(range(9))), st.integers(1, 8))
def test_order_hash_is_of_the_batches_in_order(order, batch_size):
    batches = split_into_batches(np.array(order), batch_size)
    digest = order_sha256([batches])
    assert order_sha256([[rows.astype(np.int32) for rows in batches]]) == digest
    swapped = [order[1], order[0], *order[2:]]
    assert order_sha256([split_into_batches(np.array(swapped), batch_size)]) != digest
    assert order_sha256([split_into_batches(np.array(order), batch_size + 1)]) != digest
    assert order_sha256([batches[:-1]]) != digest
    assert order_sha256([batches, batches]) != digest


def test_order_hash_sees_where_epochs_end():
    rows = np.arange(3)
    assert order_sha256([[rows], [rows]]) != order_sha256([[rows, rows]])


ORDER_HASH = "172f50fa77131792c1bb5f5dbb9304cef38629269de8c3f6ef9d99547838e24e"
MASK = "01010100010110000110110101101011"


def test_these_orders_and_masks_are_kept_for_good():
    """Stored runs name their order by hash: another NumPy must not change it unnoticed."""
    batches = [split_into_batches(epoch_order(np.arange(100), 0, n), 32) for n in range(2)]
    assert order_sha256(batches) == ORDER_HASH
    assert "".join(map(str, dropout_mask((32,), 0.5, 4, 1, 2, 3))) == MASK


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 12), st.booleans())
def test_epochs_of_steps_are_the_passes_one_after_the_other(
    count: int, batch_size: int, steps: int, keep: bool
) -> None:
    batch_size = min(batch_size, count)
    indices, options = np.arange(count), {"keep_partial": keep}
    passes = [planned(indices, 3, number, batch_size, **options) for number in range(1, 60)]
    in_order = [rows for one in passes for rows in one.rows]
    epochs = [
        planned(indices, 3, number, batch_size, steps=steps, **options) for number in range(1, 5)
    ]
    found = [rows for one in epochs for rows in one.rows]
    assert [len(one.rows) for one in epochs] == [steps] * 4
    assert all(np.array_equal(a, b) for a, b in zip(found, in_order, strict=False))
    numbers = [number for one in epochs for number in one.passes]
    assert numbers == [number for one in passes for number in one.passes][: len(numbers)]
    for one in epochs:
        sizes = [len(rows) for rows in one.rows]
        assert one.runs is not None
        for size in set(sizes):
            run = max(len(list(group)) for key, group in groupby(sizes) if key == size)
            assert run <= one.runs[size]


def test_an_epoch_of_one_pass_in_steps_is_that_epoch() -> None:
    for number in (1, 2, 5):
        plain, counted = (planned(np.arange(11), 0, number, 4, steps=n) for n in (None, 3))
        assert order_sha256([plain.rows]) == order_sha256([counted.rows])
        assert plain.passes == counted.passes == [number] * 3


@given(st.integers(1, 60), st.integers(1, 70), SEEDS)
def test_a_window_lets_no_galaxy_come_earlier_than_it_reaches(
    count: int, window: int, seed: int
) -> None:
    order = epoch_order(np.arange(count), seed, 1, window)
    assert sorted(order) == list(range(count))
    assert all(row < place + window for place, row in enumerate(order))
    if window >= count:
        assert list(order) == list(epoch_order(np.arange(count), seed, 1))
    if window == 1:
        assert list(order) == list(range(count))


def test_every_galaxy_of_a_window_is_as_likely_to_be_first() -> None:
    first = [int(epoch_order(np.arange(9), 0, epoch, 3)[0]) for epoch in range(3000)]
    assert np.bincount(first, minlength=9)[:3] == pytest.approx([1000] * 3, abs=130)


@given(st.integers(1, 30), st.integers(1, 60), st.booleans(), SEEDS)
def test_a_sampler_draws_by_weight(count: int, draws: int, replacement: bool, seed: int) -> None:
    weights = np.where(np.arange(count) % 3, 1.0, 0.0)
    weights[-1] = 2.0
    draws = draws if replacement else min(draws, np.count_nonzero(weights))
    sampler = Sampler(weights, draws, replacement)
    found = [
        planned(np.arange(count) + 5, seed, n, min(4, draws), sampler=sampler, steps=3)
        for n in (1, 2)
    ]
    order = np.concatenate(planned(np.arange(count) + 5, seed, 1, 1, sampler=sampler).rows)
    assert len(order) == draws
    assert weights[order - 5].all()
    assert replacement or len(set(order.tolist())) == draws
    drawn: dict[tuple[int, int], int] = {}  # (galaxy, pass): how often so far
    for one in found:
        for rows, number, times in zip(one.rows, one.passes, one.times, strict=True):
            for row, before in zip(rows.tolist(), times.tolist(), strict=True):
                assert drawn.get((row, number), 0) == before
                drawn[row, number] = before + 1


@pytest.mark.parametrize(("replacement", "expected"), [(True, [0.1, 0.3, 0.6]), (False, None)])
def test_the_shares_of_a_sampler_are_those_of_the_weights(replacement, expected) -> None:
    weights = np.array([1.0, 3.0, 6.0])
    sampler = Sampler(weights, 2, replacement)
    pairs = np.array([sampler.order(np.arange(3), 0, epoch) for epoch in range(4000)])
    firsts = np.bincount(pairs[:, 0], minlength=3) / len(pairs)
    np.testing.assert_allclose(firsts, weights / 10, atol=0.03)
    after_last = pairs[pairs[:, 0] == 2, 1]  # without replacement 1 and 3 of the other 4
    left = expected or [0.25, 0.75, 0]
    np.testing.assert_allclose(
        np.bincount(after_last, minlength=3) / len(after_last), left, atol=0.04
    )
