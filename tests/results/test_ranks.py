"""Exact rank tests: against SciPy where it is exact, against all permutations where it is not."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from results.stats.ranks import mann_whitney, signed_rank, smallest_p

tied = st.lists(st.integers(0, 4), min_size=1, max_size=5)


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=16, unique=True), st.integers(1, 15), st.data()
)
def test_mann_whitney_is_scipys_exact_form_without_ties(values, cut, data) -> None:
    cut = min(cut, len(values) - 1)
    expected = stats.mannwhitneyu(values[:cut], values[cut:], method="exact").pvalue
    assert mann_whitney(values[:cut], values[cut:]) == pytest.approx(expected, rel=1e-9)


@given(tied, tied)
def test_mann_whitney_with_ties_counts_every_choice(first, second) -> None:
    ranks = stats.rankdata([*first, *second])
    centre = len(first) * (len(ranks) + 1) / 2
    sums = [sum(ranks[list(chosen)]) for chosen in combinations(range(len(ranks)), len(first))]
    observed = abs(sum(ranks[: len(first)]) - centre)
    expected = np.mean([abs(one - centre) >= observed - 1e-9 for one in sums])
    assert mann_whitney(first, second) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
def test_signed_rank_with_ties_counts_every_sign(differences) -> None:
    kept = [one for one in differences if one]
    if not kept:
        assert signed_rank(differences) == 1
        return
    ranks = stats.rankdata(np.abs(kept))
    centre = ranks.sum() / 2
    sums = [sum(ranks[np.array(signs)]) for signs in product([False, True], repeat=len(kept))]
    observed = abs(ranks[np.array(kept) > 0].sum() - centre)
    expected = np.mean([abs(one - centre) >= observed - 1e-9 for one in sums])
    assert signed_rank(differences) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [60, 120])
def test_large_samples_take_the_normal_approximation(size) -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0, 1, size), random.normal(0.3, 1, size)
    expected = stats.mannwhitneyu(first, second, method="asymptotic", use_continuity=False).pvalue
    assert mann_whitney(first, second) == pytest.approx(expected, rel=1e-6)
    expected = stats.wilcoxon(first - second, method="approx").pvalue
    assert signed_rank(first - second) == pytest.approx(expected, rel=0.02)


def test_the_smallest_p_is_that_of_the_most_extreme_samples() -> None:
    assert smallest_p(5, 5, paired=False) == pytest.approx(0.0079, abs=1e-4)  # timing.md, point 8
    assert smallest_p(6, 6, paired=False) == pytest.approx(0.0022, abs=1e-4)
    for n, m in ((3, 4), (5, 5), (1, 6)):
        apart = mann_whitney(np.arange(n), 100 + np.arange(m))
        assert smallest_p(n, m, paired=False) == pytest.approx(apart)
    assert smallest_p(7, 7, paired=True) == pytest.approx(signed_rank(1.0 + np.arange(7)))
