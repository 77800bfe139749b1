"""Losses from logits, against independent formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, softmax

from frameworks import metrics
from frameworks.spec.architecture import parse
from frameworks.spec.losses import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
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


def test_scores_of_a_single_output_are_those_of_two_classes() -> None:
    random = np.random.default_rng(1)
    logits, labels = random.normal(0, 2, (40, 1)), random.integers(0, 2, 40)
    smoothed = BinaryCrossEntropy(label_smoothing=0.1)
    found = metrics.score(logits, labels, 0.25, smoothed)
    both = np.concatenate([np.zeros_like(logits), logits], axis=1)
    same = metrics.score(both, labels, 0.0)
    assert found.cross_entropy == pytest.approx(same.cross_entropy, rel=1e-13)
    assert found.accuracy == same.accuracy
    assert found.loss > 0.25
    assert found.loss != pytest.approx(found.cross_entropy + 0.25, rel=1e-6)
    assert found.rmse is None
    shares = metrics.probabilities(smoothed, logits)
    np.testing.assert_allclose(shares, softmax(both, axis=1), rtol=1e-13)
    np.testing.assert_array_equal(metrics.predicted(smoothed, logits), shares.argmax(axis=1))


@given(
    arrays(np.int64, st.tuples(st.integers(1, 25), st.integers(1, 3)), elements=st.integers(0, 4)),
    st.randoms(use_true_random=False),
)
def test_the_area_is_the_share_of_pairs_in_order(scores, random) -> None:
    sides = np.array([[random.random() < 0.5 for _ in row] for row in scores])
    areas = []
    for one, side in zip(scores.T, sides.T, strict=True):
        pairs = [
            1.0 if above > below else 0.5 if above == below else 0.0
            for above in one[side]
            for below in one[~side]
        ]
        if pairs:
            areas.append(sum(pairs) / len(pairs))
    found = metrics.auc(scores.astype(float), sides)
    assert found == (pytest.approx(np.mean(areas)) if areas else None)


OF_LABELS = [
    *(CrossEntropy(label_smoothing=share) for share in (0.0, 0.1)),
    *(BinaryCrossEntropy(targets=targets) for targets in ("labels", "one_hot")),
    *(MeanSquaredError(targets="one_hot", root=root) for root in (False, True)),
]


@pytest.mark.parametrize("loss", OF_LABELS, ids=str)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 9), st.just(3)), elements=st.integers(-1, 1)),
    st.randoms(use_true_random=False),
)
def test_accuracy_is_the_share_of_labels_that_are_predicted_and_l2_is_added(
    loss, logits, random
) -> None:
    """Logits that are whole numbers tie, with each other and with zero."""
    single = loss == BinaryCrossEntropy()
    logits = logits[:, :1] if single else logits
    labels = np.array([random.randrange(2 if single else 3) for _ in logits])
    found, more = (metrics.score(logits, labels, l2, loss) for l2 in (0.0, 0.5))
    assert found.accuracy == (metrics.predicted(loss, logits) == labels).mean()
    assert more.loss == pytest.approx(found.loss + 0.5)


@given(st.lists(st.tuples(*[st.sampled_from([0, 1, 2, 5])] * 2), min_size=1, max_size=12))
def test_macro_f1_is_the_mean_over_the_classes_that_are_there_or_said(pairs) -> None:
    labels, said = (np.array(side) for side in zip(*pairs, strict=True))
    scores = []
    for one in {*labels, *said}:
        right = ((labels == one) & (said == one)).sum()
        precision, recall = (
            right / max((said == one).sum(), 1),
            right / max((labels == one).sum(), 1),
        )
        scores.append(2 * precision * recall / (precision + recall) if right else 0.0)
    assert metrics.macro_f1(labels, said) == pytest.approx(np.mean(scores))


def test_l2_terms_are_summed_in_float64() -> None:
    network = Network(parse(LAYERS, origin="test", default_name="test"), (4, 4, 1), 3)
    shapes = network.weight_shapes
    weights = {key: np.full(shape, 0.1, np.float32) for key, shape in shapes.items()}
    expected = 0.5 * 18 * float(np.float32(0.1)) ** 2
    assert metrics.l2_terms(network, weights) == pytest.approx(expected, rel=1e-14)


def test_scores_of_votes() -> None:
    votes = np.array([[0.0, 1.0], [0.5, 0.25]], np.float32)
    logits = np.array([[-1.0, 1.0], [0.75, 0.0]])
    found = metrics.score(logits, votes, 0.0, MeanSquaredError())
    assert found.rmse == pytest.approx(np.sqrt((1 + 0 + 0.0625 + 0.0625) / 4))
    assert found.loss == pytest.approx(found.rmse**2)
    assert (found.cross_entropy, found.auc, found.accuracy) == (None, None, 0.75)
    assert metrics.predicted(MeanSquaredError(), logits).tolist() == [-1, -1]
    several = metrics.score(logits, votes, 0.0, BinaryCrossEntropy(targets="votes"))
    assert several.auc == 1.0  # of the second vote; the first is on one side alone
    assert several.cross_entropy == several.loss


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
