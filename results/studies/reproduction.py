"""Did a published figure come out again? An interval for it, and a verdict: pure functions.

**The rule.** The published figure is one run, of unknown seed and split; ours are n runs of n seeds
on one split. A published value y is called `reproduced` when it lies in

    mean +- t * sqrt(s^2 (1 + 1/n) + v / m_ours + v / m_theirs)

where mean and s are of our n values, v is the variance between galaxies of what is averaged, and m
the galaxies that each side averaged over. For a share p, v is p (1 - p), with two galaxies added on
either side, so that 0 and 1 are not without luck (Agresti & Coull 1998, Am. Stat. 52, 119); for a
loss it is the square of the standard deviation over test images. The first term is what a run
differs by from the mean of n others when only its seed changes (the prediction interval of a normal
sample: Hahn & Meeker 1991, Statistical Intervals, 4.7). Our runs share one test set, so its luck is
not averaged away by more seeds; their test set had luck of its own. Copies of a galaxy are no other
galaxies: m counts distinct ones. t is the 97.5 % point of Student's distribution with the degrees
of freedom of Welch (1947, Biometrika 34, 28) and Satterthwaite: n - 1 for the first term, and
infinitely many for the others, whose variances are not estimated from the seeds.

It errs on the wide side where both test sets hold some of the same galaxies, or where a part of s
is luck with the images as well. Otherwise it holds 92 to 95 % with three seeds, 94 to 95 % from
five on (simulated in tests/results/test_reproduction.py). With fewer than three: no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from results.stats.intervals import Interval
from results.stats.means import moments, t_interval, t_quantile
from results.stats.vocabulary import HIGHER, LOWER, NOT_COMPARABLE, REPRODUCED, Replication
from results.studies.kinds import Kind, kind_of
from results.studies.reported import Reported
from results.words import count

ENOUGH_SEEDS = 3
FEWEST_GALAXIES = 10  # below, the share of so few is no number to predict from
SHARES = (
    *("test_accuracy", "train_accuracy", "validation_accuracy", "best_validation_accuracy"),
    "recall",
)
EXACT = ("parameters",)


@dataclass(frozen=True)
class Ours:
    """Values of one figure in our runs of one framework.

    Attributes:
        values: one for each seed.
        galaxies: number behind each value's mean. A galaxy counts once, whatever its copies. None
            if the figure is no mean over galaxies.
        deviation: standard deviation over images of what is averaged; None for shares, where it
            follows from the share.
        refusals: reasons why these runs are not the experiment; empty if they are.
        copies: images of each galaxy, on average.
        epochs: largest number trained.
    """

    values: tuple[float, ...]
    galaxies: int | None = None
    deviation: float | None = None
    refusals: tuple[str, ...] = ()
    copies: float = 1.0
    epochs: int | None = None


@dataclass(frozen=True)
class Reproduction:
    """One figure, compared.

    Attributes:
        mean: of our values, with Student's 95 % interval over seeds.
        predicted: where another run is expected, as the module says; NaN where nothing can be said.
        difference: ours less theirs.
        reason: why it is not comparable; empty otherwise.
    """

    mean: Interval
    predicted: Interval
    difference: float
    verdict: Replication
    reason: str = ""


def compare(reported: Reported, ours: Ours, their_images: int | None = None) -> Reproduction:
    """Set our values beside a reported one.

    Args:
        their_images: that the published figure was taken over, copies among them, if known; ours
            by default.
    """
    values = [value for value in ours.values if math.isfinite(value)]
    kind = kind_of(reported, ours.epochs)
    mean = mean_over_seeds(values, kind)
    difference = mean.value - reported.value
    reason = _why_not(reported, ours, values)
    if reported.metric in EXACT:
        if reason:
            return Reproduction(mean, Interval(mean.value), difference, NOT_COMPARABLE, reason)
        same = all(value == reported.value for value in values)
        return Reproduction(mean, Interval(mean.value), difference, _verdict(same, difference))
    images = reported.images or their_images
    theirs = ours.galaxies if images is None else images / ours.copies
    luck = image_luck(_image_variance(reported, ours, mean.value), ours.galaxies, theirs)
    expected = prediction(values, luck)
    predicted = Interval(mean.value, *kind.clipped(expected.low, expected.high))
    if reason:
        return Reproduction(mean, predicted, difference, NOT_COMPARABLE, reason)
    same = predicted.low <= reported.value <= predicted.high
    if same and (reason := _too_wide(kind, expected, luck, ours.galaxies, theirs)):
        return Reproduction(mean, predicted, difference, NOT_COMPARABLE, reason)
    return Reproduction(mean, predicted, difference, _verdict(same, difference))


def mean_over_seeds(values: Sequence[float], kind: Kind | None = None) -> Interval:
    """The mean with Student's 95 % interval: mean +- t s / sqrt(n).

    Args:
        kind: of the figure, out of whose range the interval does not go.
    """
    mean, deviation, n = moments(values)
    if n < 2:
        return Interval(mean)
    low, high = t_interval(mean, deviation / math.sqrt(n), n - 1)
    return Interval(mean, *(kind.clipped(low, high) if kind else (low, high)))


def image_luck(variance: float | None, ours: float | None, theirs: float | None) -> float:
    """v / m_ours + v / m_theirs of the module; 0 where the figure is no mean over galaxies."""
    return variance * (1 / ours + 1 / theirs) if variance and ours and theirs else 0.0


def prediction(values: Sequence[float], luck: float = 0.0) -> Interval:
    """The 95 % interval for one more run on other galaxies; see the module.

    Args:
        values: one for each seed; with one alone there is no interval.
        luck: the variance that the test galaxies add (`image_luck`).
    """
    mean, deviation, n = moments(values)
    if n < 2:
        return Interval(mean)
    between = deviation**2 * (1 + 1 / n)
    total = between + luck
    freedom = (n - 1) * (total / between) ** 2 if between else math.inf
    return Interval(mean, *t_interval(mean, math.sqrt(total), freedom))


def _verdict(same: bool, difference: float) -> Replication:
    return REPRODUCED if same else HIGHER if difference > 0 else LOWER


def _too_wide(
    kind: Kind, expected: Interval, luck: float, ours: float | None, theirs: float | None
) -> str:
    """Why what lies in the interval shows nothing, in words; empty when it does."""
    half = expected.high - expected.value
    if not half > kind.widest:
        return ""
    of_galaxies = t_quantile(math.inf) * math.sqrt(luck)
    if of_galaxies > kind.widest and ours and theirs:
        fewest = f"a test on {count(min(ours, theirs), 'galaxy')} leaves"
        return kind.too_wide(of_galaxies, fewest, "; more seeds do not narrow it")
    return kind.too_wide(half, "our seeds leave", "; more seeds narrow it")


def _image_variance(reported: Reported, ours: Ours, mean: float) -> float | None:
    if reported.metric in SHARES and math.isfinite(mean) and ours.galaxies:
        share = (mean * ours.galaxies + 2) / (ours.galaxies + 4)
        return share * (1 - share)
    return None if ours.deviation is None else ours.deviation**2


def _why_not(reported: Reported, ours: Ours, values: Sequence[float]) -> str:
    """The reasons that there is no verdict, in words; empty when there is one."""
    reasons = [] if reported.comparable else [reported.reason or "the figure is of another kind"]
    reasons += ours.refusals
    if not values:
        reasons.append("no run has this figure")
    elif reported.metric not in EXACT and len(values) < ENOUGH_SEEDS:
        reasons.append(f"needs {ENOUGH_SEEDS} seeds, has {len(values)}")
    if (
        reported.metric in SHARES
        and values
        and (ours.galaxies or FEWEST_GALAXIES) < FEWEST_GALAXIES
    ):
        reasons.append(f"a share of {count(ours.galaxies or 0, 'galaxy')}")
    return "; ".join(dict.fromkeys(reasons))
