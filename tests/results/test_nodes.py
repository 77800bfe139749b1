"""Variance between nodes and within them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.stats.nodes import components, of_times

# Yields of dyestuff, five samples of each of six batches (Davies 1949, Statistical Methods in
# Research and Production, table 6.1); balanced, so that REML finds the same (lme4: 1764.0, 2451.2).
DYESTUFF = [
    [1545, 1440, 1440, 1520, 1580],
    [1540, 1555, 1490, 1560, 1495],
    [1595, 1550, 1605, 1510, 1560],
    [1445, 1440, 1595, 1465, 1545],
    [1595, 1630, 1515, 1635, 1625],
    [1520, 1455, 1450, 1480, 1445],
]


def test_a_published_example() -> None:
    found = components(DYESTUFF)
    assert (found.nodes, found.values) == (6, 30)
    assert found.between**2 == pytest.approx(1764.05, abs=0.01)
    assert found.within**2 == pytest.approx(2451.25, abs=0.01)


def test_unequal_groups_are_estimated_without_bias() -> None:
    random = np.random.default_rng(0)
    sizes, trials = (2, 3, 7, 4, 9, 2), 4000
    between, within = [], []
    for _ in range(trials):
        groups = [5 + 0.3 * random.normal() + 0.2 * random.normal(size=n) for n in sizes]
        found = components(groups)
        between.append(found.between**2)
        within.append(found.within**2)
    assert np.mean(within) == pytest.approx(0.04, rel=0.02)
    assert np.mean(between) == pytest.approx(0.09, rel=0.04)  # few are cut at 0


_TIMES = st.lists(
    st.lists(st.floats(0.5, 2.0), min_size=1, max_size=5), min_size=2, max_size=5
).filter(lambda groups: any(len(one) > 1 for one in groups))


@given(_TIMES, st.floats(0.1, 10.0))
def test_shares_do_not_depend_on_the_unit_or_on_the_order(groups, unit: float) -> None:
    by_node = {f"n{number}": one for number, one in enumerate(groups)}
    found = of_times(by_node)
    scaled = of_times({name: [unit * s for s in one] for name, one in by_node.items()})
    turned = of_times(dict(reversed(by_node.items())))
    for other in (scaled, turned):
        assert other.within == pytest.approx(found.within, abs=1e-9)
        assert other.between**2 == pytest.approx(found.between**2, abs=1e-9)


@pytest.mark.parametrize(
    ("groups", "between", "within"),
    [([], False, False), ([[1.0], [2.0]], False, False), ([[1.0, 2.0]], False, True)],
)
def test_what_cannot_be_told_is_not_a_number(groups, between: bool, within: bool) -> None:
    found = components(groups)
    assert [not math.isnan(one) for one in (found.between, found.within)] == [between, within]


def test_equal_nodes_differ_by_nothing() -> None:
    assert components([[1.0, 2.0], [2.0, 1.0]]).between == 0.0
