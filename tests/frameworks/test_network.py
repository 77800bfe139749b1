"""Shapes, counts and costs of a network against hand counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frameworks.spec import architecture
from frameworks.spec.architecture import (
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
)
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.shapes import same_padding
from tests.helpers.small_networks import network, networks, random_batch, reference

UNAM = Network(architecture.load("unam"), (69, 69, 3), 10)
C2 = Network(architecture.load("c2"), (69, 69, 3), 10)


# ---- shapes


def test_shapes_of_unam():
    shapes = UNAM.output_shapes
    assert shapes["conv1"] == (67, 67, 64)
    assert shapes["max_pool1"] == (32, 32, 64)
    assert shapes["conv4"] == (13, 13, 256)
    assert shapes["dropout1"] == (6, 6, 256)
    assert shapes["flatten1"] == (9216,)
    assert list(shapes.values())[-1] == (10,)
    assert UNAM.input_shapes["conv1"] == (69, 69, 3)
    assert UNAM.input_shapes["flatten1"] == (6, 6, 256)
    assert UNAM.dropout_shapes == {"dropout1": (6, 6, 256), "dropout2": (150,), "dropout3": (60,)}
    assert UNAM.dropout_rates == {"dropout1": 0.5, "dropout2": 0.3, "dropout3": 0.3}


def test_weights_of_a_network_and_which_are_trained():
    small = network(Conv(name="c", filters=4, kernel=(2, 3)), BatchNorm(name="n"), Flatten())
    assert small.weight_shapes == {
        "c/kernel": (2, 3, 2, 4),
        "c/bias": (4,),
        "n/gamma": (4,),
        "n/beta": (4,),
        "n/moving_mean": (4,),
        "n/moving_variance": (4,),
        "l3/kernel": (5 * 4 * 4, 3),
        "l3/bias": (3,),
    }
    trained = ("c/kernel", "c/bias", "n/gamma", "n/beta", "l3/kernel", "l3/bias")
    assert small.trainable_keys == trained
    assert small.parameters() - small.parameters(trainable_only=True) == 8


@given(networks())
def test_shapes_are_those_of_what_is_computed(small):
    outputs = reference(small).activations(random_batch(small, size=2), training=True)
    assert {name: array.shape[1:] for name, array in outputs.items()} == small.output_shapes


@given(size=st.integers(1, 40), kernel=st.integers(1, 12), stride=st.integers(1, 6))
def test_same_padding_gives_ceil_of_size_over_stride(size, kernel, stride):
    before, after = same_padding(size, kernel, stride)
    assert after - before in (0, 1)  # the odd one comes after
    assert before >= 0
    padded, windows = size + before + after, math.ceil(size / stride)
    assert (padded - kernel) // stride + 1 == windows
    # no more than needed: one pixel fewer would lose the last window
    assert before + after == 0 or (padded - 1 - kernel) // stride + 1 == windows - 1


@given(size=st.integers(1, 20), kernel=st.integers(1, 6), stride=st.integers(1, 4))
def test_same_convolution_has_the_shape_of_the_rule(size, kernel, stride):
    small = network(
        Conv(name="c", filters=1, kernel=kernel, stride=stride, padding="same"),
        Flatten(),
        input_shape=(size, size, 1),
    )
    assert small.output_shapes["c"] == (math.ceil(size / stride),) * 2 + (1,)


@pytest.mark.parametrize(
    ("name", "size", "layer", "output"),
    [
        ("unam", 20, "layer 7 ('max_pool3')", "0x0"),
        ("c2", 30, "layer 8 ('conv4')", "0x0"),
        ("alexnet_valid", 100, "layer 13 ('max_pool3')", "0x0"),
        ("alexnet_valid", 69, "layer 11 ('conv5')", "-1x-1"),
    ],
)
def test_pictures_that_are_too_small_name_the_layer(name, size, layer, output):
    with pytest.raises(SpecificationError) as caught:
        Network(architecture.load(name), (size, size, 3), 10)
    assert str(caught.value).startswith(
        f"architecture '{name}' does not fit pictures of {size}x{size}: it runs out of pixels at "
        f"{layer}, whose output would be {output}."
    )


def test_out_of_pixels_at_the_very_layer():
    layers = (Conv(filters=1, kernel=3), MaxPool(name="shrink", size=2), Flatten())
    assert network(*layers, input_shape=(4, 4, 1)).output_shapes["shrink"] == (1, 1, 1)
    with pytest.raises(SpecificationError, match=r"layer 2 \('shrink'\).* would be 0x1\. Use larg"):
        network(*layers, input_shape=(3, 4, 1))
    with pytest.raises(SpecificationError, match=r"layer 1 \('l0'\).* would be -1x2"):
        network(*layers, input_shape=(1, 4, 1))


def test_impossible_data_is_refused():
    with pytest.raises(SpecificationError, match="at least 1 output, got 0"):
        network(Flatten(), classes=0)
    with pytest.raises(SpecificationError, match=r"pictures of 6x6x0 .* are empty"):
        network(Flatten(), input_shape=(6, 6, 0))


# ---- costs


def test_operations_of_unam_by_hand():
    convolutions = [
        67 * 67 * 64 * (9 * 3),
        65 * 65 * 64 * (9 * 64),
        30 * 30 * 128 * (9 * 64),
        13 * 13 * 256 * (9 * 128),
    ]
    dense = [9216 * 150, 150 * 60, 60 * 10]
    forward = 2 * sum(convolutions + dense)
    assert UNAM.flops() == forward
    assert round(forward / 1e9, 2) == 0.56
    # both gradients cost as much as the forward pass; the pictures need none
    assert UNAM.flops(training=True) == 3 * forward - 2 * convolutions[0]


def test_operations_of_c2_by_hand():
    by_hand = [
        63 * 63 * 32 * (49 * 3),
        27 * 27 * 64 * (25 * 32),
        23 * 23 * 64 * (25 * 64),
        9 * 9 * 128 * (9 * 64),
        2048 * 256,
        256 * 256,
        256 * 10,
    ]
    assert C2.flops() == 2 * sum(by_hand)
    assert round(C2.flops() / 1e9, 2) == 0.23
    assert C2.flops(training=True) == 6 * sum(by_hand) - 2 * by_hand[0]


def test_a_batch_norm_ahead_needs_the_gradient_by_the_input_of_the_first_convolution():
    conv = Conv(name="c", filters=2, kernel=3)
    first = network(conv, Flatten()).costs[0]
    after_norm = network(BatchNorm(), conv, Flatten()).costs[1]
    assert first.forward_flops == after_norm.forward_flops == 2 * 4 * 4 * 2 * 9 * 2
    assert first.input_gradient_flops == 0
    assert after_norm.input_gradient_flops == after_norm.forward_flops


@given(networks())
def test_costs_add_up(small):
    assert sum(cost.weight_elements for cost in small.costs) == small.parameters()
    assert sum(cost.training_flops for cost in small.costs) == small.flops(training=True)
    assert small.flops() <= small.flops(training=True) <= 3 * small.flops()
    elementwise = (AveragePool, BatchNorm, Dropout, Flatten, MaxPool)
    for layer, cost in zip(small.layers, small.costs, strict=True):
        assert not (isinstance(layer, elementwise) and cost.forward_flops)
        if isinstance(layer, Conv | Dense):
            kernel = small.weight_shapes[f"{layer.name}/kernel"]
            places = math.prod(small.output_shapes[layer.name][:-1])
            assert cost.forward_flops == 2 * places * np.prod(kernel)
