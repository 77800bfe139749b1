"""Steps in a long series: where it changed level, as a pure function of the values.

A step is called where the means of the stretches before and after a place differ by much more than
each stretch moves within itself. That is the self-normalised test of Shao and Zhang (2010, JASA
105, 1228), with the nested windows of Zhao, Jiang and Shao (2022, JRSS B 84, 1699): it needs no
estimate of the noise or of its autocorrelation. Its limit is that of a random walk, the hardest
series without a step, and of the largest value over all places and windows. Noise that is
independent, autocorrelated or heavy-tailed passes it less often (`selftest --noise all`).

A host of two speeds makes real steps that no code made. It gives itself away by going back: a step
counts only where the series does not go there and back between its two levels.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
import numpy.typing as npt

from results.stats.vocabulary import LEAST_RATIO
from results.words import count

MINIMUM_SEGMENT = 6
LEAST_SEGMENT = 4  # of a shorter stretch the movement within itself says nothing
FALSE_STEPS = 0.05  # of the series without any, at most so many may show one
_CLIP = 3.0  # robust standard deviations from the running median that a point may stand out by
_WINDOW = 5
_LONGER = 1.5  # from one window to the next
_UNEVEN = 4  # times the other side, that a window's longer side is
_BEYOND = 0.75  # share of a step beyond which the series is at its other level
# A host keeps a speed for this share of the history at most, and for so many points.
_STAY, _LONGEST_STAY = 1 / 4.8, 20
_ROUNDING = 1e-24  # squared logarithms: what is below is none of the series' own movement
_PER_SINGLE = 30  # points of a series, for each that may stand out besides one

# Shortest stretch -> (points, limit): the 97 % quantile of `largest_statistics` in 2,000 random
# walks, 80 of the longest; tests/results/test_changepoints.py draws them again.
_LIMITS: dict[int, tuple[tuple[int, float], ...]] = {
    4: ((12, 300), (16, 410), (20, 480), (30, 620), (60, 830), (130, 1300), (700, 1700)),
    6: ((12, 100), (16, 285), (20, 350), (30, 520), (60, 715), (130, 905), (700, 1400)),
}

Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """One change of level.

    Attributes:
        index: the first point after the step.
        before, after: median of the stretches on either side.
        floor: what levels of this series differ by without any step, a share: a step is beyond.
    """

    index: int
    before: float
    after: float
    floor: float

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
        ValueError: a value that is not above 0, or a minimum segment below 4.
    """
    series = np.asarray(values, dtype=np.float64)
    if minimum_segment < LEAST_SEGMENT:
        raise ValueError(
            f"a minimum segment of {count(minimum_segment, 'point')}; it must be at least "
            f"{LEAST_SEGMENT}, since what moves within a shorter one cannot be told from a step"
        )
    if series.size and not (np.isfinite(series).all() and series.min() > 0):
        raise ValueError("a value of the series is not above 0")
    if series.size < 2 * minimum_segment:
        return []
    found = _found(np.log(series), minimum_segment, np.log1p(minimum_size), 0)
    bounds = [0, *sorted(found), series.size]
    medians = [float(np.median(series[start:end])) for start, end in itertools.pairwise(bounds)]
    return [
        Step(place, medians[number], medians[number + 1], float(np.expm1(found[place])))
        for number, place in enumerate(bounds[1:-1])
    ]


def _found(logs: Values, least: int, smallest: float, offset: int) -> dict[int, float]:
    """The steps of a stretch with their floors (log ratios): the surest, then of both its sides."""
    if logs.size < 2 * least:
        return {}
    places, sizes, strength = _surest(_clipped(logs), least)
    limit = limit_of(logs.size, least)
    for place, size, strong in zip(places, sizes, strength, strict=True):
        if strong <= limit:
            break
        if abs(size) < smallest or not _stays(logs, int(place)):
            continue
        own = abs(size) * np.sqrt(limit / strong)
        return {
            offset + int(place): float(own),
            **_found(logs[:place], least, smallest, offset),
            **_found(logs[place:], least, smallest, offset + int(place)),
        }
    return {}


def _surest(logs: Values, least: int) -> tuple[Places, Values, Values]:
    """The surest window at each place: (place, difference of levels, statistic), surest first."""
    place, before, after = _windows(logs.size, least)
    strength, size = _statistics(logs[None], place, before, after)
    order = np.argsort(-strength[0], kind="stable")
    _, first = np.unique(place[order], return_index=True)
    kept = order[np.sort(first)]
    return place[kept], size[0][kept], strength[0][kept]


def largest_statistics(series: Values, least: int) -> Values:
    """(series,) the largest statistic of each row (points,): what `limit_of` is a quantile of."""
    strength, _ = _statistics(series, *_windows(series.shape[1], least))
    largest: Values = strength.max(axis=1)
    return largest


def limit_of(points: int, least: int) -> float:
    """The limit of the statistic: 3 % of random walks of so many points exceed it.

    The share is less than `FALSE_STEPS`, which leaves room for a second look at what a first step
    leaves.
    """
    shortest = max(size for size in _LIMITS if size <= least)
    known, limits = zip(*_LIMITS[shortest], strict=True)
    slope = (limits[-1] - limits[-2]) / np.log(known[-1] / known[-2])
    beyond = limits[-1] + slope * np.log(max(points, known[-1]) / known[-1])
    return float(np.interp(np.log(points), np.log(known), (*limits[:-1], beyond)))


