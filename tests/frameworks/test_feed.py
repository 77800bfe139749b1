"""The feed of tuned backends: the epoch's steps in order, whole, and made ready ahead."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from datasets.batches import Batch, Epoch, MaskSpec, planned, split_into_batches
from datasets.drawn.images import Drawing, DrawnImages
from datasets.drawn.pixels import augmented
from datasets.drawn.settings import Augment
from frameworks import feed
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe

IMAGES = np.arange(23 * 2 * 2 * 1, dtype=np.uint8).reshape(23, 2, 2, 1)
LABELS = np.arange(23)
MASKS = MaskSpec({"drop": (5,)}, {"drop": 0.5}, seed=3)
ORDER = np.random.default_rng(0).permutation(23)


def epoch(masks=MASKS):
    return Epoch(IMAGES, LABELS, split_into_batches(ORDER, 4), 2, masks)


def steps(chunks):
    """(rows, masks) of every step that a consumer trains on."""
    return [
        (chunk.rows[step], {name: mask[step] for name, mask in chunk.masks.items()})
        for chunk in chunks
        for step in range(chunk.steps)
    ]


@pytest.mark.parametrize("length", [1, 2, 3, 32])
def test_staged_steps_are_the_epochs_in_order(length):
    found = steps(feed.chunks(epoch(), staged=True, length=length))
    one = epoch()
    assert [list(rows) for rows, _ in found] == [list(rows) for rows in one.indices]
    for (_, masks), batch in zip(found, one, strict=True):
        np.testing.assert_array_equal(masks["drop"], batch.masks["drop"])


def test_staged_steps_ask_for_no_batch_and_streamed_ones_for_each_once():
    staged, streamed = epoch(), epoch()
    list(feed.chunks(staged, staged=True, length=2))
    assert staged.served == []
    list(feed.chunks(streamed, staged=False, length=2))
    assert streamed.served == list(range(6))


def test_streamed_steps_carry_the_pictures():
    plain = [Batch(IMAGES[:4], LABELS[:4]), Batch(IMAGES[4:8], LABELS[4:8]), Batch(IMAGES[:1], [9])]
    found = list(feed.chunks(plain, staged=False))
    assert [(chunk.steps, chunk.batch_size) for chunk in found] == [(2, 4), (1, 1)]
    np.testing.assert_array_equal(found[0].images[1], IMAGES[4:8])
    assert found[1].labels.tolist() == [[9]]


def test_all_chunks_of_a_batch_size_have_one_shape():
    found = list(feed.chunks(epoch(), staged=True, length=2))
    assert [chunk.steps for chunk in found] == [2, 2, 1, 1]
    assert {chunk.shape for chunk in found} == {(2, 4, True), (1, 3, True)}
    ready = list(feed.chunks(epoch(), staged=True, length=2, only_first=True))
    assert {chunk.shape for chunk in ready} == {chunk.shape for chunk in found}
    assert [chunk.steps for chunk in ready] == [1, 1]


@pytest.mark.parametrize("limit", [feed.CHUNK_BYTES, 50])  # a step's masks are 4 x 5 bytes
def test_a_device_that_draws_masks_is_told_of_which_steps(monkeypatch, limit):
    monkeypatch.setattr(feed, "CHUNK_BYTES", limit)
    fed = SimpleNamespace(_host_images=None, _length=3, draws_masks=True, recipe=Recipe())
    streamed = epoch()
    found = list(feed.FedBackend.chunks(fed, streamed))
    assert not any(chunk.masks for chunk in found)
    assert all(chunk.draws.spec is MASKS and chunk.draws.epoch == 2 for chunk in found)
    first = [chunk.draws.first for chunk in found]
    assert first == ([0, 2, 4, 5] if limit == 50 else [0, 3, 5])
    assert streamed.served == list(range(6))


def test_large_masks_shorten_the_chunks(monkeypatch):
    monkeypatch.setattr(feed, "CHUNK_BYTES", 50)  # a step's masks are 4 x 5 bytes
    found = list(feed.chunks(epoch(), staged=True))
    assert [chunk.steps for chunk in found] == [2, 2, 1, 1]


def test_only_epochs_of_the_staged_arrays_are_gathered_by_row():
    assert feed.is_of(epoch(), IMAGES)
    assert not feed.is_of(epoch(), IMAGES.copy())
    assert not feed.is_of(epoch(), None)
    assert not feed.is_of([Batch(IMAGES[:4], LABELS[:4])], IMAGES)


def test_drawn_pictures_come_in_short_chunks_and_never_by_row():
    batches = split_into_batches(np.arange(20) % 7, 1)
    drawing = Drawing(Augment(flip="both"), 1, np.arange(23))
    drawn = Epoch(DrawnImages(IMAGES, drawing, 2, batches), LABELS, batches, 2)
    fed = SimpleNamespace(
        _host_images=IMAGES, _length=feed.CHUNK_STEPS, draws_masks=False, recipe=Recipe()
    )
    found = list(feed.FedBackend.chunks(fed, drawn))
    assert [chunk.steps for chunk in found] == [8, 8, 4]
    assert {chunk.rows is None for chunk in found} == {True}
    served = np.concatenate([chunk.images[: chunk.steps, 0] for chunk in found])
    rows = np.concatenate(batches)
    expected = augmented(IMAGES[rows], rows, drawing.settings, 1, 2)
    np.testing.assert_array_equal(served, expected)
    ready = list(feed.FedBackend.chunks(fed, drawn, only_first=True))
    assert {chunk.shape for chunk in ready} == {chunk.shape for chunk in found}


def test_what_does_not_fit_is_not_staged():
    assert feed.fits(40, 100)
    assert not feed.fits(60, 100)


@pytest.mark.parametrize(
    ("asked", "size", "expected"),
    [("auto", 40, True), ("auto", 60, False), ("streamed", 40, False), ("staged", 40, True)],
)
def test_a_feed_may_be_asked_for(asked, size, expected):
    assert feed.staged(asked, size, 100) is expected


def test_what_is_staged_gives_way_to_the_next_epochs() -> None:
    fed = SimpleNamespace(_host_images=None, without=(), runtime=SimpleNamespace(feed="staged"))
    fed.put, fed.free_bytes = lambda images, labels: None, lambda: 2 * IMAGES.nbytes
    feed.FedBackend.stage(fed, IMAGES, LABELS)
    fed.free_bytes = lambda: IMAGES.nbytes
    again = IMAGES.copy()
    feed.FedBackend.stage(fed, again, LABELS)
    assert fed._host_images is again


def test_a_data_set_that_cannot_be_staged_is_refused_with_both_sizes():
    with pytest.raises(SpecificationError, match=r"60 MiB .* 50% of the 100 MiB .* auto or stream"):
        feed.staged("staged", 60 << 20, 100 << 20)


@pytest.mark.parametrize(
    ("variable", "asked"), [("2,3", 2), ("GPU-5c", "GPU-5c"), (None, 0), ("", 0)]
)
def test_the_free_memory_is_that_of_the_gpu_that_is_used(monkeypatch, variable, asked):
    free = {asked: 7, **{other: 1 for other in (0, 1, 2, "GPU-5c") if other != asked}}
    driver = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetHandleByUUID=lambda identifier: identifier,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(free=free[handle]),
    )
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if variable is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert feed.gpu_free_bytes() == 7


def test_ahead_keeps_order_and_counts_the_waiting():
    waited = []
    assert list(feed.ahead(range(20), lambda x: x * x, waited.append)) == [x * x for x in range(20)]
    assert len(waited) == 21  # the end is waited for too
    assert min(waited) >= 0


def test_ahead_hands_over_what_the_thread_raises():
    def prepare(x):
        if x == 2:
            raise ValueError("no third")
        return x

    found = []
    with pytest.raises(ValueError, match="no third"):
        found.extend(feed.ahead(range(5), prepare, lambda _: None))
    assert found == [0, 1]


def test_a_consumer_that_stops_early_stops_the_thread():
    feeder = feed.ahead(range(10**9), lambda x: x, lambda _: None)
    assert next(feeder) == 0
    feeder.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "feed"]


@pytest.mark.parametrize("staged", [True, False])
def test_epochs_of_steps_have_one_shape_of_chunk_for_each_batch_size(staged):
    """A smaller batch may stand anywhere in them; no epoch brings a program of its own."""
    shapes, found = set(), []
    for number in range(1, 8):
        plan = planned(np.arange(23), 0, number, 4, steps=4)
        made = Epoch(IMAGES, LABELS, plan.rows, number, runs=plan.runs)
        for chunk in feed.chunks(made, staged=staged):
            shapes.add(chunk.shape)
            found.append((chunk.steps, chunk.batch_size))
    assert shapes == {(4, 4, staged), (1, 3, staged)}
    assert sum(steps for steps, _ in found) == 7 * 4
    first = Epoch(IMAGES, LABELS, planned(np.arange(23), 0, 1, 4).rows, 1, runs=plan.runs)
    compiled = {chunk.shape for chunk in feed.chunks(first, staged=staged, only_first=True)}
    assert compiled == shapes
