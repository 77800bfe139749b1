"""Exchanging the two sides of a comparison mirrors what is found: no side is looked at alone."""

from dataclasses import replace

import numpy as np
import pytest

from results.stats.equivalence import across_and_within, churn_test, disagreement, equivalence
from results.stats.intervals import difference_of_medians, wilson
from results.stats.ranks import mann_whitney, signed_rank
from results.stats.verdict import Rule, judge
from results.stats.vocabulary import EQUAL, IMPROVED, REGRESSED


@pytest.mark.parametrize("mean", [0.0, 0.3, 0.9, 1.5])
def test_a_difference_one_way_is_judged_as_the_other_way(mean: float) -> None:
    """Skewed differences too, which one tail of a test alone would see."""
    skewed = np.random.default_rng(5).exponential(1, 12) - 1 + mean
    one, other = equivalence(skewed, 1.0), equivalence(-skewed, 1.0)
    assert one.verdict == other.verdict
    assert (one.p_equal, one.p_skewed) == (other.p_equal, other.p_skewed)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert mean < 1 or EQUAL not in (one.verdict, other.verdict)


def test_the_interval_of_a_difference_turns_with_its_sign() -> None:
    draw = np.random.default_rng(6)
    first, second = draw.exponential(1, 9), draw.exponential(3, 12)
    one, other = difference_of_medians(first, second), difference_of_medians(second, first)
    assert (one.low, one.value, one.high) == pytest.approx((-other.high, -other.value, -other.low))
    assert mann_whitney(first, second) == mann_whitney(second, first)
    assert signed_rank(first - 1) == signed_rank(1 - first)


def test_shares_of_successes_and_of_failures_add_up() -> None:
    one, other = wilson(3, 40), wilson(37, 40)
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low))


def test_faster_is_slower_seen_from_the_other_side() -> None:
    fast = 1 + 0.01 * np.arange(8)
    for rule in (Rule(), Rule(larger_is_better=True)):
        there, back = judge(fast, 2 * fast, rule), judge(2 * fast, fast, rule)
        assert {there.verdict, back.verdict} == {REGRESSED, IMPROVED}
        turned = replace(rule, larger_is_better=not rule.larger_is_better)
        assert judge(1 / fast, 0.5 / fast, turned).verdict == there.verdict
        assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))


def test_churn_is_of_both_frameworks_runs() -> None:
    """B's runs differ from each other where A's do not."""
    predicted = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    churn = disagreement(predicted)
    assert across_and_within(churn, [0, 1]) == across_and_within(churn, [2, 3]) == (0.25, 0.25)


def test_no_p_value_of_permutations_is_0() -> None:
    """The way that was seen is one of them."""
    apart = np.array([[0.0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]])
    assert churn_test([(apart, [0, 1])] * 12) == pytest.approx(1e-4)
