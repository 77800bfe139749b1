"""The looks of a group-sequential gate: their errors by construction, and what they save."""

from itertools import product

import numpy as np
import pytest

from benchmarks.tracking.selftest.simulated import DEFAULT_NOISE, cases, cases_whole, simulated
from results.stats.intervals import LEVEL
from results.stats.looks import looks
from results.stats.verdict import Rule, judge
from results.stats.vocabulary import NO_DATA, REGRESSED, SURE, UNCHANGED


@pytest.mark.parametrize("planned", [1, 6, 7, 9, 12, 15])
def test_all_looks_together_err_no_more_often_than_one(planned) -> None:
    taken = looks(planned)
    assert sum(look.alpha for look in taken) == pytest.approx(SURE)
    assert [look.last for look in taken] == [False] * (len(taken) - 1) + [True]
    if planned < 6:
        return  # the range of so few is no 95 % interval, sequential or not
    passed = 0
    for signs in product((0, 1), repeat=planned):  # 1: beyond the median
        passed += any(sum(signs[: look.pairs]) < look.place for look in taken)
    assert passed / 2**planned <= (1 - LEVEL) / 2 + 1e-12


@pytest.mark.parametrize("planned", [3, 6])
def test_a_few_pairs_are_judged_once_as_ever(planned) -> None:
    (look,) = looks(planned)
    draw = np.random.default_rng(planned)
    one, other = np.exp(draw.normal(0, 0.02, (2, planned)))
    assert judge(one, other, paired=True, look=look) == judge(one, other, paired=True)


def test_an_early_look_settles_what_is_plain_and_leaves_the_rest() -> None:
    first, second, *_ = looks(12)
    before = 10 * np.exp(np.random.default_rng(1).normal(0, 0.003, 12))

    def at(look, factor: float) -> str:
        after = factor * before * np.exp(np.random.default_rng(2).normal(0, 0.003, 12))
        sides = before[: look.pairs], after[: look.pairs]
        return judge(*sides, Rule(), paired=True, look=look).verdict

    assert [at(first, factor) for factor in (1.0, 1.02, 1.05, 1.1)] == [
        *(UNCHANGED, UNCHANGED),
        *(NO_DATA, NO_DATA),  # seven pairs are never sure of a change; 5 % leans to one
    ]
    assert [at(second, factor) for factor in (1.0, 1.05, 1.1)] == [UNCHANGED, *[REGRESSED] * 2]
    short = before[: first.pairs - 1]
    assert judge(short, short * 1.001, paired=True, look=first).verdict == NO_DATA


def test_the_looks_save_runs_at_the_same_errors() -> None:
    for case, whole in zip(cases(12)[:2], cases_whole(12)[:2], strict=True):
        found = [simulated(case, DEFAULT_NOISE, Rule(), number) for number in range(150)]
        once = [simulated(whole, DEFAULT_NOISE, Rule(), number) for number in range(150)]
        words, counts = zip(*found, strict=True)
        regressed, at_once = (
            sum(word == REGRESSED for word, _ in one) / len(one) for one in (found, once)
        )
        assert case.least <= regressed <= case.most
        assert regressed >= at_once - 0.03
        assert np.mean(counts) < 10.5
        assert {count for _, count in once} == {12}
        if case.slowdown:
            assert UNCHANGED not in words
