"""Means over few values, such as seeds: Student's interval and test.

A mean m with standard error e and f degrees of freedom has the interval m -+ t e, t being Student's
quantile (Student 1908, Biometrika 6, 1). Of independent samples f is that of Welch (1947,
Biometrika 34, 28).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, inf, nan, sqrt

import numpy as np
import numpy.typing as npt

from results.stats.intervals import LEVEL


@dataclass(frozen=True)
class Mean:
    """A mean with its 95 % interval; NaN bounds with fewer than two values, and where all are the
    same but not 0, whose spread is unknown.

    p: of the test that it is 0, two-sided (`t_test`); `p_holm` is the same after Holm's correction.
    """

    mean: float
    low: float
    high: float
    n: int
    p: float = nan
    p_holm: float = nan


def paired(differences: npt.ArrayLike) -> Mean:
    """The mean of paired differences (n,), tested against 0."""
    mean, deviation, n = moments(differences)
    if n < 2:
        return Mean(mean, nan, nan, n)
    return _tested(mean, deviation / sqrt(n), n - 1, n)


def independent(samples: Sequence[npt.ArrayLike], signs: Sequence[int]) -> Mean:
    """Signed sum of the means of independent samples: a difference of two with signs (-1, 1)."""
    found = [moments(sample) for sample in samples]
    mean = sum(sign * one for sign, (one, _, _) in zip(signs, found, strict=True))
    fewest = min(n for _, _, n in found)
    if fewest < 2:
        return Mean(mean, nan, nan, fewest)
    parts = [deviation**2 / n for _, deviation, n in found]
    spread = sum(part**2 / (n - 1) for part, (_, _, n) in zip(parts, found, strict=True))
    return _tested(mean, sqrt(sum(parts)), sum(parts) ** 2 / spread if spread else inf, fewest)


def moments(values: npt.ArrayLike) -> tuple[float, float, int]:
    """Mean, standard deviation (n - 1; 0 where all are the same) and number of (n,) values."""
    given = np.asarray(values, dtype=np.float64)
    n = given.size
    mean = fsum(given) / n if n else nan
    if n < 2:
        return mean, nan, n
    return mean, float(given.std(ddof=1)) if np.ptp(given) else 0.0, n


def t_interval(mean: float, error: float, free: float, level: float = LEVEL) -> tuple[float, float]:
    """Low and high end of Student's interval; `free` may be infinite, for a normal mean."""
    half = error * t_quantile(free, level)
    return mean - half, mean + half


def t_quantile(free: float, level: float = LEVEL) -> float:
    """Half-width of Student's interval in standard errors, for `free` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(free, (1 + level) / 2))


def t_test(mean: float, error: float, free: float, n: int) -> float:
    """Two-sided p value that a mean of n values is 0; without a spread that of the sign test."""
    from scipy.special import stdtr

    if error:
        return 2 * float(stdtr(free, -abs(mean) / error))
    return 2.0 ** (1 - n) if mean else 1.0


def _tested(mean: float, error: float, free: float, n: int) -> Mean:
    low, high = t_interval(mean, error, free) if error or not mean else (nan, nan)
    return Mean(mean, low, high, n, t_test(mean, error, free, n))
