"""Intervals against independent references."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from results.stats.intervals import (
    Interval,
    difference_of_medians,
    median,
    median_of_medians,
    order_statistics,
    wilson,
)


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


@pytest.mark.parametrize(
    ("count", "low", "high", "coverage"),
    [(2, 1, 2, 0.5), (3, 1, 3, 0.75), (5, 1, 5, 0.9375), (6, 1, 6, 0.96875), (9, 2, 8, 0.9609375)],
)
def test_the_interval_is_between_order_statistics_with_its_exact_coverage(
    count, low, high, coverage
) -> None:
    found = median([float(value) for value in range(count, 0, -1)])
    assert (found.low, found.high) == (low, high)
    assert found.coverage == coverage
    assert found.is_range == (coverage < 0.95)
    assert found.value == (count + 1) / 2
    assert found.name == (f"range of {count}" if found.is_range else "95 %")
    assert found.words(".0f") == f"{found.name}: {low} to {high}"


@given(st.integers(2, 300))
def test_the_place_is_scipys(count: int) -> None:
    place, coverage = order_statistics(count)
    held = [1 - 2 * binom.cdf(k - 1, count, 0.5) for k in (place, place + 1)]
    assert coverage == pytest.approx(held[0])
    assert held[1] < 0.95
    assert coverage >= 0.95 or place == 1


def test_the_stated_coverage_is_what_simulation_finds() -> None:
    generator = np.random.default_rng(3)
    for count in (5, 6, 12):
        found = [median(row) for row in generator.standard_normal((4000, count))]
        held = np.mean([one.low <= 0 <= one.high for one in found])
        assert held == pytest.approx(found[0].coverage, abs=0.015)


@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential", "standard_cauchy"])
@pytest.mark.parametrize("counts", [(6, 6), (12, 12), (8, 24)])
def test_a_difference_of_medians_holds_95_percent(draw: str, counts: tuple[int, int]) -> None:
    """Also where the two are of unlike spread; the standard error of 2000 trials is 0.5 points."""
    generator = np.random.default_rng(7)
    shift = 2 * math.log(2) if draw == "standard_exponential" else 0.0
    held = 0
    for _ in range(2000):
        first, second = (getattr(generator, draw)(count) for count in counts)
        found = difference_of_medians(first, 3 * second)
        held += found.low <= shift <= found.high
    assert held / 2000 >= 0.945


def test_few_values_on_either_side_have_no_interval_of_their_difference() -> None:
    found = difference_of_medians([1.0] * 5, [2.0] * 9)
    assert (found.value, found.name) == (1.0, "")
    assert difference_of_medians([1.0] * 6, [2.0] * 9).high == 1.0


def test_blocks_of_one_process_are_never_an_interval() -> None:
    found = median([1.0] * 9 + [2.0], independent=False)
    assert (found.low, found.high, found.name) == (1.0, 2.0, "range of 10")
    assert math.isnan(found.coverage)


@given(st.lists(st.floats(0.1, 9), min_size=2, max_size=9))
def test_a_function_of_an_interval_keeps_its_ends_in_order(values: list[float]) -> None:
    found, inverse = median(values), median(values).through(lambda value: 1 / value)
    assert (inverse.low, inverse.high) == (1 / found.high, 1 / found.low)
    assert inverse.name == found.name


def test_what_is_missing_is_left_out() -> None:
    assert math.isnan(median_of_medians([]).value)
    assert math.isnan(median_of_medians([[math.nan], []]).value)
    one = median_of_medians([[2.0]])
    assert one.value == 2.0
    assert math.isnan(one.low)
    assert isinstance(one, Interval)
    assert median_of_medians([[1.0, math.nan, 3.0], []]).value == 2.0
