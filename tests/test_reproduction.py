"""When a published figure counts as reproduced: the interval, its coverage, and the verdicts."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from results.reported import METRICS, Declared, Reported, Sizes, declared
from results.reproduction import (
    EXACT,
    HIGHER,
    LOWER,
    NOT_COMPARABLE,
    REPRODUCED,
    SHARES,
    Ours,
    compare,
    mean_over_seeds,
    prediction,
)

values_of_seeds = st.lists(st.floats(0.01, 0.99), min_size=2, max_size=12)
images = st.integers(10, 100_000)


def accuracy(value: float, **fields) -> Reported:
    return Reported(metric="test_accuracy", value=value, **fields)


def naive(values: list[float], variance: float, ours: int, theirs: int) -> tuple[float, float]:
    """The formula of the module's docstring, term by term."""
    n = len(values)
    seeds = statistics.variance(values) * (1 + 1 / n)
    total = seeds + variance / ours + variance / theirs
    freedom = total**2 / (seeds**2 / (n - 1)) if seeds else math.inf
    half = (
        stats.t(freedom).ppf(0.975) * math.sqrt(total)
        if math.isfinite(freedom)
        else 1.959963985 * math.sqrt(total)
    )
    mean = statistics.mean(values)
    return mean - half, mean + half


@given(values_of_seeds, st.floats(0.001, 4), images, images)
def test_the_interval_is_the_formula(values, variance, ours, theirs) -> None:
    found = prediction(values, image_variance=variance, ours=ours, theirs=theirs)
    low, high = naive(values, variance, ours, theirs)
    assert found.value == pytest.approx(statistics.mean(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-9)


@given(values_of_seeds, images)
def test_more_images_never_widen_it(values, ours) -> None:
    few = prediction(values, image_variance=0.2, ours=ours, theirs=ours)
    many = prediction(values, image_variance=0.2, ours=10 * ours, theirs=10 * ours)
    # a larger share of the seeds' term brings fewer degrees of freedom, hence the allowance
    n = len(values)
    most = stats.t(n - 1).ppf(0.975) / 1.96
    assert many.high - many.low <= (few.high - few.low) * most + 1e-12


@given(values_of_seeds)
def test_without_images_it_is_the_textbook_prediction_interval(values) -> None:
    n, s = len(values), statistics.stdev(values)
    half = stats.t(n - 1).ppf(0.975) * s * math.sqrt(1 + 1 / n)
    found = prediction(values)
    assert found.high - found.value == pytest.approx(half, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("seeds", "least"), [(3, 0.915), (5, 0.935), (10, 0.94)], ids=["3 seeds", "5", "10"]
)
@pytest.mark.parametrize("spread", [0.002, 0.006, 0.012, 0.04])
def test_it_holds_its_share_of_published_runs(seeds: int, least: float, spread: float) -> None:
    """Simulated: runs of one accuracy, each on its own or a shared test set, seeds spread out."""
    draws = np.random.default_rng([seeds, int(1000 * spread)])
    held, trials, m = 0, 3000, 2000
    for _ in range(trials):
        # the luck of a test set is the same for all runs on it, whatever their seed
        luck = draws.normal(0, math.sqrt(0.8 * 0.2 / m), 2)
        ours = 0.8 + luck[0] + draws.normal(0, spread, seeds)
        theirs = 0.8 + luck[1] + draws.normal(0, spread)
        found = prediction(list(ours), image_variance=0.8 * 0.2, ours=m, theirs=m)
        held += found.low <= theirs <= found.high
    assert least <= held / trials <= 0.975


@given(values_of_seeds)
def test_the_mean_has_students_interval(values) -> None:
    found = mean_over_seeds(values)
    n, s = len(values), statistics.stdev(values)
    if s > 1e-6:
        low, high = stats.t(n - 1, statistics.mean(values), s / math.sqrt(n)).interval(0.95)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)
    inside = mean_over_seeds(values, share=True)
    assert 0 <= inside.low <= inside.value <= inside.high <= 1


