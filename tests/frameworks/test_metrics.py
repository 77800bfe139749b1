"""Losses from logits, against independent formulas."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from frameworks import metrics
from frameworks.spec.architecture import parse
from frameworks.spec.network import Network

LAYERS = """
[[layers]]
type = "conv"
filters = 2
kernel = 3
l2 = 0.5
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = "classes"
"""


def test_scores_equal_scipy_s_formulas() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 4, (50, 7)).astype(np.float32)
    labels = random.integers(0, 7, 50)
    found = metrics.score(logits, labels, l2=0.25)
    expected = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(50), labels].mean()
    assert found.cross_entropy == pytest.approx(expected, rel=1e-14)
    assert found.loss == pytest.approx(expected + 0.25, rel=1e-14)
    assert found.accuracy == (softmax(logits, axis=1).argmax(axis=1) == labels).mean()


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[1e30, 0.0], [-1e4, 1e4]], dtype=np.float32)
    assert metrics.score(logits, np.array([0, 1]), 0.0).cross_entropy == 0
    assert metrics.score(logits, np.array([0, 0]), 0.0).cross_entropy == pytest.approx(1e4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_give_a_loss_that_is_none(value: float) -> None:
    logits = np.array([[value, 0.0, 1.0]])
    assert not np.isfinite(metrics.score(logits, np.array([1]), 0.0).loss)


def test_l2_terms_are_those_of_the_layers_that_state_them() -> None:
    network = Network(parse(LAYERS, origin="test", default_name="test"), (4, 4, 1), 3)
    assert metrics.has_l2(network)
    weights = {key: np.full(shape, 3.0, np.float32) for key, shape in network.weight_shapes.items()}
    assert metrics.l2_terms(network, weights) == 0.5 * 9 * 18
    without = Network(
        parse(LAYERS.replace("l2 = 0.5", ""), origin="test", default_name="test"), (4, 4, 1), 3
    )
    assert not metrics.has_l2(without)
    assert metrics.l2_terms(without, weights) == 0
