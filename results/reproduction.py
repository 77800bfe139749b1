"""Did a published figure come out again? An interval for it, and a verdict: pure functions.

**The rule.** The published figure is one run, of unknown seed and split; ours are n runs of n seeds
on one split. A published value y is called `reproduced` when it lies in

    mean +- t * sqrt(s^2 (1 + 1/n) + v / m_ours + v / m_theirs)

where mean and s are of our n values, v is the variance between images of what is averaged, and m
the images that each side averaged over. For a share p, v is p (1 - p), with two images added on
either side, so that 0 and 1 are not without luck (Agresti & Coull 1998, Am. Stat. 52, 119); for a
loss it is the square of the standard deviation over test images. The first term is what a run
differs by from the mean of n others when only its seed changes (the prediction interval of a normal
sample: Hahn & Meeker 1991, Statistical Intervals, 4.7). Our runs share one test set, so its luck is
not averaged away by more seeds; their test set had luck of its own. t is the 97.5 % point of
Student's distribution with the degrees of freedom of Welch (1947, Biometrika 34, 28) and
Satterthwaite: n - 1 for the first term, and infinitely many for the others, whose variances are not
estimated from the seeds.

It errs on the wide side where both test sets hold some of the same galaxies, or where a part of s
is luck with the images as well. Otherwise it holds 92 to 95 % with three seeds, 94 to 95 % from
five on (simulated in tests/test_reproduction.py). With fewer than three seeds there is no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from results.reported import Reported
from results.statistics import LEVEL, Interval

REPRODUCED, HIGHER, LOWER, NOT_COMPARABLE = "reproduced", "higher", "lower", "not comparable"
ENOUGH_SEEDS = 3
FEWEST_IMAGES = 10  # below, the share of so few is no number to predict from
SHARES = (
    *("test_accuracy", "train_accuracy", "validation_accuracy", "best_validation_accuracy"),
    "recall",
)
EXACT = ("parameters",)


@dataclass(frozen=True)
class Ours:
    """What our runs of one framework gave for one figure.

    Attributes:
        values: one for each seed.
        images: that each value is a mean over; None for what is no mean over images.
        deviation: standard deviation over images of what is averaged; for shares it follows from
            the share.
        refusals: why these runs are not the experiment, if they are not.
    """

    values: tuple[float, ...]
    images: int | None = None
    deviation: float | None = None
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reproduction:
    """One figure, compared.

    Attributes:
        mean: of our values, with Student's 95 % interval over seeds.
        predicted: where another run is expected, as the module says; NaN where nothing can be said.
        difference: ours less theirs.
        verdict: one of the four.
        reason: why it is not comparable; empty otherwise.
    """

    mean: Interval
    predicted: Interval
    difference: float
    verdict: str
    reason: str = ""


def compare(reported: Reported, ours: Ours, their_images: int | None = None) -> Reproduction:
    """Set our values beside a reported one.

    Args:
        their_images: that the published figure was taken over, if known; ours by default.
    """
    values = [value for value in ours.values if math.isfinite(value)]
    mean = mean_over_seeds(values, share=reported.metric in SHARES)
    difference = mean.value - reported.value
    predicted = Interval(mean.value)
    if reported.metric not in EXACT:
        predicted = prediction(
            values,
            image_variance=_image_variance(reported, ours, mean.value),
            ours=ours.images,
            theirs=reported.images or their_images or ours.images,
        )
    if reported.metric in SHARES:
        low, high = max(0.0, predicted.low), min(1.0, predicted.high)
        predicted = Interval(mean.value, low, high) if len(values) > 1 else predicted
    reason = _why_not(reported, ours, values)
    if reason:
        return Reproduction(mean, predicted, difference, NOT_COMPARABLE, reason)
    if reported.metric in EXACT:
        same = all(value == reported.value for value in values)
    else:
        same = predicted.low <= reported.value <= predicted.high
    verdict = REPRODUCED if same else HIGHER if difference > 0 else LOWER
    return Reproduction(mean, predicted, difference, verdict)


def mean_over_seeds(values: Sequence[float], *, share: bool = False) -> Interval:
    """The mean with Student's 95 % interval: mean +- t s / sqrt(n); a share's stays in 0..1."""
    n = len(values)
    if not n:
        return Interval(float("nan"))
    mean = math.fsum(values) / n
    if n < 2:
        return Interval(mean)
    from scipy.stats import t

    half = float(t.ppf(0.5 + LEVEL / 2, n - 1)) * _deviation(values, mean) / math.sqrt(n)
    low, high = mean - half, mean + half
    return Interval(mean, max(0.0, low), min(1.0, high)) if share else Interval(mean, low, high)


def prediction(
    values: Sequence[float],
    *,
    image_variance: float | None = None,
    ours: int | None = None,
    theirs: int | None = None,
) -> Interval:
    """Where one more run, on `theirs` other images, is expected at 95 %; see the module.

    Args:
        values: one for each seed; with one alone there is no interval.
        image_variance: v of the module; None where the figure is no mean over images.
        ours, theirs: images averaged over.
    """
    n = len(values)
    if not n:
        return Interval(float("nan"))
    mean = math.fsum(values) / n
    if n < 2:
        return Interval(mean)
    from scipy.stats import norm, t

    between = _deviation(values, mean) ** 2 * (1 + 1 / n)
    within = 0.0
    if image_variance and ours and theirs:
        within = image_variance * (1 / ours + 1 / theirs)
    total = between + within
    tail = 0.5 + LEVEL / 2
    if between:
        freedom = (n - 1) * (total / between) ** 2
        quantile = float(t.ppf(tail, freedom))
    else:
        quantile = float(norm.ppf(tail))
    half = quantile * math.sqrt(total)
    return Interval(mean, mean - half, mean + half)


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _image_variance(reported: Reported, ours: Ours, mean: float) -> float | None:
    if reported.metric in SHARES and math.isfinite(mean) and ours.images:
        share = (mean * ours.images + 2) / (ours.images + 4)
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
    if reported.metric in SHARES and values and (ours.images or FEWEST_IMAGES) < FEWEST_IMAGES:
        reasons.append(f"a share of {ours.images} images")
    return "; ".join(dict.fromkeys(reasons))
