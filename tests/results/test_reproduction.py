"""When a published figure counts as reproduced: the interval, its coverage, and the verdicts."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from results.stats.vocabulary import HIGHER, LOWER, NOT_COMPARABLE, REPRODUCED
from results.studies.kinds import WIDEST_SHARE, kind_of
from results.studies.reported import METRICS, Declared, Reported, Sizes, declared
from results.studies.reproduction import (
    EXACT,
    SHARES,
    Ours,
    compare,
    image_luck,
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
    found = prediction(values, image_luck(variance, ours, theirs))
    low, high = naive(values, variance, ours, theirs)
    assert found.value == pytest.approx(statistics.mean(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-9)


@given(values_of_seeds, images)
def test_more_images_never_widen_it(values, ours) -> None:
    few = prediction(values, image_luck(0.2, ours, ours))
    many = prediction(values, image_luck(0.2, 10 * ours, 10 * ours))
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
        found = prediction(list(ours), image_luck(0.8 * 0.2, m, m))
        held += found.low <= theirs <= found.high
    assert least <= held / trials <= 0.975


@given(values_of_seeds)
def test_the_mean_has_students_interval(values) -> None:
    found = mean_over_seeds(values)
    n, s = len(values), statistics.stdev(values)
    if s > 1e-6:
        low, high = stats.t(n - 1, statistics.mean(values), s / math.sqrt(n)).interval(0.95)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)
    inside = mean_over_seeds(values, kind_of(accuracy(0.5)))
    assert 0 <= inside.low <= inside.value <= inside.high <= 1


@given(
    st.floats(0.1, 0.9),
    st.lists(st.floats(-1, 1), min_size=3, max_size=8),
    st.floats(0, 0.1),
    st.floats(0, 1),
    st.integers(20, 9999),
)
def test_the_verdict_follows_the_interval(middle, steps, spread, value, m) -> None:
    values = [middle + spread * step for step in steps]
    found = compare(accuracy(value), Ours(tuple(values), m))
    assert found.difference == pytest.approx(statistics.mean(values) - value)
    if not found.predicted.low <= value <= found.predicted.high:
        assert found.verdict == (HIGHER if found.difference > 0 else LOWER)
        assert not found.reason
    elif found.verdict == REPRODUCED:
        assert abs(found.difference) <= WIDEST_SHARE, "whatever our seeds do"
        assert not found.reason
    else:
        assert found.verdict == NOT_COMPARABLE
        assert "(at most 5)" in found.reason


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=8), st.floats(-0.3, 0.3))
def test_noisier_seeds_never_turn_a_verdict_into_reproduced_for_good(steps, off) -> None:
    """As they spread, a figure is off, within reach, and then of no verdict: not reproduced."""
    about = [step - statistics.mean(steps) for step in steps]
    if statistics.stdev(about) < 0.01:
        return
    wild = compare(accuracy(0.5 + off), Ours(tuple(0.5 + 9 * one for one in about), 4000))
    assert wild.verdict != REPRODUCED


def test_seeds_far_apart_reproduce_nothing() -> None:
    """C2's .8433 against three seeds that leave 20 points either way; more seeds narrow it."""
    found = compare(accuracy(0.8433), Ours((0.74, 0.80, 0.83), 3268))
    assert found.verdict == NOT_COMPARABLE
    share = (0.79 * 3268 + 2) / 3272
    low, high = naive([0.74, 0.80, 0.83], share * (1 - share), 3268, 3268)
    leave = f"± {50 * (high - low):.2f} points"
    assert leave == "± 21.71 points"
    assert found.reason == f"our seeds leave {leave} (at most 5); more seeds narrow it"
    near = compare(accuracy(0.8433), Ours((0.842, 0.846, 0.848), 3268))
    assert near.verdict == REPRODUCED


def test_what_lies_out_of_a_wide_interval_is_off_all_the_same() -> None:
    found = compare(accuracy(0.30), Ours((0.78, 0.80, 0.83), 3268))
    assert found.predicted.high - found.predicted.value > WIDEST_SHARE
    assert found.verdict == HIGHER


