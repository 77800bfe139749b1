"""Ratios, tests and verdicts against naive references."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.stats.comparison import compare, log_ratios, paired_ratio, spread
from results.stats.noise import noise_floor
from results.stats.ranks import mann_whitney, smallest_p
from results.stats.vocabulary import FASTER, NOT_JUDGED, SLOWER, UNDECIDED

seconds = st.floats(0.01, 100)


def blocks(values) -> dict:
    return dict(enumerate(values))


def naive_p(values: list[float], others: list[float]) -> float:
    """Share of all assignments whose U is as far from its mean as the one seen."""

    def u(group: list[float], rest: list[float]) -> float:
        return sum((a > b) + (a == b) / 2 for a in group for b in rest)

    pooled = [*values, *others]
    middle = len(values) * len(others) / 2
    seen = abs(u(values, others) - middle)
    far = total = 0
    for chosen in combinations(range(len(pooled)), len(values)):
        group = [pooled[i] for i in chosen]
        rest = [pooled[i] for i in range(len(pooled)) if i not in chosen]
        far += abs(u(group, rest) - middle) >= seen - 1e-9
        total += 1
    return far / total


@given(
    st.lists(seconds, min_size=1, max_size=5, unique=True),
    st.lists(seconds, min_size=1, max_size=5, unique=True),
)
def test_the_test_counts_every_assignment(values: list[float], others: list[float]) -> None:
    others = [value for value in others if value not in values] or [200.0]
    assert mann_whitney(values, others) == pytest.approx(naive_p(values, others))


@pytest.mark.parametrize(
    ("values", "others"),
    [([1, 1, 2, 3], [1, 2, 2, 4, 5]), ([1, 1, 1], [1, 1, 1]), ([1, 2, 2, 2], [2, 3, 3, 3])],
)
def test_ties_are_tested_about_as_well(values: list[float], others: list[float]) -> None:
    assert mann_whitney(values, others) == pytest.approx(naive_p(values, others), abs=0.08)


def test_what_few_processes_cannot_show() -> None:
    """timing.md: with 5 against 5 the test cannot go below 0.0079, with 6 against 6 0.0022."""
    assert smallest_p(5, 5, paired=False) == pytest.approx(0.0079, abs=5e-5)
    assert smallest_p(6, 6, paired=False) == pytest.approx(0.0022, abs=5e-5)
    for n in (3, 4, 5, 6):
        apart = mann_whitney([1 + i / 100 for i in range(n)], [2 + i / 100 for i in range(n)])
        assert apart == pytest.approx(smallest_p(n, n, paired=False))
    assert math.isnan(mann_whitney([], [1.0]))


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=12))
def test_the_ratio_the_other_way_round_is_the_inverse(pairs: list[tuple[float, float]]) -> None:
    times, others = blocks(a for a, _ in pairs), blocks(b for _, b in pairs)
    there, back = paired_ratio(times, others), paired_ratio(others, times)
    assert there.value == pytest.approx(1 / back.value)
    assert there.is_range == (1 < len(pairs) < 6)
    if len(pairs) > 1:
        assert there.low <= there.value <= there.high
    if there.is_range:
        naive = [a / b for a, b in pairs]
        assert (there.low, there.high) == pytest.approx((min(naive), max(naive)))


def test_a_drift_of_the_machine_leaves_the_paired_ratio_alone() -> None:
    drift = np.linspace(1, 3, 8)
    ratio = paired_ratio(blocks(0.9 * drift), blocks(drift))
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.9, 0.9, 0.9))


def test_only_blocks_in_both_are_paired() -> None:
    ratio = paired_ratio({"a": 1.0, "b": 100.0}, {"a": 2.0, "c": 1.0})
    assert ratio.value == 0.5
    assert math.isnan(ratio.low)
    assert math.isnan(paired_ratio({"a": 1.0}, {"b": 1.0}).value)


def test_the_ratio_has_the_exact_interval_of_its_blocks() -> None:
    logs = np.random.default_rng(4).normal(0.1, 0.05, 15)
    found = paired_ratio(blocks(np.exp(logs)), blocks(np.ones(15)))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(np.sort(logs))[[3, 11]]))
    assert found.name == "95 %"


def floor(*pairs: tuple[dict, dict]) -> float:
    return noise_floor(np.concatenate([log_ratios(*pair) for pair in pairs]), equal=True)


def test_the_noise_floor_is_the_far_end_over_all_pairs() -> None:
    quiet = (blocks([1.0] * 6), blocks([1.0] * 6))
    few = (blocks([1.0, 1.05]), blocks([1.0, 1.0]))
    assert floor(quiet) == 0
    assert floor(few) == pytest.approx(0.05)
    assert floor((few[1], few[0])) == pytest.approx(0.05), "the same both ways"
    assert math.isinf(noise_floor([], equal=True))
    assert math.isinf(floor((blocks([1.0]), blocks([2.0]))))
    # six cells with a block each are six blocks
    factors = [1.01, 0.98, 1.03, 1.0, 0.97, 1.02]
    turns = [({n: n + 1.0}, {n: (n + 1.0) * factor}) for n, factor in enumerate(factors)]
    together = paired_ratio(blocks([1.0] * 6), blocks(factors))
    assert floor(*turns) == pytest.approx(max(together.high, 1 / together.low) - 1)


STEADY = blocks([1.0, 1.001, 1.002, 0.999, 0.998, 1.0005])


def scaled(factor: float) -> dict:
    return {block: factor * value for block, value in STEADY.items()}


@pytest.mark.parametrize(
    ("factor", "floor", "verdict"),
    [
        (0.9, 0.0, FASTER),
        (1.1, 0.0, SLOWER),
        (0.98, 0.0, UNDECIDED),  # sure, but below 3 %
        (1.02, 0.0, UNDECIDED),
        (0.9, 0.2, UNDECIDED),  # below the noise floor
        (1.0, 0.0, UNDECIDED),
    ],
)
def test_the_words_need_both_a_sure_test_and_a_large_ratio(factor, floor, verdict) -> None:
    assert compare(scaled(factor), STEADY, floor=floor).verdict == verdict


def test_a_large_ratio_that_is_not_sure_is_no_verdict() -> None:
    wild = blocks([0.5, 0.6, 1.5, 0.7, 1.6, 0.8])
    found = compare(wild, STEADY, floor=0.0)
    assert found.ratio.value < 0.9
    assert found.verdict == UNDECIDED
    assert found.reason.startswith("p = ")


@pytest.mark.parametrize(
    ("times", "others", "options", "reason"),
    [
        (scaled(0.5), STEADY, {"floor": math.inf}, "no A/A pair"),
        (scaled(0.5), STEADY, {"floor": 0.0, "barred": "parity failed"}, "parity failed"),
        (blocks([1.0] * 4), blocks([2.0] * 4), {"floor": 0.0}, "4 against 4 processes"),
        ({"a": 1.0}, {"b": 1.0}, {"floor": 0.0}, "no block holds both"),
    ],
)
def test_where_nothing_may_be_said_the_reason_is_given(times, others, options, reason) -> None:
    found = compare(times, others, **options)
    assert found.verdict == NOT_JUDGED
    assert reason in found.reason


def test_only_blocks_in_both_are_tested() -> None:
    faster = scaled(0.9)
    alone = {("alone", number): 2.0 for number in range(6)}  # seconds that would hide it
    with_more = compare(faster | alone, STEADY, floor=0.0)
    assert with_more == compare(faster, STEADY, floor=0.0)
    assert with_more.verdict == FASTER
    few = {block: STEADY[block] for block in (0, 1, 2, 3)}
    assert "4 against 4 processes" in compare(faster, few | alone, floor=0.0).reason


@given(st.lists(seconds, min_size=1, max_size=9))
def test_spread_is_numpys(values: list[float]) -> None:
    found = spread(values)
    ordered = sorted(values)
    middle = float(np.median(values))
    assert found.lowest == ordered[0]
    assert found.quartiles == pytest.approx(np.subtract(*np.percentile(values, [75, 25])))
    deviations = sorted(abs(value - middle) for value in values)
    lower, upper = deviations[(len(values) - 1) // 2], deviations[len(values) // 2]
    assert found.deviation == pytest.approx((lower + upper) / 2)


def test_equal_cells_are_seldom_called_different() -> None:
    generator = np.random.default_rng(11)
    wrong = 0
    for _ in range(300):
        first, second, a, b = (blocks(generator.lognormal(0, 0.05, 6)) for _ in range(4))
        verdict = compare(a, b, floor=floor((first, second))).verdict
        wrong += verdict in (FASTER, SLOWER)
    assert wrong <= 3
