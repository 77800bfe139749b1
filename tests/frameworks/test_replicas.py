"""How a batch is dealt to replicas, who can train on several, and a replica that dies."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fidelity.cases.case import Material
from benchmarks.fidelity.cases.replicas import cases
from benchmarks.process.failures import classify
from datasets.batches import Batch
from frameworks.backend import framework
from frameworks.replicas import shards, share_under_way, threads_of_each
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe

WEIGHTED = Recipe(class_weights=(0.5, 3.0), class_weight_mean="weights")


def batch(labels):
    """Pictures that say their place, and masks that do."""
    places = np.arange(len(labels), dtype=np.uint8)
    images = places[:, None, None, None].repeat(2, 1)
    return Batch(images, np.asarray(labels, np.int32), {"dropout1": places[:, None]})


@pytest.mark.parametrize(
    ("count", "replicas", "sizes"),
    [(12, 3, [4, 4, 4]), (7, 2, [4, 3]), (7, 3, [3, 2, 2]), (2, 3, [1, 1, 0])],
)
def test_a_batch_is_dealt_in_order_as_evenly_as_can_be(count, replicas, sizes):
    dealt = shards(batch([0] * count), Recipe(), replicas)
    assert [len(one.batch) for one in dealt] == sizes
    assert [one.share for one in dealt] == [size / count for size in sizes]
    assert {one.images for one in dealt} == {count}
    for part in (lambda one: one.images[:, 0, 0, 0], lambda one: one.masks["dropout1"][:, 0]):
        assert np.concatenate([part(one.batch) for one in dealt]).tolist() == list(range(count))


def test_of_a_mean_over_weights_a_replica_has_the_share_of_its_weights():
    dealt = shards(batch([0, 0, 1, 0]), WEIGHTED, 2)
    assert [one.share for one in dealt] == [1 / 4.5, 3.5 / 4.5]


def test_spans_that_overlap_count_once():
    assert share_under_way([(4.0, 5.0), (0.0, 2.0), (1.0, 1.5), (1.0, 3.0)], 8.0) == 0.5
    assert share_under_way([], 8.0) == 0.0


def test_the_threads_are_divided():
    assert [threads_of_each(8, 3), threads_of_each(2, 3), threads_of_each(6, 2)] == [2, 1, 3]
    assert threads_of_each(0, 10_000) == 1


def test_what_trains_on_one_replica_alone_says_so():
    with pytest.raises(SpecificationError, match="'my:Own' with tuning idiomatic trains on one"):
        framework("my:Own").backend("idiomatic", 2)


@pytest.fixture
def pair():
    """Two replicas of PyTorch, whose network draws its own dropout, and what they train on."""
    case = cases()[0]
    material, kind = Material(case), framework("torch").backend("idiomatic", 2)
    runtime = replace(case.runtime, native_dropout=True)
    return material, kind(material.network, case.recipe, runtime, material.weights)


def test_replicas_drop_apart_go_on_where_they_were_and_name_the_one_that_died(pair):
    material, backend = pair
    state = backend.get_random_state()
    assert set(state) == {"cpu", "replica1.cpu"}
    assert not np.array_equal(state["cpu"], state["replica1.cpu"])

    def trained():
        backend.set_weights(material.weights)
        backend.set_optimizer_state(start)
        return backend.train_epoch(material.epoch(1)).loss

    start = backend.get_optimizer_state()
    backend.compile(material.epoch(1))
    first = trained()
    assert trained() != first  # other masks
    backend.set_random_state(state)
    assert trained() == first

    os.kill(backend._others._processes[0].pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="replica 1 of 2 ended: killed by SIGKILL"):
        trained()


class _Greedy:
    """An object that takes an exbibyte where it arrives."""

    def __reduce__(self):
        return np.empty, (2**60, "u1")


def test_a_replica_out_of_memory_says_so(pair):
    _, backend = pair
    backend._others.tell("set_weights", _Greedy())
    with pytest.raises(RuntimeError, match=r"replica 1 of 2 ended: .*Unable to allocate") as raised:
        backend.get_random_state()
    assert classify(raised.value, "train")[0] == "oom"


def test_what_a_replica_raises_is_the_reason(pair):
    _, backend = pair
    backend._others.tell("set_weights", {})
    with pytest.raises(RuntimeError, match=r"replica 1 of 2 ended: .*weights lack"):
        backend.get_random_state()
