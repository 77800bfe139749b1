"""Is one cell faster than another? Pure functions of the processes' median times.

A cell is a configuration run in several processes; a block holds one process of each cell, run
close together in time. The words "faster" and "slower" are used only when an exact Mann-Whitney
test over the processes gives p < `SURE` and the ratio over paired blocks lies beyond both
`LEAST_RATIO` and the noise floor, which A/A pairs show: a cell run twice in one block.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import exp, isinf, isnan, log

import numpy as np
import numpy.typing as npt

from results import words
from results.stats.intervals import Interval, median
from results.stats.ranks import mann_whitney, smallest_p
from results.stats.vocabulary import (
    FASTER,
    LEAST_RATIO,
    NOT_JUDGED,
    SLOWER,
    SURE,
    UNDECIDED,
    Speed,
)

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


def log_ratios(times: Times, others: Times) -> npt.NDArray[np.float64]:
    """log(times / others) in each block that is in both."""
    return np.array([log(times[block] / others[block]) for block in times if block in others])


def paired_ratio(times: Times, others: Times) -> Interval:
    """Median over the blocks of the ratio `times / others`, with its exact interval or range.

    The median is taken of the logarithms, so that the ratio the other way round is the inverse.

    Args:
        times, others: seconds by block; blocks that are not in both are left out.
    """
    return median(log_ratios(times, others)).through(exp)


def compare(times: Times, others: Times, *, floor: float, barred: str = "") -> Comparison:
    """Compare two cells by the seconds of their processes, in the blocks that hold both.

    Args:
        times, others: seconds by block.
        floor: see `results.stats.noise`.
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
    if isinf(floor):
        return without("no A/A pair of several processes shows the noise floor")
    if smallest_p(len(blocks), len(blocks), paired=False) >= SURE:
        count = f"{len(blocks)} against {words.count(len(blocks), 'process')}"
        return without(f"{count} cannot give p < {SURE:g}")
    least = max(LEAST_RATIO, floor)
    if p < SURE and abs(log(ratio.value)) > log(1 + least):
        return Comparison(ratio, p, floor, FASTER if ratio.value < 1 else SLOWER)
    wanting = f"p = {p:.2g}" if p >= SURE else f"within {100 * least:.1f} % of 1"
    return Comparison(ratio, p, floor, UNDECIDED, wanting)
