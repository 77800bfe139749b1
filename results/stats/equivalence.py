"""Are two things equal? The statistics of paired differences, as pure functions of the values.

That a test finds no difference does not show that there is none. Equality is shown by two
one-sided tests (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657): the mean difference is
above -margin and below +margin, each at ALPHA, which is the same as the 90 % interval lying within
the margin. The margin is set before anything is measured.

Student's test takes the differences to be normal. One seed that fails now and then makes them
skewed, and a sample without such a seed then looks equal too often. So Hall's test (1992, J. R.
Stat. Soc. B 54, 221), which corrects t by the skewness, has to agree, at SKEWED: with exponential
differences as far apart as the margin, equality is said in at most 5 %, from 6 pairs on
(`benchmarks.track selftest --simulate 200 --noise all`). More skewed ones than these it does not
cover. Johnson's correction (1978, JASA 73, 536), which it continues, turns back: skewed differences
far within the margin would not be called equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import ceil, isfinite, nan, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from results.stats.means import moments, t_interval, t_quantile, t_test
from results.stats.vocabulary import DIFFERENT, EQUAL, SURE, UNDECIDED, Equality

ALPHA = 0.05
SKEWED = 0.015  # of Hall's test: found by simulation, for exponential differences
POWER = 0.9
FEWEST = 5  # below so many pairs nothing is concluded
_WIDEST = 1e6  # margins that an sd is counted as at the most
_MANY = 10**6  # pairs, with which a known sd or an estimated one is the same
_RESAMPLES = 4000
_PERMUTATIONS = 9999
_SEED = 20210601


@dataclass(frozen=True)
class Equivalence:
    """Result of a paired comparison; all but `n` and the p values are in the differences' unit.

    Attributes:
        n: pairs.
        mean, sd: of the differences; sd with n - 1.
        low, high: the 90 % interval of the mean, which the two one-sided tests go by.
        low95, high95: the 95 % interval.
        margin: differences smaller than this are taken for none.
        p_equal: of the two one-sided tests, the larger: small where equality is shown.
        p_different: of the paired t test, two-sided.
        p_skewed: the same of Hall's test, which allows for skewed differences.
        needed: pairs for a power of 0.9 at this sd if there is no difference (`pairs_needed`); None
            with fewer than 2 pairs.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    low95: float
    high95: float
    margin: float
    p_equal: float
    p_different: float
    needed: int | None
    verdict: Equality
    p_skewed: float = nan

    @property
    def fewest(self) -> int | None:
        """Pairs below which nothing is concluded."""
        return None if self.needed is None else max(self.needed, FEWEST)


def equivalence(differences: npt.ArrayLike, margin: float) -> Equivalence:
    """Two one-sided t tests of paired differences within a margin, and a verdict.

    UNDECIDED below FEWEST pairs and below the number needed, whatever the tests say. Otherwise
    EQUAL where the two one-sided tests say so, Student's and Hall's; DIFFERENT where the 95 %
    interval lies beyond the margin or the two-sided test has p < 0.01; else UNDECIDED.

    Where all differences are the same there is no spread to test by: p_different is then that of
    the sign test.

    Args:
        differences: (n,), one for each pair.
        margin: above 0, in their unit.

    Raises:
        ValueError: a margin that is not above 0, or a difference that is not a number.
    """
    from scipy.special import stdtr

    values = np.asarray(differences, dtype=np.float64)
    if not margin > 0:
        raise ValueError(f"the margin is {margin}; it must be above 0")
    if not np.isfinite(values).all():
        raise ValueError("a paired difference is not a finite number")
    mean, sd, n = moments(values)
    if n < 2:
        return Equivalence(n, mean, nan, nan, nan, nan, nan, margin, nan, nan, None, UNDECIDED)
    error, free = sd / sqrt(n), n - 1
    low, high = t_interval(mean, error, free, 1 - 2 * ALPHA)
    low95, high95 = t_interval(mean, error, free)
    room = margin - abs(mean)
    p_equal = float(stdtr(free, -room / error) if sd else room <= 0)
    p_skewed = float(_halls(values, margin)) if sd else p_equal
    p_different = t_test(mean, error, free, n)
    needed = pairs_needed(sd, margin)
    verdict: Equality = UNDECIDED
    if n >= max(needed, FEWEST):
        if p_equal < ALPHA and p_skewed < SKEWED:
            verdict = EQUAL
        elif p_different < SURE or low95 > margin or high95 < -margin:
            verdict = DIFFERENT
    return Equivalence(
        n,
        mean,
        sd,
        low,
        high,
        low95,
        high95,
        margin,
        p_equal,
        p_different,
        needed,
        verdict,
        p_skewed,
    )