@lru_cache(maxsize=16)
def _windows(points: int, least: int) -> tuple[Places, Places, Places]:
    """(place, points before, points after) of all windows: lengths in steps of a half, and to the
    ends of the series."""
    lengths = [least]
    while lengths[-1] * _LONGER < points:
        lengths.append(int(np.ceil(lengths[-1] * _LONGER)))
    found = [
        (place, before, after)
        for place in range(least, points - least + 1)
        for before in {*(one for one in lengths if one < place), place}
        for after in {*(one for one in lengths if one < points - place), points - place}
        if max(before, after) <= _UNEVEN * min(before, after)
    ]
    place, before, after = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return place, before, after


def _statistics(
    series: Values, place: Places, before: Places, after: Places
) -> tuple[Values, Values]:
    """The self-normalised statistic in every window, and the difference of the two means.

    With L points of which l lie before the place k, and means m and m':
    (l (L - l) / L (m' - m))^2 / L over the sum of the squares of both sides' own bridges
    S(t) - t / l S(l) / L^2. Sums over a window are differences of sums from the first point on.

    Args:
        series: (r, n).

    Returns:
        Both (r, windows).
    """
    centred = series - series.mean(axis=1, keepdims=True)
    sums = np.pad(np.cumsum(centred, axis=1), ((0, 0), (1, 0)))
    numbered = np.arange(sums.shape[1])
    parts = tuple(
        np.pad(np.cumsum(one, axis=1), ((0, 0), (1, 0))) for one in (sums, sums**2, numbered * sums)
    )
    whole = before + after
    means = [
        (sums[:, end] - sums[:, start]) / (end - start)
        for start, end in ((place - before, place), (place, place + after))
    ]
    size = means[1] - means[0]
    own = _bridges(sums, parts, place - before, place) + _bridges(sums, parts, place, place + after)
    between = (before * after / whole * size) ** 2
    return between * whole / np.maximum(own, _ROUNDING * whole), size


def _bridges(sums: Values, parts: tuple[Values, ...], start: Places, end: Places) -> Values:
    """(r, windows): of each stretch the sum over t of (S(t) - t / l S(l))^2, S from its start."""
    of_sums, of_squares, of_numbered = (one[:, end + 1] - one[:, start] for one in parts)
    length = (end - start).astype(np.float64)
    first, rise = sums[:, start], sums[:, end] - sums[:, start]
    squares = of_squares - 2 * first * of_sums + (length + 1) * first**2
    crossed = of_numbered - start * of_sums - first * length * (length + 1) / 2
    lines = length * (length + 1) * (2 * length + 1) / 6
    return np.maximum(squares - 2 * rise / length * crossed + (rise / length) ** 2 * lines, 0.0)


def _stays(logs: Values, place: int) -> bool:
    """True if the series moves from one level to the other and returns no more often than allowed.

    A few single points that stand out are no going back.
    """
    low, high = np.median(logs[:place]), np.median(logs[place:])
    if high == low:
        return False
    padded = np.pad(logs, 1, mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, 3), axis=1)
    lasting, all_ = (_changes((one - low) / (high - low)) for one in (smooth, logs))
    single = (all_ - lasting) / 2
    return lasting <= changes_allowed(logs.size) and single <= 1 + logs.size // _PER_SINGLE


def _changes(share: Values) -> int:
    """Number of times that a series changes sides.

    Args:
        share: (n,) positions between the two levels: 0 is the first level, 1 the second.
    """
    sides = share[(share > _BEYOND) | (share < 1 - _BEYOND)] > 0.5
    return int((np.diff(sides.astype(int)) != 0).sum())


@lru_cache(maxsize=1024)
def changes_allowed(points: int) -> int:
    """Number of changes allowed between the two levels of a step, at least 1.

    Consider a host of two speeds that keeps each for d points on average. At most `FALSE_STEPS` of
    its series change as seldom as this. d is a share of the series, and at most 20 points.
    """
    chance = 1 / min(max(points * _STAY, 1.0), _LONGEST_STAY)
    allowed, total = 0, (1 - chance) ** (points - 1)
    while True:
        more = allowed + 1
        total += comb(points - 1, more) * chance**more * (1 - chance) ** (points - 1 - more)
        if total > FALSE_STEPS:
            return max(allowed, 1)
        allowed = more


def _noise(logs: Values) -> float:
    """Robust standard deviation of the points about their level, from successive differences."""
    moves = np.diff(logs)
    return float(1.4826 * np.median(np.abs(moves - np.median(moves))) / np.sqrt(2))


def _clipped(logs: Values) -> Values:
    """The series with single outliers drawn in to the running median (Hampel's filter)."""
    noise, half = _noise(logs), _WINDOW // 2
    padded = np.pad(logs, half, mode="edge")
    running = np.median(np.lib.stride_tricks.sliding_window_view(padded, _WINDOW), axis=1)
    return np.clip(logs, running - _CLIP * noise, running + _CLIP * noise)
