"""Is one cell faster than another? Pure functions of the processes' median times.

A cell is a configuration run in several processes; a block holds one process of each cell, run
close together in time. The words "faster" and "slower" are used only when an exact Mann-Whitney
test over the processes gives p < `SURE` and the ratio over paired blocks lies beyond both
`LEAST_RATIO` and the noise floor, which A/A pairs show: a cell run twice in one block.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isnan, log

import numpy as np
import numpy.typing as npt

from results.stats.intervals import ENOUGH_PROCESSES, LEVEL, Interval
from results.stats.ranks import mann_whitney, smallest_p
from results.stats.vocabulary import FASTER, NOT_JUDGED, SLOWER, UNDECIDED, Speed

SURE = 0.01
LEAST_RATIO = 0.03  # a share: a smaller difference is not called one
_RESAMPLES = 4000
_SEED = 20210602

Times = Mapping[Hashable, float]


@dataclass(frozen=True)
class Spread:
    """Lowest value, interquartile range and median absolute deviation of processes' medians."""

    lowest: float
    quartiles: float
    deviation: float


@dataclass(frozen=True)
class Comparison:
    """Seconds of one cell over those of another: below 1 is faster.

    reason: why it is not judged, or what is wanting for a difference to be shown.
    """

    ratio: Interval
    p: float
    floor: float
    verdict: Speed
    reason: str = ""


def spread(medians: npt.ArrayLike) -> Spread:
    """Spread of (n,) values; the deviation is from the median, not scaled to a normal one."""
    values = np.asarray(medians, dtype=np.float64)
    low, high = np.quantile(values, [0.25, 0.75])
    return Spread(
        float(values.min()),
        float(high - low),
        float(np.median(np.abs(values - np.median(values)))),
    )


def paired_ratio(times: Times, others: Times) -> Interval:
    """Median over the blocks of the ratio `times / others`, with its bootstrap interval.

    The median is taken of the logarithms, so that the ratio the other way round is the inverse.
    Blocks are resampled (percentile method, seeded). Below `ENOUGH_PROCESSES` blocks the range of
    the blocks' ratios takes its place.

    Args:
        times, others: seconds by block; blocks that are not in both are left out.
    """
    blocks = [block for block in times if block in others]
    logs = np.array([log(times[block] / others[block]) for block in blocks])
    if not logs.size:
        return Interval(float("nan"))
    value = float(np.median(logs))
    if logs.size == 1:
        return Interval(exp(value))
    if logs.size < ENOUGH_PROCESSES:
        return Interval(exp(value), exp(logs.min()), exp(logs.max()), is_range=True)
    draws = np.random.default_rng(_SEED).choice(logs, size=(_RESAMPLES, logs.size))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.median(draws, axis=1), [tail, 1 - tail])
    return Interval(exp(value), exp(float(low)), exp(float(high)))


def noise_floor(pairs: Sequence[tuple[Times, Times]]) -> float:
    """How far from 1 a ratio of equal cells may lie, as a share; NaN without an A/A pair.

    The far end of the interval of the A/A ratio, over the blocks of all pairs: the ratio itself can
    be near 1 by luck. With one block in common there is no interval and no floor.

    Args:
        pairs: seconds by block of a cell and of its second runs, for each cell that has them.
    """
    first: dict[Hashable, float] = {}
    second: dict[Hashable, float] = {}
    for number, (times, again) in enumerate(pairs):  # a block of two cells is two blocks here
        first |= {(number, block): seconds for block, seconds in times.items()}
        second |= {(number, block): seconds for block, seconds in again.items()}
    ratio = paired_ratio(first, second)
    if isnan(ratio.low):
        return float("nan")
    return exp(max(abs(log(ratio.low)), abs(log(ratio.high)))) - 1


def compare(times: Times, others: Times, *, floor: float, barred: str = "") -> Comparison:
    """Compare two cells by the seconds of their processes, in the blocks that hold both.

    Args:
        times, others: seconds by block.
        floor: see `noise_floor`.
        barred: why no verdict may be given whatever the numbers say; empty when it may.
    """
    ratio = paired_ratio(times, others)
    blocks = [block for block in times if block in others]
    p = mann_whitney([times[block] for block in blocks], [others[block] for block in blocks])

    def without(reason: str) -> Comparison:
        return Comparison(ratio, p, floor, NOT_JUDGED, reason)

    if barred:
        return without(barred)
    if isnan(ratio.value):
        return without("no block holds both")
    if isnan(floor):
        return without("no A/A pair of several processes shows the noise floor")
    if smallest_p(len(blocks), len(blocks), paired=False) >= SURE:
        count = f"{len(blocks)} against {len(blocks)} processes"
        return without(f"{count} cannot give p < {SURE:g}")
    least = max(LEAST_RATIO, floor)
    if p < SURE and abs(log(ratio.value)) > log(1 + least):
        return Comparison(ratio, p, floor, FASTER if ratio.value < 1 else SLOWER)
    wanting = f"p = {p:.2g}" if p >= SURE else f"within {100 * least:.1f} % of 1"
    return Comparison(ratio, p, floor, UNDECIDED, wanting)
