"""Steps: against exhaustive search, and against ruptures where it is installed."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.stats.changepoints import partition, steps


def level(*stretches: tuple[int, float], spread: float = 0.004, seed: int = 0) -> np.ndarray:
    values = np.concatenate([np.full(count, value) for count, value in stretches])
    return values * np.exp(np.random.default_rng(seed).normal(0, spread, values.size))


def cost(values: np.ndarray, bounds: list[int], penalty: float) -> float:
    parts = np.split(values, bounds)
    return sum(float(((part - part.mean()) ** 2).sum()) for part in parts) + penalty * len(bounds)


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=10), st.floats(0.01, 5.0), st.integers(1, 3))
def test_no_other_partition_costs_less(values, penalty, least) -> None:
    series = np.array(values)
    found = partition(series, penalty, least)
    n = series.size
    others = [
        list(bounds)
        for count in range(n // least)
        for bounds in combinations(range(least, n - least + 1), count)
        if all(np.diff([0, *bounds, n]) >= least)
    ]
    best = min(cost(series, bounds, penalty) for bounds in others)
    assert cost(series, found, penalty) == pytest.approx(best, abs=1e-9)


def test_the_partition_is_that_of_ruptures() -> None:
    ruptures = pytest.importorskip("ruptures")
    for seed in range(20):
        random = np.random.default_rng(seed)
        series = np.repeat(random.normal(0, 2, 6), 15) + random.normal(0, 1, 90)
        algorithm = ruptures.KernelCPD(kernel="linear", min_size=4).fit(series[:, None])
        assert partition(series, 9.0, 4) == algorithm.predict(pen=9.0)[:-1]


def test_steps_are_found_where_they_are() -> None:
    found = steps(level((20, 10.0), (15, 11.0), (25, 10.4)))
    assert [step.index for step in found] == [20, 35]
    assert [step.ratio for step in found] == pytest.approx([1.1, 10.4 / 11], rel=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_single_outliers_are_no_steps(seed) -> None:
    series = level((200, 10.0), spread=0.02, seed=seed)
    series[::23] *= 1.6
    assert steps(series) == []


def test_a_step_has_to_last_and_to_be_large() -> None:
    short = level((20, 10.0), (3, 12.0), (20, 10.0))
    assert steps(short) == []
    assert len(steps(short, minimum_segment=3)) == 2
    small = level((30, 10.0), (30, 10.2), spread=0.001)
    assert steps(small) == []
    assert len(steps(small, minimum_size=0.01)) == 1


def test_a_step_is_found_without_any_noise() -> None:
    assert [step.index for step in steps([1.0] * 8 + [2.0] * 8)] == [8]
    assert steps([1.0] * 30) == []
    assert steps([1.0, 2.0]) == []
    assert steps([]) == []


@given(st.floats(0.01, 100))
def test_the_unit_does_not_matter(unit) -> None:
    series = level((12, 10.0), (12, 12.0))
    assert [one.index for one in steps(unit * series)] == [one.index for one in steps(series)]


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="not above 0"):
        steps([1.0, 0.0, 2.0])
    with pytest.raises(ValueError, match="minimum segment of 1"):
        steps([1.0] * 10, minimum_segment=1)
