"""Intervals beside every number: pure functions of the raw values.

The share of successes gets Wilson's interval; times get the bootstrap of the median of the
processes' medians, because epochs of one process are not independent of each other. A bootstrap
of fewer than `ENOUGH_PROCESSES` cannot hold its 95 %, so these get the range seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
# The range of n independent values holds their true median with probability 1 - 2^(1-n) (David &
# Nagaraja 2003, Order Statistics, 7.1): 50, 75, 87.5, 93.8 and 96.9 % for n = 2 to 6. No resampling
# reaches out of the range, so below 6 no bootstrap interval is one of 95 %.
ENOUGH_PROCESSES = 6
_RESAMPLES = 4000
_SEED = 20210601


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; `low` and `high` are NaN where there is none.

    With `is_range` they are the lowest and highest value seen, and nothing is said of coverage.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    is_range: bool = False


def wilson(successes: float, trials: float) -> Interval:
    """The share of successes with Wilson's score interval (Wilson 1927, JASA 22, 209).

    Args:
        successes: 0..trials; need not be whole (a share of pooled trials).
        trials: independent ones.
    """
    if not trials > 0:
        return Interval(float("nan"))
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    half = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return Interval(share, float(low), float(high))


def median_of_medians(processes: Sequence[npt.ArrayLike]) -> Interval:
    """The median of the processes' medians with its bootstrap interval (percentile method).

    Of a nominal 95 % such an interval of six to twelve values holds the true median 92 to 94 times
    in a hundred (`tests/results/test_intervals.py` simulates it).
    Processes are resampled, seeded, so that the same values give the same interval. Below
    `ENOUGH_PROCESSES` the medians' range takes its place; with one process, the range of its
    samples, which says how steady that process was, not how another would fare.

    Args:
        processes: the raw samples of each process; NaNs and empty processes are left out.
    """
    samples = [np.asarray(values, dtype=np.float64) for values in processes]
    samples = [values[~np.isnan(values)] for values in samples]
    samples = [values for values in samples if values.size]
    if not samples:
        return Interval(float("nan"))
    pool = np.array([np.median(values) for values in samples]) if len(samples) > 1 else samples[0]
    value = float(np.median(pool))
    if pool.size < 2:
        return Interval(value)
    if len(samples) < ENOUGH_PROCESSES:
        return Interval(value, float(pool.min()), float(pool.max()), is_range=True)
    draws = np.random.default_rng(_SEED).choice(pool, size=(_RESAMPLES, pool.size))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.median(draws, axis=1), [tail, 1 - tail])
    return Interval(value, float(low), float(high))
