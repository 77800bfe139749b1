"""Steps in a long series: where it changed level, as a pure function of the values.

The series is cut into stretches of constant level by optimal partitioning (Jackson et al. 2005,
IEEE Signal Processing Letters 12, 105): the least sum of squared deviations plus a penalty for
each stretch. It is the criterion of ruptures' `Pelt` and `KernelCPD(kernel="linear")`, against
which it is tested; written here because importing that library takes longer than a whole command
may. Before it, single outliers are drawn in; after it, a step has to be large enough and to pass a
rank test.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from results.stats.ranks import mann_whitney, smallest_p
from results.stats.vocabulary import LEAST_RATIO, SURE

MINIMUM_SEGMENT = 4
_CLIP = 3.0  # robust standard deviations from the running median that a point may stand out by
_WINDOW = 5


@dataclass(frozen=True)
class Step:
    """One change of level.

    Attributes:
        index: the first point after the step.
        before, after: median of the stretches on either side.
        p: of the Mann-Whitney test between the two stretches.
    """

    index: int
    before: float
    after: float
    p: float

    @property
    def ratio(self) -> float:
        """after / before."""
        return self.after / self.before


def steps(
    values: npt.ArrayLike,
    *,
    minimum_segment: int = MINIMUM_SEGMENT,
    minimum_size: float = LEAST_RATIO,
) -> list[Step]:
    """The steps of a series, in its order.

    Args:
        values: (n,) values above 0 in the order of time.
        minimum_segment: points that a level has to last.
        minimum_size: relative change below which a step is not one.

    Raises:
        ValueError: a value that is not above 0, or a minimum segment below 2.
    """
    series = np.asarray(values, dtype=np.float64)
    if minimum_segment < 2:
        raise ValueError(f"a minimum segment of {minimum_segment} points; it must be at least 2")
    if series.size and not (np.isfinite(series).all() and series.min() > 0):
        raise ValueError("a value of the series is not above 0")
    if series.size < 2 * minimum_segment:
        return []
    logs = np.log(series)
    noise = _noise(logs)
    drawn_in = _clipped(logs, noise)
    # Schwarz's criterion (1978) for a level and a place; the variance is that of the points.
    penalty = 3 * np.log(series.size) * max(noise, 1e-9) ** 2
    bounds = [0, *partition(drawn_in, penalty, minimum_segment), series.size]
    while len(bounds) > 2:
        found = [
            _step(series, *bounds[place - 1 : place + 2]) for place in range(1, len(bounds) - 1)
        ]
        weak = [
            step
            for step in found
            if abs(np.log(step.ratio)) < np.log1p(minimum_size)
            or not _is_sure(step, bounds)
            or not _lasts(step, series, bounds, minimum_segment)
        ]
        if not weak:
            return found
        least = min(weak, key=lambda step: abs(np.log(step.ratio)))
        bounds.remove(least.index)
    return []


def partition(values: npt.NDArray[np.float64], penalty: float, least: int) -> list[int]:
    """First indices of all stretches but the first: the least squared deviation plus penalties.

    Args:
        values: (n,).
        penalty: what a further stretch has to save, in squared units.
        least: points of a stretch at least.
    """
    n = values.size
    centred = values - values.mean()  # so that the sums below lose no digits
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    squares = np.concatenate([[0.0], np.cumsum(centred**2)])
    best = np.full(n + 1, np.inf)
    best[0] = -penalty
    cut = np.zeros(n + 1, dtype=np.int64)
    for end in range(least, n + 1):
        starts = np.arange(end - least + 1)
        lengths = end - starts
        cost = squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / lengths
        total = best[starts] + np.maximum(cost, 0.0) + penalty
        cut[end] = int(np.argmin(total))
        best[end] = total[cut[end]]
    found: list[int] = []
    place = int(cut[n])
    while place > 0:
        found.append(place)
        place = int(cut[place])
    return found[::-1]


def _step(series: npt.NDArray[np.float64], start: int, place: int, end: int) -> Step:
    before, after = series[start:place], series[place:end]
    p = mann_whitney(before, after)
    return Step(place, float(np.median(before)), float(np.median(after)), p)


def _is_sure(step: Step, bounds: list[int]) -> bool:
    """Whether the rank test agrees, or the stretches are too short for it to."""
    place = bounds.index(step.index)
    sizes = step.index - bounds[place - 1], bounds[place + 1] - step.index
    return step.p < max(SURE, 1.01 * smallest_p(*sizes, paired=False))


def _lasts(step: Step, series: npt.NDArray[np.float64], bounds: list[int], least: int) -> bool:
    """Whether so many points on either side lie nearer to their own level than to the other."""
    place = bounds.index(step.index)
    above = series > np.sqrt(step.before * step.after)
    sides = above[bounds[place - 1] : step.index], above[step.index : bounds[place + 1]]
    rises = step.after > step.before
    return bool(min((sides[0] != rises).sum(), (sides[1] == rises).sum()) >= least)


def _noise(logs: npt.NDArray[np.float64]) -> float:
    """Robust standard deviation of the points about their level, from successive differences."""
    moves = np.diff(logs)
    return float(1.4826 * np.median(np.abs(moves - np.median(moves))) / np.sqrt(2))


def _clipped(logs: npt.NDArray[np.float64], noise: float) -> npt.NDArray[np.float64]:
    """The series with single outliers drawn in to the running median (Hampel's filter)."""
    half = _WINDOW // 2
    padded = np.pad(logs, half, mode="edge")
    running = np.median(np.lib.stride_tricks.sliding_window_view(padded, _WINDOW), axis=1)
    return np.clip(logs, running - _CLIP * noise, running + _CLIP * noise)
