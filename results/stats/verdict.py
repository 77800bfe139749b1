"""Did a quantity change? A verdict on two samples of processes, as a pure function of the values.

A change is called one only when three things agree: an exact rank test, a ratio beyond the
threshold and beyond the noise floor, and a difference beyond the absolute threshold. One value is
one process: epochs of one process are not independent of each other. That nothing changed is said
only where the processes exclude a change for the worse of the size that `Rule.excluded` names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, expm1, isinf, isnan, log, log1p, sqrt

import numpy as np
import numpy.typing as npt

from results import words
from results.stats.intervals import Interval, difference_of_medians, median
from results.stats.looks import Look
from results.stats.noise import OF_A_SESSION, noise_floor
from results.stats.ranks import mann_whitney, signed_rank, smallest_p
from results.stats.vocabulary import (
    IMPROVED,
    LEAST_RATIO,
    NO_DATA,
    REGRESSED,
    SURE,
    UNCHANGED,
    Change,
)

_NAN = float("nan")


@dataclass(frozen=True)
class Rule:
    """Thresholds beyond which a difference counts as a change.

    Attributes:
        relative: share of the baseline beyond which a change counts, as in 0.03.
        absolute: the same in the quantity's own unit; both must be passed.
        alpha: the two-sided p value of the rank test must be below it.
        excluded: "unchanged" is said only where a change for the worse beyond this share is
            excluded. One for the better need not be: it passes a gate as well.
        larger_is_better: images per second, accuracy.
    """

    relative: float = LEAST_RATIO
    absolute: float = 0.0
    alpha: float = SURE
    excluded: float = 0.08
    larger_is_better: bool = False


@dataclass(frozen=True)
class Verdict:
    """The verdict, and what it was reached by.

    Attributes:
        verdict: `reason` says why in a sentence.
        baseline, candidate: median over the processes.
        ratio: candidate / baseline; of pairs the median of their ratios.
        low, high: its 95 % interval, over pairs where there are pairs; the range of the pairs'
            ratios below 6 of them (`is_range`), and no interval for few unpaired processes.
        floor: the noise floor, a share: what an A/A comparison of the kind may differ by.
        p: of the test; `test` names it. p_mann_whitney: of the unpaired test, in any case.
        n_baseline, n_candidate: processes; paired: whether they were compared in pairs.
    """

    verdict: Change
    reason: str
    baseline: float = _NAN
    candidate: float = _NAN
    ratio: float = _NAN
    low: float = _NAN
    high: float = _NAN
    is_range: bool = False
    floor: float = _NAN
    p: float = _NAN
    test: str = ""
    p_mann_whitney: float = _NAN
    n_baseline: int = 0
    n_candidate: int = 0
    paired: bool = False

    @property
    def interval(self) -> Interval:
        """The ratio with its interval or range."""
        return Interval(self.ratio, self.low, self.high, self.is_range, self.n_baseline)


def judge(
    baseline: npt.ArrayLike,
    candidate: npt.ArrayLike,
    rule: Rule = Rule(),
    *,
    paired: bool = False,
    differences: npt.ArrayLike | None = None,
    sessions: Sequence[object] | None = None,
    known_floor: float = 0.0,
    look: Look | None = None,
) -> Verdict:
    """Compare processes of a baseline with processes of a candidate.

    Args:
        baseline, candidate: (n,) and (m,) values above 0 in the order of time, one a process; with
            `paired`, value i of both comes from one block, and n = m.
        rule: thresholds.
        paired: whether to compare within blocks, which a drift of the machine does not touch.
        differences: (n,) of the pairs' logarithms, candidate less baseline, where they are known
            better than from one value a process.
        sessions: of each baseline value, the session that measured it: where there are several,
            what the sessions' medians differ by belongs to the noise.
        known_floor: what is known of the noise from elsewhere, a share (`drift_floor`);
            the noise floor is at least that.
        look: of pairs, which look of a group-sequential comparison this is. A look before the last
            says "unchanged" only where no pair is missing and the ratio itself is within the
            threshold: what leans to a change is looked at again.

    Raises:
        ValueError: paired samples of unequal length, or a value that is not finite.
    """
    before, after = (np.asarray(values, dtype=np.float64) for values in (baseline, candidate))
    n, m = before.size, after.size
    if paired and n != m:
        raise ValueError(f"pairs of {n} and {words.count(m, 'process')}")
    if not n or not m:
        which = "the baseline" if not n else "the candidate"
        return Verdict(NO_DATA, f"{which} has no finished run", n_baseline=n, n_candidate=m)
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise ValueError("a value is not a finite number")
    if before.min() <= 0 or after.min() <= 0:
        return Verdict(NO_DATA, "a value is not above 0", n_baseline=n, n_candidate=m)

    logs = np.log(before), np.log(after)
    unpaired_p = mann_whitney(before, after)
    if look is not None:
        rule = replace(rule, alpha=look.alpha)
    early = look if look is not None and not look.last else None
    if paired:
        of_pairs = logs[1] - logs[0] if differences is None else np.asarray(differences, np.float64)
        place = None if look is None else look.place if n == look.pairs else 1
        found = median(of_pairs, place=place)
        floor = noise_floor(of_pairs, equal=False, place=place)
        p, test = _either(unpaired_p, signed_rank(of_pairs))
    else:
        found = difference_of_medians(*logs)
        floor = _own_floor(logs[0], m, sessions)
        p, test = unpaired_p, "Mann-Whitney"
    floor = max(known_floor, floor)
    shift, ratio = found.value, found.through(exp)
    medians = float(np.median(before)), float(np.median(after))
    verdict, reason = _decide(ratio.value, medians[0], floor, p, rule)
    if verdict == UNCHANGED:
        worse = _worst(found, floor, rule, 1.0 if look is None else look.widening)
        verdict, reason = _excluding(reason, worse, shift, medians[0], known_floor, max(n, m), rule)
    if early and verdict == UNCHANGED and (n < early.pairs or _leaning(shift, rule)):
        verdict, reason = NO_DATA, f"{expm1(shift):+.1%} so far, which a later look may show"
    least = _least_p(n, m, paired=paired)
    if least >= rule.alpha and not early:  # nothing else could have come out
        needed = processes_needed(rule.alpha, paired=paired)
        verdict = NO_DATA
        reason = f"{n} and {words.count(m, 'process')} cannot show a change at p < {rule.alpha:g}"
        reason += f"; take {needed} each" if max(n, m) < needed else ""
    return Verdict(
        verdict,
        reason,
        *medians,
        ratio.value,
        ratio.low,
        ratio.high,
        ratio.is_range,
        floor,
        p,
        test,
        unpaired_p,
        n,
        m,
        paired,
    )


def _decide(
    ratio: float, baseline: float, floor: float, p: float, rule: Rule
) -> tuple[Change, str]:
    """Verdict and reason from ratio, baseline, noise floor and p value: changed, or not shown."""
    needed = max(rule.relative, floor)
    # A change by a share either way: 1.03 and 1/1.03 are alike.
    change = exp(abs(log(ratio))) - 1
    difference = baseline * abs(ratio - 1)
    if p < rule.alpha and change > needed and difference > rule.absolute:
        worse = (ratio > 1) != rule.larger_is_better
        limit = "threshold" if needed == rule.relative else "noise floor"
        return (REGRESSED if worse else IMPROVED), f"p = {p:.2g} and beyond the {limit}"
    if p >= rule.alpha:
        return UNCHANGED, f"p = {p:.2g}"
    if change <= needed:
        limit = "threshold" if needed == rule.relative else "noise floor"
        return UNCHANGED, f"within the {limit} of {needed:.1%}"
    return UNCHANGED, f"within the absolute threshold of {rule.absolute:g}"


def _leaning(shift: float, rule: Rule) -> bool:
    """True if the log ratio itself would be a change for the worse, if a test were sure."""
    return (-shift if rule.larger_is_better else shift) > log1p(rule.relative)


def _worst(shift: Interval, floor: float, rule: Rule, widening: float = 1.0) -> float:
    """The largest slowdown that the data allow, a log ratio: the bad end of the interval.

    "Slowdown" stands for any change for the worse. The interval covers these processes alone. The
    noise floor covers the other noise, and the few processes that have no interval: it is added
    on the bad side of the ratio.

    Args:
        widening: how much farther from the ratio than the interval, or the floor, it is taken.
    """
    sign = -1 if rule.larger_is_better else 1
    ends = [sign * (end - shift.value) for end in (shift.low, shift.high) if not isnan(end)]
    return sign * shift.value + widening * max([*ends, log1p(floor)])


def _excluding(
    reason: str,
    worse: float,
    shift: float,
    baseline: float,
    known_floor: float,
    processes: int,
    rule: Rule,
) -> tuple[Change, str]:
    """ "unchanged" where a change for the worse that matters is excluded, else what would help."""
    sign = -1 if rule.larger_is_better else 1
    limit = log1p(rule.excluded)
    if worse <= limit or abs(baseline * expm1(sign * worse)) <= rule.absolute:
        share = f"one beyond {expm1(worse):.1%}" if worse > 0 else "any"
        return UNCHANGED, f"{reason}; of changes for the worse {share} is excluded"
    could_be = f"cannot exclude a change for the worse of {expm1(worse):.1%}"
    if known_floor and sign * shift + log1p(known_floor) > limit:
        told = f"sessions differ by up to {known_floor:.1%} of themselves, which {could_be}"
        return NO_DATA, f"{told}; run both on the spot"
    if isinf(worse):  # the noise floor of one process
        return NO_DATA, "one process of the baseline says nothing of its noise"
    room = max(limit - max(sign * shift, 0.0), limit / 2)
    needed = ceil(processes * ((worse - sign * shift) / room) ** 2)
    return NO_DATA, f"these processes {could_be}; run {max(needed, processes + 1)} or more"


def _either(unpaired: float, pairs: float) -> tuple[float, str]:
    """The smaller of two p values, doubled (Bonferroni), and which test gave it.

    Pairs are blind to a drift of the machine, but a single slow process spoils a pair's sign; the
    unpaired test bears a few slow processes, but not a drift. Together they bear both.
    """
    p = min(1.0, 2 * min(unpaired, pairs))
    return p, "Mann-Whitney" if unpaired <= pairs else "signed rank"


def _own_floor(
    logs: npt.NDArray[np.float64], candidates: int, sessions: Sequence[object] | None
) -> float:
    """The noise floor by a baseline alone, as `judge` has it."""
    floor = noise_floor(logs * sqrt(1 + logs.size / candidates), equal=False)
    if sessions is not None:
        members = [np.array([other == one for other in sessions]) for one in set(sessions)]
        groups = [np.median(logs[mine]) for mine in members if mine.sum() >= OF_A_SESSION]
        if len(groups) > 1:
            floor = max(floor, expm1(float(np.ptp(groups))))
    return floor


def processes_needed(alpha: float, *, paired: bool) -> int:
    """The fewest processes on each side with which the rank test can fall below alpha."""
    count = 1
    while _least_p(count, count, paired=paired) >= alpha:
        count += 1
    return count


def _least_p(first: int, second: int, *, paired: bool) -> float:
    unpaired = smallest_p(first, second, paired=False)
    return _either(unpaired, smallest_p(first, second, paired=True))[0] if paired else unpaired