@given(
    st.lists(st.floats(0.05, 0.95), min_size=3, max_size=8), st.floats(0, 1), st.integers(20, 9999)
)
def test_the_verdict_follows_the_interval(values, value, m) -> None:
    found = compare(accuracy(value), Ours(tuple(values), m))
    assert found.difference == pytest.approx(statistics.mean(values) - value)
    if found.predicted.low <= value <= found.predicted.high:
        assert found.verdict == REPRODUCED
    else:
        assert found.verdict == (HIGHER if found.difference > 0 else LOWER)
    assert not found.reason


def test_the_words_are_about_ours() -> None:
    ours = Ours((0.80, 0.81, 0.805), 4000)
    assert compare(accuracy(0.8006), ours).verdict == REPRODUCED
    assert compare(accuracy(0.60), ours).verdict == HIGHER
    assert compare(accuracy(0.95), ours).verdict == LOWER
    assert compare(accuracy(0.60), ours).difference > 0


def test_the_published_test_sets_size_counts() -> None:
    ours = Ours((0.80, 0.801, 0.799), 4000)
    near = accuracy(0.83)
    assert compare(near, ours).verdict == LOWER
    assert compare(near, ours, their_images=300).verdict == REPRODUCED
    assert compare(accuracy(0.83, images=300), ours, their_images=4000).verdict == REPRODUCED


def test_a_share_of_nothing_is_not_without_luck() -> None:
    none_found = Reported(metric="recall", value=0.08, label=5)
    found = compare(none_found, Ours((0.0, 0.0, 0.0), 12))
    assert found.verdict == REPRODUCED
    assert found.predicted.high > 0.08


def test_a_loss_has_the_luck_of_its_images_too() -> None:
    loss = Reported(metric="test_loss", value=0.86)
    values = (0.8500, 0.8501, 0.8499)
    assert compare(loss, Ours(values, 4000)).verdict == LOWER
    assert compare(loss, Ours(values, 4000, deviation=1.0)).verdict == REPRODUCED


def test_parameters_are_exact() -> None:
    count = Reported(metric="parameters", value=1_799_964)
    assert compare(count, Ours((1_799_964.0,))).verdict == REPRODUCED
    assert compare(count, Ours((1_799_965.0,))).verdict == HIGHER
    assert compare(count, Ours((1_799_964.0, 1_799_963.0))).verdict == LOWER


@pytest.mark.parametrize(
    ("reported", "ours", "reason"),
    [
        (accuracy(0.8), Ours((0.8,), 100), "needs 3 seeds, has 1"),
        (accuracy(0.8), Ours((0.8, 0.81), 100), "needs 3 seeds, has 2"),
        (accuracy(0.8), Ours(()), "no run has this figure"),
        (accuracy(0.8), Ours((0.8,) * 3, 4), "a share of 4 images"),
        (
            accuracy(0.8, comparable=False, reason="other galaxies"),
            Ours((0.8,) * 3, 100),
            "other galaxies",
        ),
        (
            accuracy(0.8),
            Ours((0.8,), 100, refusals=("scaled to 0.01",)),
            "scaled to 0.01; needs 3 seeds, has 1",
        ),
        (accuracy(0.8), Ours((float("nan"), 0.8, 0.8), 100), "needs 3 seeds, has 2"),
    ],
)
def test_what_cannot_be_compared_says_why(reported, ours, reason) -> None:
    found = compare(reported, ours)
    assert found.verdict == NOT_COMPARABLE
    assert found.reason == reason


def test_the_images_behind_a_figure() -> None:
    sizes = Sizes(train=3, validation=2, test=1)
    for metric in METRICS:
        behind = sizes.behind(metric)
        if metric in SHARES and metric != "recall":
            assert behind is not None
        if metric in EXACT or metric.endswith("epoch") or metric == "epoch_seconds":
            assert behind is None
    assert sizes.behind("best_validation_accuracy") == sizes.behind("validation_loss") == 2


def test_a_declaration_of_another_version_is_no_error() -> None:
    assert declared('{"experiment": {"name": "unam"}}') is None
    assert declared("{}") is None
    assert declared(None) is None
    found = declared('{"experiment": {"name": "a", "title": "b", "source": "c", "dataset": "d"}}')
    assert found == Declared(name="a", title="b", source="c", dataset="d")
