"""Intervals beside every number: pure functions of the raw values.

A median has an exact interval between two of its values; the share of successes has Wilson's. Means
are in `results.stats.means`. Epochs of one process are not independent of each other, so a median
of times is one over processes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import comb, isnan, nan, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from results.words import count

LEVEL = 0.95
ENOUGH = 6  # the fewest values whose range holds the true median with LEVEL: `order_statistics`


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; `low` and `high` are NaN where there is none.

    Attributes:
        is_range: low and high are the lowest and highest value seen, and hold the true one less
            often than in 95 %.
        n: values that it is made of.
        coverage: how often such an interval of a median holds the true one; NaN where not known.
    """

    value: float
    low: float = nan
    high: float = nan
    is_range: bool = False
    n: int = 0
    coverage: float = nan

    @property
    def name(self) -> str:
        """Kind of the interval: "95 %" or "range of 3"; empty if there is none."""
        if isnan(self.low):
            return ""
        return f"range of {self.n}" if self.is_range else "95 %"

    def words(self, form: str = ".4g") -> str:
        """The interval as commands print it, in this number format: `95 %: 0.98 to 1.03`."""
        return f"{self.name}: {self.low:{form}} to {self.high:{form}}" if self.name else ""

    def through(self, function: Callable[[float], float]) -> "Interval":
        """The interval of a rising or falling function of what this is one of."""
        low, high = sorted((function(self.low), function(self.high)))
        return replace(self, value=function(self.value), low=low, high=high)


@cache
def order_statistics(n: int) -> tuple[int, float]:
    """The place k of the narrowest interval (x_k, x_(n+1-k)) of a median, and its coverage.

    Of n independent values of any continuous distribution it holds the true median with probability
    1 - 2 P(B < k), B binomial (n, 1/2): the median by the sign test (David & Nagaraja 2003, Order
    Statistics, 7.1). k is the largest with a coverage of at least LEVEL; below 6 values, where the
    range covers 50, 75, 87.5 and 93.75 %, it is 1.
    """
    place, term, below = 1, 1, 1  # in units of 2^-n: P(B = place - 1), P(B < place)
    while True:
        term = term * (n + 1 - place) // place
        if 1 - 2 * (below + term) / 2**n < LEVEL:
            return place, 1 - 2 * below / 2**n
        place, below = place + 1, below + term


def median(
    values: npt.ArrayLike, *, independent: bool = True, place: int | None = None
) -> Interval:
    """The median of (n,) values with its exact interval, or their range below `ENOUGH`.

    Args:
        independent: False for the epochs or blocks of one process: they say how steady it was, not
            how another would fare, so that they have their range, however many.
        place: of the interval's ends, where it is not that of `order_statistics`; at most n / 2.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = ordered.size
    if n < 2:
        return Interval(float(ordered[0]) if n else nan, n=n)
    if place is None:
        place, coverage = order_statistics(n) if independent else (1, nan)
    else:
        coverage = 1 - 2 * sum(comb(n, fewer) for fewer in range(place)) / 2**n
    low, high = float(ordered[place - 1]), float(ordered[n - place])
    few = not coverage >= LEVEL
    return Interval(float(np.median(ordered)), low, high, few, n, coverage)


def median_of_medians(processes: Sequence[npt.ArrayLike]) -> Interval:
    """The median of the processes' medians; of a single process that of its samples.

    Args:
        processes: the raw samples of each process; NaNs and empty processes are left out.
    """
    samples = [np.asarray(values, dtype=np.float64) for values in processes]
    samples = [values[~np.isnan(values)] for values in samples]
    samples = [values for values in samples if values.size]
    if len(samples) == 1:
        return median(samples[0], independent=False)
    return median([np.median(values) for values in samples])


def difference_of_medians(first: npt.ArrayLike, second: npt.ArrayLike) -> Interval:
    """The median of `second` less that of `first`, two independent samples.

    With estimates a, b and intervals (l, u) the difference b - a reaches down by the root of
    (b - l_b)^2 + (u_a - a)^2, and up likewise (Zou & Donner 2008, Statistics in Medicine 27, 1693).
    The simulation in tests/results/test_intervals.py has it hold 95 % or more. No interval where
    one of the two has a range.
    """
    a, b = median(first), median(second)
    value = b.value - a.value
    if a.is_range or b.is_range or isnan(a.low) or isnan(b.low):
        return Interval(value, n=min(a.n, b.n))
    down = sqrt((b.value - b.low) ** 2 + (a.high - a.value) ** 2)
    up = sqrt((b.high - b.value) ** 2 + (a.value - a.low) ** 2)
    return Interval(value, value - down, value + up, n=min(a.n, b.n))


def wilson(successes: float, trials: float) -> Interval:
    """The share of successes with Wilson's score interval (Wilson 1927, JASA 22, 209).

    Args:
        successes: 0..trials; need not be whole (a share of pooled trials).
        trials: independent ones.

    Raises:
        ValueError: fewer successes than 0 or more than trials.
    """
    if not trials > 0:
        return Interval(nan)
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {count(trials, 'trial')}")
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    half = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return Interval(share, float(low), float(high), n=round(trials))
