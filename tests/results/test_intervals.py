"""Intervals against independent references."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from results.stats.intervals import Interval, median_of_medians, wilson


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(counts: tuple[int, int]) -> None:
    successes, trials = counts
    reference = binomtest(successes, trials).proportion_ci(method="wilson")
    found = wilson(successes, trials)
    assert found.value == successes / trials
    assert found.low == pytest.approx(reference.low, abs=1e-12)
    assert found.high == pytest.approx(reference.high, abs=1e-12)


def test_wilson_of_nothing_and_of_nonsense() -> None:
    assert math.isnan(wilson(0, 0).value)
    with pytest.raises(ValueError, match="3 successes of 2 trials"):
        wilson(3, 2)


def test_the_median_is_over_processes_not_over_epochs() -> None:
    """One process with many epochs must not outvote two with few."""
    found = median_of_medians([[1.0] * 100, [2.0, 2.0], [3.0]])
    assert found.value == 2.0
    assert (found.low, found.high) == (1.0, 3.0)


@pytest.mark.parametrize("processes", [2, 3, 4, 5, 6, 9])
def test_few_processes_have_a_range_and_no_interval(processes: int) -> None:
    values = np.random.default_rng(processes).gamma(3, 1, processes)
    found = median_of_medians([[value] for value in values])
    assert found.is_range == (processes < 6)
    if found.is_range:
        assert (found.low, found.high) == (values.min(), values.max())


def test_one_process_has_the_range_of_its_samples() -> None:
    found = median_of_medians([[3.0, 1.0, 2.0, 5.0, 4.0, 6.0, 9.0]])
    assert (found.value, found.low, found.high, found.is_range) == (4.0, 1.0, 9.0, True)


def test_interval_is_the_bootstraps() -> None:
    values = np.random.default_rng(3).gamma(3, 1, 25)
    found = median_of_medians([[value] for value in values])
    generator = np.random.default_rng(99)
    naive = [np.median(generator.choice(values, values.size)) for _ in range(4000)]
    low, high = np.quantile(naive, [0.025, 0.975])
    spread = values.std()
    assert found.value == np.median(values)
    assert abs(found.low - low) < 0.1 * spread
    assert abs(found.high - high) < 0.1 * spread
    assert found == median_of_medians([[value] for value in values]), "not repeatable"


@pytest.mark.parametrize("processes", [6, 8, 12])
def test_interval_covers_the_true_median_a_little_less_often_than_it_says(processes) -> None:
    """92 to 94 % of 95: the standard error of 400 trials is 1.3 points."""
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        interval = median_of_medians(list(generator.normal(10, 1, (processes, 1))))
        covered += interval.low <= 10 <= interval.high
    assert 0.89 <= covered / 400 <= 0.97


def test_what_is_missing_is_left_out() -> None:
    assert math.isnan(median_of_medians([]).value)
    assert math.isnan(median_of_medians([[math.nan], []]).value)
    one = median_of_medians([[2.0]])
    assert one.value == 2.0
    assert math.isnan(one.low)
    assert isinstance(one, Interval)
    assert median_of_medians([[1.0, math.nan, 3.0], []]).value == 2.0
