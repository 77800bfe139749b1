"""Steps: the statistic against its definition, its limits against draws, and what is no step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.stats import changepoints
from results.stats.changepoints import steps


def level(*stretches: tuple[int, float], spread: float = 0.004, seed: int = 0) -> np.ndarray:
    values = np.concatenate([np.full(count, value) for count, value in stretches])
    return values * np.exp(np.random.default_rng(seed).normal(0, spread, values.size))


def naive(series: np.ndarray, least: int) -> float:
    """The largest statistic of a series over its windows, from the definition."""
    found = 0.0
    for k, before, after in zip(*changepoints._windows(series.size, least), strict=True):
        sides = series[k - before : k], series[k : k + after]
        own = 0.0
        for side in sides:
            line = np.arange(1, side.size + 1) / side.size * side.sum()
            own += float(((np.cumsum(side) - line) ** 2).sum())
        between = before * after / (before + after) * (sides[1].mean() - sides[0].mean())
        found = max(found, between**2 * (before + after) / own)
    return found


@pytest.mark.parametrize("points", [12, 13, 20, 31])
def test_the_statistic_is_its_definition(points) -> None:
    series = np.random.default_rng(points).normal(0, 1, points)
    found = changepoints.largest_statistics(series[None], 6)[0]
    assert found == pytest.approx(naive(series, 6), 1e-6)


@pytest.mark.parametrize("points", [20, 60])
def test_the_limit_is_that_of_random_walks(points) -> None:
    walks = np.cumsum(np.random.default_rng(1).normal(0, 0.01, (400, points)), axis=1)
    found = changepoints.largest_statistics(walks, 6) > changepoints.limit_of(points, 6)
    assert 0.02 < found.mean() < 0.085  # 0.05 with the error of 400 draws


def test_limits_rise_with_the_points_and_fall_with_the_stretch() -> None:
    for least in (4, 6, 9):
        limits = [changepoints.limit_of(points, least) for points in (20, 35, 60, 200, 700, 5000)]
        assert limits == sorted(limits)
    assert changepoints.limit_of(40, 5) > changepoints.limit_of(40, 6)


def test_a_machine_that_goes_there_and_back_makes_no_steps() -> None:
    there_and_back = level(*[(6, 10.0), (6, 11.5)] * 5)
    assert steps(there_and_back) == []
    once = level((30, 10.0), (30, 11.5))
    assert [step.index for step in steps(once)] == [30]


def test_a_step_says_how_far_it_is_beyond_the_floor() -> None:
    (step,) = steps(level((15, 10.0), (15, 11.5), spread=0.01))
    assert 0 < step.floor < step.ratio - 1


def test_a_long_series_is_quick() -> None:
    series = level((350, 10.0), (350, 11.0), spread=0.02)
    assert [step.index for step in steps(series)] == pytest.approx([350], abs=2)


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
    short = level((20, 10.0), (5, 12.0))
    assert steps(short) == []
    assert len(steps(short, minimum_segment=5)) == 1
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
    with pytest.raises(ValueError, match="minimum segment of 3 points; it must be at least 4"):
        steps([1.0] * 10, minimum_segment=3)