def _halls(values: npt.NDArray[np.float64], margin: float) -> float:
    """The larger p value of Hall's two one-sided tests that the mean is within the margin.

    t + g / (6 sqrt(n)) + g t^2 / (3 sqrt(n)) + g^2 t^3 / (27 n), g the sample's skewness, which
    rises with t; both signs of the values, so that each test is one of a mean below the margin.
    """
    from scipy.special import stdtr

    n, found = values.size, 0.0
    for signed in (values, -values):
        apart = signed - signed.mean()
        error = signed.std(ddof=1) / sqrt(n)
        t = (signed.mean() - margin) / error
        bias = sqrt(n * (n - 1)) / (n - 2) if n > 2 else 1.0
        skewness = bias * (apart**3).mean() / (apart**2).mean() ** 1.5
        slope = skewness / sqrt(n)
        corrected = t + slope * (1 / 6 + t**2 / 3) + slope**2 * t**3 / 27
        found = max(found, float(stdtr(n - 1, corrected)))
    return found


def power(n: int, sd: float, margin: float) -> float:
    """Chance that the two one-sided paired t tests show equality, if the true difference is 0.

    Exact for normal differences: mean and sd of a sample are independent, so the chance that the
    mean lies inside the margin less the error is integrated over the chi distribution of the sd.

    Args:
        n: pairs, at least 2.
        sd: true standard deviation of the differences.
        margin: in the same unit.
    """
    from scipy.special import chdtri, gammaln, ndtr

    free = n - 1
    t = t_quantile(free, 1 - 2 * ALPHA)
    reach = margin / sd * sqrt(n)
    # y = sd of the sample / sd * sqrt(free); beyond reach / t no mean is near enough to 0
    first, last = sqrt(chdtri(free, 1 - 1e-13)), sqrt(chdtri(free, 1e-13))
    last = min(last, reach / t * sqrt(free))
    if last <= first:
        return 0.0
    nodes, weights = _quadrature()
    y = (last - first) / 2 * nodes + (last + first) / 2
    log_density = (free - 1) * np.log(y) - y**2 / 2 - (free / 2 - 1) * np.log(2) - gammaln(free / 2)
    inside = 2 * ndtr(reach - t * y / sqrt(free)) - 1
    return float((last - first) / 2 * np.sum(weights * inside * np.exp(log_density)))


@cache
def _quadrature() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Gauss and Legendre's nodes and weights; finding them takes longer than their use."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    return nodes, weights


def pairs_needed(sd: float, margin: float) -> int:
    """The fewest pairs with which equality is shown with a chance of 0.9, by `power`; at least 2.

    One or two more than `pairs_needed_normal`, since the sd has to be estimated as well. Of
    Student's test alone: that Hall's has to agree lowers the chance to about 0.8.
    """
    if sd == 0:
        return 2
    n = max(2, pairs_needed_normal(sd, margin))
    while n < _MANY and power(n, sd, margin) < POWER:
        n += 1
    return n