def test_too_few_galaxies_are_said_apart_from_too_noisy_seeds() -> None:
    recall = Reported(metric="recall", value=0.5, label=3, images=69)
    found = compare(recall, Ours((0.5, 0.5, 0.5), 70))
    assert found.verdict == NOT_COMPARABLE
    assert found.reason == (
        "a test on 69 galaxies leaves ± 16.62 points (at most 10); more seeds do not narrow it"
    )
    assert compare(recall, Ours((0.5,) * 3, 700)).verdict == NOT_COMPARABLE, "theirs are as few"
    many = Reported(metric="recall", value=0.5, label=3)
    assert compare(many, Ours((0.5,) * 3, 700)).verdict == REPRODUCED


@pytest.mark.parametrize(
    ("metric", "value", "narrow", "wide", "words"),
    [
        ("test_loss", 0.5, (0.48, 0.5, 0.52), (0.3, 0.5, 0.7), "± 0.994 nats (at most 0.25)"),
        ("best_validation_epoch", 98, (94, 98, 99), (60, 98, 130), "epochs (at most 50)"),
        ("lowest_validation_loss_epoch", 56, (50, 56, 60), (20, 56, 99), "epochs (at most 50)"),
        ("epoch_seconds", 10.0, (9.9, 10, 10.1), (6, 10, 14), "s (at most 2.5)"),
    ],
)
def test_each_kind_has_its_widest(metric, value, narrow, wide, words) -> None:
    reported = Reported(metric=metric, value=value)
    assert compare(reported, Ours(narrow, epochs=200)).verdict == REPRODUCED
    found = compare(reported, Ours(wide, epochs=200))
    assert found.verdict == NOT_COMPARABLE
    assert words in found.reason


@given(values_of_seeds, st.integers(1, 300))
def test_no_interval_goes_where_no_value_can_be(values, epochs) -> None:
    loss = compare(Reported(metric="test_loss", value=0.1), Ours(tuple(values)))
    share = compare(accuracy(0.1), Ours(tuple(values), 12))
    at = tuple(1 + round(value * (epochs - 1)) for value in values)
    epoch = compare(Reported(metric="best_validation_epoch", value=1), Ours(at, epochs=epochs))
    ranges = ((loss, 0.0, math.inf), (share, 0.0, 1.0), (epoch, 1.0, float(epochs)))
    for found, lowest, highest in ranges:
        for interval in (found.mean, found.predicted):
            assert lowest <= interval.low <= interval.value + 1e-9
            assert interval.value - 1e-9 <= interval.high <= highest


def test_one_seed_has_no_interval_to_clip() -> None:
    found = compare(accuracy(0.1), Ours((0.5,), 100))
    assert math.isnan(found.predicted.low)
    assert math.isnan(found.predicted.high)


def test_their_copies_are_no_more_galaxies_than_ours() -> None:
    """45,000 copies of 1,125 galaxies on either side have the luck of 1,125."""
    of_copies = compare(accuracy(0.8), Ours((0.8,) * 3, 1125, copies=40.0), their_images=45_000)
    of_galaxies = compare(accuracy(0.8), Ours((0.8,) * 3, 1125), their_images=1125)
    assert of_copies == of_galaxies


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
    assert compare(near, ours, their_images=700).verdict == REPRODUCED
    assert compare(accuracy(0.83, images=700), ours, their_images=4000).verdict == REPRODUCED


def test_a_share_of_nothing_is_not_without_luck() -> None:
    few_found = Reported(metric="recall", value=0.01, label=5)
    found = compare(few_found, Ours((0.0, 0.0, 0.0), 100))
    assert found.verdict == REPRODUCED
    assert found.predicted.high > 0.01


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
        (accuracy(0.8), Ours((0.8,) * 3, 4), "a share of 4 galaxies"),
        (accuracy(0.8), Ours((0.0,) * 3, 1), "a share of 1 galaxy"),
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
