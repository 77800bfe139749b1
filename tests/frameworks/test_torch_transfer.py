"""Chunks that are copied beside the computing arrive whole, however late the copies are."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from frameworks.feed import AHEAD, Chunk
from frameworks.torch.transfer import SLOTS, Sender
from tests.frameworks.test_torch_tuned import IMAGES, LABELS, backend, epoch

GENERATOR = np.random.default_rng(0)


class LateStream:
    """Copies no sooner than somebody waits for them; without a GPU."""

    def __init__(self):
        self.asked, self.handed_over = [], []

    def entered(self):
        return nullcontext()

    def pinned(self, like):
        return torch.empty_like(like)

    def copy(self, source):
        target = torch.zeros_like(source)
        self.asked.append(lambda: target.copy_(source))
        return target

    def mark(self):
        mine, self.asked = self.asked, []
        return SimpleNamespace(synchronize=lambda: [mine.pop(0)() for _ in list(mine)])

    def hand_over(self, tensors, event):
        event.synchronize()
        self.handed_over += tensors


def chunk(number, streamed):
    size = 4 if number % 3 else 3  # two batch sizes
    pictures = GENERATOR.integers(0, 256, (2, size, 5, 5, 1), dtype=np.uint8)
    labels = GENERATOR.integers(0, 9, (2, size), dtype=np.int32)
    rows = GENERATOR.integers(0, 99, (2, size), dtype=np.int32)
    masks = {"drop": GENERATOR.integers(0, 2, (2, size, 7), dtype=np.uint8), "rate": np.ones(2)}
    parts = (None, pictures, labels) if streamed else (rows, None, None)
    return Chunk(2, size, *parts, masks)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("together", range(1, AHEAD + 3))  # queued, in the thread's hand, in use
def test_chunks_arrive_whole_however_many_are_under_way(streamed, together):
    stream = LateStream()
    sender = Sender(torch.device("cpu"), stream, label_type=np.int64, on_host=("rate",))
    drawn = torch.ones(3)
    given = [chunk(number, streamed) for number in range(8)]
    sent = []
    for start in range(0, len(given), together):
        part = [sender.send(one, lambda: {"own": drawn}) for one in given[start : start + together]]
        sent += [sender.received(one) for one in part]
    for one, expected in zip(sent, given, strict=True):
        assert (one.steps, one.batch_size) == (2, expected.batch_size)
        if streamed:
            np.testing.assert_array_equal(one.what[0], expected.images)
            np.testing.assert_array_equal(one.what[1], expected.labels)
            assert one.what[1].dtype == torch.int64
        else:
            np.testing.assert_array_equal(one.what, expected.rows)
        np.testing.assert_array_equal(one.masks["drop"], expected.masks["drop"])
        assert one.masks["own"] is drawn
        assert one.masks["rate"] is expected.masks["rate"]
    assert len(stream.handed_over) == len(given) * (4 if streamed else 3)  # "own" too
    assert {len(memory) for memory in sender._pinned.values()} == {SLOTS}


@pytest.mark.parametrize("feed", ["staged", "streamed"])
def test_training_on_chunks_that_are_copied_late_is_the_same(feed):
    late, direct = backend(feed=feed), backend(feed=feed)
    late._sender._stream = LateStream()
    for one in (late, direct):
        one.stage(IMAGES, LABELS)
        one.compile(epoch())
    assert late.train_epoch(epoch()) == direct.train_epoch(epoch())
    for key, value in direct.get_weights().items():
        np.testing.assert_array_equal(late.get_weights()[key], value)