def pairs_needed_normal(sd: float, margin: float) -> int:
    """The fewest pairs with a known sd: ((z(1 - alpha) + z((1 + power) / 2)) sd / margin)^2."""
    z = NormalDist().inv_cdf
    return ceil(min(_WIDEST, (z(1 - ALPHA) + z((1 + POWER) / 2)) * sd / margin) ** 2)


def bootstrap_interval(differences: npt.ArrayLike) -> tuple[float, float]:
    """The 90 % interval of the mean by the BCa bootstrap (Efron 1987, JASA 82, 171), seeded.

    NaN where it means nothing: below FEWEST pairs, or no spread.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size < FEWEST or not np.ptp(values):
        return float("nan"), float("nan")
    from scipy.stats import bootstrap  # takes a second to import

    found = bootstrap(
        (values,),
        np.mean,
        confidence_level=1 - 2 * ALPHA,
        n_resamples=_RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: below alpha where Holm's step-down procedure rejects (Holm 1979).

    NaN is no test and stays NaN.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if isfinite(p))
    adjusted = [float("nan")] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        adjusted[place] = largest
    return adjusted


def brown_forsythe(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[float, float]:
    """Variance of a over variance of b, and the p value that they are equal.

    Brown and Forsythe (1974, JASA 69, 364): analysis of variance of the distances from the
    medians. NaN below FEWEST values each, or where neither has any spread.
    """
    one, other = (np.asarray(values, dtype=np.float64) for values in (a, b))
    spread_a, spread_b = np.ptp(one) if one.size else 0.0, np.ptp(other) if other.size else 0.0
    if min(one.size, other.size) < FEWEST or not (spread_a or spread_b):
        return float("nan"), float("nan")
    from scipy.stats import levene

    ratio = float(one.var(ddof=1) / other.var(ddof=1)) if spread_b else float("inf")
    return ratio, float(levene(one, other, center="median").pvalue)


def disagreement(predicted: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Churn between every two runs: the share of images that they classify differently.

    Args:
        predicted: (runs, images), the class each run predicts for each image.

    Returns:
        (runs, runs), symmetric with zeros on the diagonal.
    """
    shares: npt.NDArray[np.float64] = (predicted[:, None] != predicted[None]).mean(axis=2)
    return shares


def across_and_within(churn: npt.NDArray[np.float64], of_a: Sequence[int]) -> tuple[float, float]:
    """Mean churn between runs of A and runs of B, and between runs of one of them.

    Args:
        churn: (runs, runs), as `disagreement` gives it.
        of_a: which runs are A's; the others are B's.

    Returns:
        The second is NaN where neither has two runs.
    """
    mine = np.zeros(len(churn), dtype=bool)
    mine[list(of_a)] = True
    upper = np.triu(np.ones(churn.shape, dtype=bool), 1)
    cross = upper & (mine[:, None] != mine)
    own = upper & (mine[:, None] == mine)
    return float(churn[cross].mean()), float(churn[own].mean()) if own.any() else float("nan")


def churn_test(blocks: Sequence[tuple[npt.NDArray[np.float64], Sequence[int]]]) -> float:
    """p value that A and B part from each other no more than each from itself, one-sided.

    A permutation test: if the framework does not matter, the runs of one seed may be handed to A
    and B in any way. Statistic: churn across less churn within, mean over the seeds.

    Args:
        blocks: for each seed, its runs as for `across_and_within`; two or more runs of A or B.
    """
    generator = np.random.default_rng(_SEED)
    observed, permuted = 0.0, np.zeros(_PERMUTATIONS)
    for churn, of_a in blocks:
        ways = combinations(range(len(churn)), len(of_a))
        excess = np.array([np.subtract(*across_and_within(churn, way)) for way in ways])
        observed += float(np.subtract(*across_and_within(churn, of_a)))
        permuted += generator.choice(excess, _PERMUTATIONS)
    # a hair's breadth: sums in another order must still count as equal
    return (1 + int(np.sum(permuted >= observed - 1e-12))) / (1 + _PERMUTATIONS)
