"""The layers of the reference against naive loops and formulas written anew."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from frameworks.numpy import layers
from frameworks.spec.architecture import Activation, AveragePool, BatchNorm, Conv, MaxPool


def naive_convolution(x, kernel, bias, stride, padding):
    """One output number at a time. The padding is TensorFlow's rule in its other form."""
    size = kernel.shape[:2]
    before, total = [0, 0], [0, 0]
    if padding == "same":
        for axis in (0, 1):
            over = x.shape[axis + 1] % stride
            total[axis] = max(size[axis] - (over or stride), 0)
            before[axis] = total[axis] // 2
    count = [(x.shape[a + 1] + total[a] - size[a]) // stride + 1 for a in (0, 1)]
    y = np.zeros((len(x), *count, kernel.shape[3]))
    for n, i, j, f in np.ndindex(y.shape):
        y[n, i, j, f] = bias[f]
        for a, b, c in np.ndindex(kernel.shape[:3]):
            row, column = i * stride + a - before[0], j * stride + b - before[1]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                y[n, i, j, f] += x[n, row, column, c] * kernel[a, b, c, f]
    return y


@given(
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 4),
    padding=st.sampled_from(("valid", "same")),
)
def test_convolution_is_the_naive_one(size, kernel, stride, padding):
    kernel = tuple(min(k, n) for k, n in zip(kernel, size, strict=True))
    layer = Conv(filters=2, kernel=kernel, stride=stride, padding=padding)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2, *size, 3))
    parts = {"kernel": generator.normal(size=(*kernel, 3, 2)), "bias": generator.normal(size=2)}
    output = layers.apply(layer, x, parts, training=True).output
    expected = naive_convolution(x, parts["kernel"], parts["bias"], stride, padding)
    assert output.shape == expected.shape
    np.testing.assert_allclose(output, expected, rtol=1e-12, atol=1e-12)


@given(
    size=st.integers(1, 3),
    stride=st.none() | st.integers(1, 4),
    shape=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    seed=st.integers(0, 9),
)
def test_pools_are_the_naive_ones_and_ties_go_to_the_first(size, stride, shape, seed):
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 3, (2, *shape, 2)).astype(float)  # few values: many ties
    step = stride or size
    count = [(n - size) // step + 1 for n in shape]
    dy = generator.normal(size=(2, *count, 2))
    largest, mean = np.zeros(dy.shape), np.zeros(dy.shape)
    to_first, spread = np.zeros(x.shape), np.zeros(x.shape)
    for n, i, j, c in np.ndindex(dy.shape):
        pixels = [(i * step + a, j * step + b) for a in range(size) for b in range(size)]
        values = [x[n, row, column, c] for row, column in pixels]
        largest[n, i, j, c], mean[n, i, j, c] = max(values), statistics.fmean(values)
        first = pixels[values.index(max(values))]
        to_first[n, first[0], first[1], c] += dy[n, i, j, c]
        for row, column in pixels:
            spread[n, row, column, c] += dy[n, i, j, c] / size**2
    pooled = layers.apply(MaxPool(size=size, stride=stride), x, {}, training=True)
    np.testing.assert_array_equal(pooled.output, largest)
    np.testing.assert_allclose(pooled.backward(dy), to_first, atol=1e-14)
    pooled = layers.apply(AveragePool(size=size, stride=stride), x, {}, training=True)
    np.testing.assert_allclose(pooled.output, mean, atol=1e-14)
    np.testing.assert_allclose(pooled.backward(dy), spread, atol=1e-14)


def test_relu_at_zero_has_slope_zero_and_nan_passes():
    applied = layers.apply(
        Activation(function="relu"), np.array([[-1.0, 0.0, 2.0, np.nan]]), {}, training=True
    )
    np.testing.assert_array_equal(applied.output, [[0, 0, 2, np.nan]])
    np.testing.assert_array_equal(applied.backward(np.full((1, 4), 3.0)), [[0, 0, 3, 3]])


_SELU = 1.6732632423543772


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        ("linear", lambda x: x),
        ("relu", lambda x: max(x, 0.0)),
        ("tanh", math.tanh),
        ("sigmoid", special.expit),
        ("silu", lambda x: x * special.expit(x)),
        ("relu6", lambda x: min(max(x, 0.0), 6.0)),
        (
            "selu",
            lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
        ),
        ("hard_sigmoid", lambda x: min(max((x + 3) / 6, 0.0), 1.0)),
        ("hard_swish", lambda x: x * min(max((x + 3) / 6, 0.0), 1.0)),
        ("mish", lambda x: x * math.tanh(math.log1p(math.exp(x)) if x < 40 else x)),
    ],
)
def test_activations(function, formula):
    x = np.array([[-800.0, -40.0, -1.5, -1e-9, 0.0, 0.3, 20.0, 800.0]])
    output = layers.apply(Activation(function=function), x, {}, training=True).output
    np.testing.assert_allclose(output[0], [formula(value) for value in x[0]], rtol=1e-15)


@pytest.mark.parametrize("variance", ["two_pass", "fast"])
@pytest.mark.parametrize("running", ["biased", "unbiased"])
def test_batch_norm_and_its_running_statistics(variance, running):
    layer = BatchNorm(epsilon=0.01, momentum=0.9, running_variance=running, variance=variance)
    x = np.random.default_rng(0).normal(2, 3, (3, 2, 2, 2))
    parts = {
        "gamma": np.array([1.5, -0.5]),
        "beta": np.array([0.1, 0.2]),
        "moving_mean": np.array([1.0, 2.0]),
        "moving_variance": np.array([3.0, 4.0]),
    }
    applied = layers.apply(layer, x, parts, training=True)
    estimate = statistics.pvariance if running == "biased" else statistics.variance
    for c in (0, 1):
        values = x[..., c].ravel().tolist()
        mean, biased = statistics.fmean(values), statistics.pvariance(values)
        normal = (x[..., c] - mean) / math.sqrt(biased + 0.01)
        expected = parts["gamma"][c] * normal + parts["beta"][c]
        np.testing.assert_allclose(applied.output[..., c], expected, rtol=1e-12, atol=1e-12)
        moved = 0.9 * parts["moving_mean"][c] + 0.1 * mean
        assert applied.running["moving_mean"][c] == pytest.approx(moved, rel=1e-13)
        moved = 0.9 * parts["moving_variance"][c] + 0.1 * estimate(values)
        assert applied.running["moving_variance"][c] == pytest.approx(moved, rel=1e-13)
    inference = layers.apply(layer, x, parts, training=False)
    assert not inference.running
    normal = (x - parts["moving_mean"]) / np.sqrt(parts["moving_variance"] + 0.01)
    np.testing.assert_allclose(inference.output, parts["gamma"] * normal + parts["beta"])
