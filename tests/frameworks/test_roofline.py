"""The least time of a step against counts by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frameworks.spec import architecture, roofline
from frameworks.spec.architecture import BatchNorm, Conv, Dropout, Flatten, MaxPool
from frameworks.spec.network import Network
from frameworks.spec.recipe import OPTIMIZERS, SGD, Adam
from tests.helpers.small_networks import network, networks

UNAM = Network(architecture.load("unam"), (69, 69, 3), 10)


def pieces(net: Network, batch_size: int = 10, precision: str = "float32") -> dict:
    found = roofline.training_step(net, batch_size, Adam(), precision)
    return {(work.name, work.part): work for work in found}


def test_a_small_step_by_hand() -> None:
    # 4x4x2 -> conv 3x3, 5 filters, valid -> 2x2x5 -> pool 2 -> 1x1x5 -> dense 3
    net = network(
        Conv(filters=5, kernel=3, padding="valid", activation="relu"),
        MaxPool(size=2),
        Dropout(rate=0.5),
        Flatten(),
        input_shape=(4, 4, 2),
        classes=3,
    )
    found = pieces(net)
    conv_weights, dense_weights = 3 * 3 * 2 * 5 + 5, 5 * 3 + 3
    conv_flops = 10 * 2 * (2 * 2 * 5) * (3 * 3 * 2)
    conv_bytes = 4 * (10 * (32 + 20) + conv_weights)
    dense_bytes = 4 * (10 * (5 + 3) + dense_weights)
    pool_bytes = 4 * 10 * (20 + 5)
    expected = {
        ("l0", "forward"): (conv_flops, conv_bytes),
        ("l0", "weight gradient"): (conv_flops, conv_bytes),
        ("l1", "forward"): (0, pool_bytes),
        ("l1", "input gradient"): (0, pool_bytes),
        ("l4", "forward"): (10 * 30, dense_bytes),
        ("l4", "weight gradient"): (10 * 30, dense_bytes),
        ("l4", "input gradient"): (10 * 30, dense_bytes),
        ("adam", "optimizer"): (0, 4 * 7 * (conv_weights + dense_weights)),
    }
    assert {key: (work.flops, work.bytes) for key, work in found.items()} == expected


def test_batch_norm_reads_its_input_again() -> None:
    net = network(BatchNorm(), Flatten(), input_shape=(2, 2, 3), classes=2)
    found = pieces(net, batch_size=1)
    assert found["l0", "forward"].bytes == 4 * (12 + 12 + 12)  # four numbers a channel
    assert found["l0", "gradients"].bytes == 4 * (12 + 12 + 24)  # no gradient to the picture
    inner = network(Conv(filters=3, kernel=1), BatchNorm(), Flatten(), input_shape=(2, 2, 3))
    assert pieces(inner, batch_size=1)["l1", "gradients"].bytes == 4 * (12 + 12 + 12 + 24)


def test_the_sum_of_maxima_by_hand() -> None:
    net = network(Flatten(), input_shape=(2, 1, 1), classes=2)
    # dense 2 -> 2, batch 1: forward and weight gradient 8 operations, 4 + 6 elements; 6 weights
    seconds = roofline.least_seconds(
        net, 1, SGD(), "float32", flops_per_second=1.0, bytes_per_second=10.0
    )
    assert seconds == pytest.approx(2 * max(8 / 1, 40 / 10) + 3 * 6 * 4 / 10)
    slow_memory = roofline.least_seconds(
        net, 1, SGD(), "float32", flops_per_second=1e9, bytes_per_second=1.0
    )
    assert slow_memory == pytest.approx(2 * 40 + 72)


@pytest.mark.parametrize(
    ("name", "slots"),
    [("adam", 2), ("adamw", 2), ("adadelta", 2), ("adagrad", 1), ("rmsprop", 1), ("sgd", 0)],
)
def test_slots_are_those_of_the_optimizers(name: str, slots: int) -> None:
    assert roofline.slots(OPTIMIZERS[name]()) == slots
    assert roofline.slots(SGD(momentum=0.9)) == 1


def test_half_the_bytes_in_bfloat16_but_for_the_optimizer() -> None:
    single, half = pieces(UNAM), pieces(UNAM, precision="bfloat16")
    for key, work in single.items():
        share = 1 if key[1] == "optimizer" else 2
        assert half[key].bytes * share == work.bytes
        assert half[key].flops == work.flops


@given(networks(), st.integers(1, 70))
def test_operations_add_up_and_more_images_take_longer(net: Network, batch_size: int) -> None:
    works = roofline.training_step(net, batch_size, Adam(), "float32")
    assert sum(work.flops for work in works) == batch_size * net.flops(training=True)
    limits = {"flops_per_second": 1e9, "bytes_per_second": 1e8}
    less, more = (
        roofline.least_seconds(net, size, Adam(), "float32", **limits)
        for size in (batch_size, 2 * batch_size)
    )
    floor = batch_size * net.flops(training=True) / 1e9
    assert max(floor, sum(work.bytes for work in works) / 1e8) <= less * (1 + 1e-12)
    assert less < more <= 2 * less
