"""The verdict on two samples: its algebra, its words, and how often it errs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tracking.options import PROCESSES
from benchmarks.tracking.selftest.noise import Noise, fit
from benchmarks.tracking.selftest.simulated import (
    DEFAULT_NOISE,
    Case,
    cases,
    cases_apart,
    simulated,
)
from results.stats.drift import Drift, judge_apart
from results.stats.noise import NEEDED, drift_floor, noise_floor
from results.stats.ranks import mann_whitney, signed_rank
from results.stats.verdict import (
    Rule,
    judge,
    processes_needed,
)
from results.stats.vocabulary import (
    CHANGES,
    ERROR,
    IMPROVED,
    NO_DATA,
    REGRESSED,
    UNCHANGED,
)

times = st.lists(st.floats(0.5, 2.0), min_size=8, max_size=12)
OPPOSITE = {REGRESSED: IMPROVED, IMPROVED: REGRESSED}


def quiet(count: int, level: float = 10.0, seed: int = 0, spread: float = 0.005) -> np.ndarray:
    return level * np.exp(np.random.default_rng(seed).normal(0, spread, count))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(
    ("factor", "expected"), [(1.1, REGRESSED), (0.9, IMPROVED), (1.0, UNCHANGED), (1.02, UNCHANGED)]
)
def test_a_change_beyond_the_threshold_is_seen_either_way(factor, expected, paired) -> None:
    found = judge(quiet(10), factor * quiet(10, seed=1), paired=paired)
    assert found.verdict == expected
    assert found.ratio == pytest.approx(factor, rel=0.01)
    assert found.low <= found.ratio <= found.high
    assert not found.is_range


@given(times, st.floats(0.01, 100.0), st.booleans(), st.floats(0.8, 1.25))
def test_the_unit_does_not_matter(values, unit, paired, factor) -> None:
    after = [factor * value for value in reversed(values)]
    one = judge(values, after, paired=paired)
    other = judge(np.multiply(values, unit), np.multiply(after, unit), paired=paired)
    assert one.ratio == pytest.approx(other.ratio)
    assert one.floor == pytest.approx(other.floor)


@given(times, st.booleans(), st.floats(0.5, 2.0))
def test_a_metric_of_which_more_is_better_turns_the_verdict_round(values, paired, factor) -> None:
    after = [factor * value for value in values]
    smaller = judge(values, after, Rule(), paired=paired)
    larger = judge(values, after, Rule(larger_is_better=True), paired=paired)
    # no change: which end of the interval has to be near is another
    assert larger.verdict in (OPPOSITE.get(smaller.verdict, larger.verdict), UNCHANGED, NO_DATA)
    rates = judge(1 / np.array(values), 1 / np.array(after), Rule(larger_is_better=True))
    assert rates.verdict == judge(values, after).verdict


@given(times)
def test_a_sample_is_unchanged_against_itself_or_too_noisy(values) -> None:
    assert judge(values, values).verdict in (UNCHANGED, NO_DATA)
    assert judge(values, values, paired=True).verdict in (UNCHANGED, NO_DATA)


def test_both_thresholds_have_to_be_passed() -> None:
    before, after = quiet(10), 1.05 * quiet(10, seed=1)
    assert judge(before, after).verdict == REGRESSED
    assert judge(before, after, Rule(relative=0.08)).verdict == UNCHANGED
    found = judge(before, after, Rule(absolute=1.0))
    assert found.verdict == UNCHANGED
    assert found.reason.startswith("within the absolute threshold of 1; ")
    assert judge(before, 1.1 * before, Rule(absolute=0.9)).verdict == REGRESSED


def test_what_was_not_measured_is_no_data() -> None:
    assert judge([], quiet(8)).reason == "the baseline has no finished run"
    assert judge(quiet(8), []).reason == "the candidate has no finished run"
    assert judge([0.0, 1.0], [1.0, 1.0]).verdict == NO_DATA
    few = judge(quiet(3), 2 * quiet(3))
    assert few.verdict == NO_DATA
    assert few.reason == "3 and 3 processes cannot show a change at p < 0.01; take 5 each"
    one = judge([10.0], [20.0])
    assert one.verdict == NO_DATA


def test_processes_needed_can_show_a_change_and_one_fewer_cannot() -> None:
    for paired in (False, True):
        count = processes_needed(0.01, paired=paired)
        assert judge(quiet(count), 2 * quiet(count), paired=paired).verdict == REGRESSED
        fewer = judge(quiet(count - 1), 2 * quiet(count - 1), paired=paired)
        assert fewer.verdict == NO_DATA


def test_a_baseline_that_differs_from_itself_is_not_called_unchanged() -> None:
    wild = quiet(10, spread=0.3)
    found = judge(wild, quiet(10, seed=1, spread=0.3))
    assert found.verdict == NO_DATA
    assert found.reason.startswith("these processes cannot exclude a change for the worse of")
    assert judge(wild, quiet(10, seed=1, spread=0.3), Rule(excluded=9.0)).verdict == UNCHANGED


def test_unchanged_says_what_is_excluded_and_no_data_how_many_would_do() -> None:
    before = quiet(12, spread=0.002)
    found = judge(before, 1.01 * before[::-1])
    assert found.verdict == UNCHANGED
    excluded = max(found.high, found.ratio * (1 + found.floor)) - 1
    assert f"one beyond {excluded:.1%} is excluded" in found.reason
    noisy = Noise(0.08, 0.0, 0.0, 0.0).draw(24, np.random.default_rng(1)).reshape(2, 12)
    few = judge(noisy[0], 1.04 * noisy[1], paired=True)
    assert few.verdict == NO_DATA
    needed = int(few.reason.split("run ")[1].split()[0])
    assert 12 < needed < 100
    better = judge(before, 0.98 * before[::-1])
    assert (better.verdict, better.low < 0.98) == (UNCHANGED, True)
    assert "any is excluded" in better.reason
    rule = Rule(larger_is_better=True, excluded=0.021)
    assert judge(before, 0.98 * before[::-1], rule).verdict == NO_DATA, "the bad end is the low one"
    assert judge(before, 1.02 * before[::-1], rule).verdict == UNCHANGED


def test_a_slowdown_of_8_percent_in_6_percent_noise_is_seldom_called_unchanged() -> None:
    found = []
    for number in range(60):
        times = Noise(0.06, 0.0, 0.0, 0.0).draw(24, np.random.default_rng([8, number]))
        found.append(judge(times[:12], 1.08 * times[12:], paired=True).verdict)
    assert found.count(UNCHANGED) <= 3
    assert found.count(REGRESSED) >= 15


def test_pairs_are_blind_to_a_drift_that_hides_a_slowdown() -> None:
    drift = np.linspace(1, 1.5, 12)
    before, after = drift * quiet(12), 1.06 * drift * quiet(12, seed=1)
    assert judge(before, after, Rule(excluded=1.0)).verdict == UNCHANGED
    found = judge(before, after, paired=True)
    assert (found.verdict, found.test) == (REGRESSED, "signed rank")


def test_one_delayed_process_does_not_hide_a_slowdown() -> None:
    before, after = quiet(10), 1.1 * quiet(10, seed=1)
    before[3] *= 1.5
    found = judge(before, after, paired=True)
    assert (found.verdict, found.test) == (REGRESSED, "Mann-Whitney")


def test_sessions_that_differ_belong_to_the_noise() -> None:
    before = np.concatenate([quiet(5), 1.06 * quiet(5, seed=2)])
    after = 1.06 * quiet(10, seed=1)
    sessions = ["monday"] * 5 + ["tuesday"] * 5
    found = judge(before, after, Rule(excluded=1.0), sessions=sessions)
    assert found.floor > 0.05
    assert found.verdict == UNCHANGED


def test_the_noise_floor_grows_with_the_noise_and_needs_two_processes() -> None:
    before = [quiet(12, spread=spread) for spread in (0.002, 0.02, 0.1)]
    floors = [judge(one, quiet(12)).floor for one in before]
    assert floors == sorted(floors)
    assert judge([1.0], quiet(12)).floor == float("inf")


def test_the_noise_of_pairs_knows_neither_what_is_between_pairs_nor_what_all_share() -> None:
    noise = np.random.default_rng(3).normal(scale=0.01, size=12)
    floor = noise_floor(noise, equal=False)
    assert 0.002 < floor < 0.02
    assert noise_floor(noise + np.log(1.3), equal=False) == pytest.approx(floor)
    assert noise_floor(3 * noise, equal=False) > floor
    assert noise_floor([0.1], equal=False) == float("inf")
    machine = np.array([1.0, 1.35] * 6)  # a neighbour on the core, in every other block
    found = judge(machine * np.exp(noise), machine * 1.1, paired=True)
    assert found.floor < 0.02
    assert found.verdict == REGRESSED
    assert judge(machine, machine).floor > 0.2


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs of 2 and 3"):
        judge([1, 2], [1, 2, 3], paired=True)
    with pytest.raises(ValueError, match="not a finite number"):
        judge([1, float("nan")], [1, 2])


def test_verdicts_are_the_five() -> None:
    assert set(CHANGES) == {REGRESSED, IMPROVED, UNCHANGED, NO_DATA, ERROR}


def test_the_default_number_decides_most_comparisons_of_equals() -> None:
    (case,) = [case for case in cases(PROCESSES) if case.title == "A/A"]
    found = [simulated(case, DEFAULT_NOISE, Rule(), number)[0] for number in range(60)]
    assert found.count(UNCHANGED) >= 54


def test_a_large_change_that_is_not_shown_on_the_spot_asks_for_more_processes() -> None:
    before = quiet(12, spread=0.01)
    after = before * np.where(np.arange(12) < 7, 1.2, 0.95)  # no p below 0.01 of five against seven
    found = judge(before, after, Rule(), paired=True)
    assert found.ratio > 1 + Rule().excluded
    assert found.verdict == NO_DATA
    assert found.reason.startswith("these processes cannot exclude a change for the worse of")


def test_sessions_apart_are_no_data_before_their_drift_is_known() -> None:
    medians = quiet(NEEDED, spread=0.01)
    assert np.isnan(drift_floor(medians[1:]))
    floor = drift_floor(medians)
    assert 0.02 < floor < 0.15
    assert drift_floor(medians, 4) == pytest.approx((1 + floor) ** 2 - 1)
    before, after = quiet(12), 1.5 * quiet(12, seed=1)
    found = judge_apart(before, after, Rule(), Drift.of(medians[1:]))
    assert found.verdict == NO_DATA
    assert f"{NEEDED - 1} sessions of this cell" in found.reason
    assert "on the spot" in found.reason
    assert found.ratio == pytest.approx(1.5, rel=0.01)
    few = judge_apart(before[:3], after[:3], Rule(), Drift.of(medians[1:]))
    assert "take 5 each" in few.reason
    assert f"{NEEDED - 1} sessions" in few.reason
    assert judge_apart([], after, Rule(), Drift.of([])).reason == "the baseline has no finished run"
    assert judge_apart(before, after, Rule(), Drift.of(medians)).verdict == REGRESSED
    wild = Drift.of(quiet(30, spread=0.1))
    found = judge_apart(before, after[::-1] / 1.5, Rule(), wild)
    assert found.verdict == NO_DATA
    assert found.reason.startswith("sessions differ by up to ")


def test_one_true_change_does_not_hide_the_next() -> None:
    levels = quiet(40, spread=0.01)
    stepped = np.where(np.arange(40) < 20, levels, 1.3 * levels)
    assert drift_floor(stepped) < 1.3 * drift_floor(levels)


@pytest.mark.parametrize("case", [*cases(12), *cases_apart(12)], ids=lambda case: case.title)
def test_the_goals_hold_in_simulation(case: Case) -> None:
    rule = Rule()
    found = [simulated(case, DEFAULT_NOISE, rule, number)[0] for number in range(200)]
    share = found.count(REGRESSED) / len(found)
    assert case.least <= share <= case.most


def test_the_noise_of_a_series_is_found_again() -> None:
    truth = Noise(between=0.02, drift=0.01, delayed=0.05, delay=0.3)
    found = fit(truth.draw(2000, np.random.default_rng(3)))
    assert found.between == pytest.approx(truth.between, rel=0.2)
    assert found.drift == pytest.approx(truth.drift, rel=0.3)
    assert found.delayed == pytest.approx(truth.delayed, rel=0.5)
    still = fit(replace(truth, drift=0.0).draw(2000, np.random.default_rng(3)))
    assert still.drift < 0.004
    with pytest.raises(ValueError, match="too few"):
        fit([1.0] * 5)
    with pytest.raises(ValueError, match="above 0"):
        fit([0.0] * 20)


def test_the_smaller_of_two_p_values_is_doubled() -> None:
    """Two tests err twice as often as one."""
    before = np.linspace(1.0, 1.1, 9)
    after = before * np.linspace(1.01, 1.05, 9)
    found = judge(before, after, paired=True)
    each = {
        "Mann-Whitney": mann_whitney(before, after),
        "signed rank": signed_rank(np.log(after / before)),
    }
    assert found.p == 2 * min(each.values()) == 2 * each[found.test]


def test_a_rare_jump_of_the_machine_belongs_to_its_drift_and_half_as_much_again() -> None:
    medians = np.exp(1e-4 * np.sin(np.arange(40.0)))
    calm = drift_floor(medians)
    medians[20] *= 1.1
    jump = np.abs(np.diff(np.log(medians))).max()
    assert calm < 0.01
    assert drift_floor(medians) == pytest.approx(np.expm1(1.5 * jump))
