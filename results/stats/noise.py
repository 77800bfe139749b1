"""The noise floor: how far from equal two measurements of one and the same code may come out.

A difference below it is not called one, whoever asks: report, gate, compare and micro benchmarks.
"""

from math import expm1, inf, sqrt

import numpy as np
import numpy.typing as npt

from results.stats.changepoints import steps
from results.stats.intervals import median, order_statistics

OF_A_SESSION = 3  # processes of one session from which its median stands for it
NEEDED = 30  # sessions from which their differences tell the drift, and seldom speeds as well
_CALM = 0.75  # share of the differences between sessions that true changes leave alone
_OF_A_NORMAL = 1.1503  # that quantile of a normal deviate's absolute value
_BEYOND = 2.81  # standard deviations; a normal deviate is above them in 1 of 400
_FEW = 5.0  # how much more for a spread that is estimated from few values
_JUMP = 1.5  # times the largest move: another as large may come, and of heavy tails a larger one


def noise_floor(differences: npt.ArrayLike, *, equal: bool, place: int | None = None) -> float:
    """The noise floor: the largest deviation from 1 of the ratio of two equal cells (0.02 for 2 %).

    For equal cells it is the end farther from 0 of the exact interval (or range) of the median of
    their differences. For others, noise is the distance from their median, with either sign. The
    k-th largest of n is then the (2k - 1)-th among n absolute values: the values and their mirror
    images are twice as many. So the floor is that one, with k of `order_statistics`.

    Args:
        differences: (n,) of logarithms, one a pair of processes; or the logarithms of one cell's n
            processes, times the root of 1 + n / m for a comparison with m others.
        equal: True if the cells are equal (A/A): then a median off 0 is noise, too.
        place: k, where it is not that of `order_statistics`.

    Returns:
        The floor; infinite with fewer than two differences.
    """
    values = np.asarray(differences, dtype=np.float64)
    found = median(values, place=place)
    if not found.name:
        return inf
    if equal:
        return expm1(max(-found.low, found.high))
    if place is None:
        place, _ = order_statistics(values.size)
    return expm1(np.sort(np.abs(values - found.value))[1 - 2 * place])


def drift_floor(medians: npt.ArrayLike, apart: int = 1) -> float:
    """The largest expected difference of two sessions of one code, from sessions in a row.

    A stored baseline was measured in another hour than the candidate, and the processes of one hour
    say nothing of that. The sessions kept in a history do. Successive ones are taken to differ
    independently: what allows for autocorrelation belongs here.

    Successive sessions differ by drift and noise, by rare jumps of a machine that has two speeds,
    and now and then by a true change. The steps of `changepoints` are taken for true changes and
    left out. The floor is the larger of two: a multiple of the spread, which is taken from the 75 %
    quantile of the absolute log ratios, and 1.5 times the largest of them. The factor
    2.81 (1 + 5 / (moves - 1)) was found by simulation: the floor is passed in one direction by at
    most 0.4 % of sessions whose levels are independent or a random walk. A machine that is slow in
    a share p of sessions and was not in any of n kept ones deceives it in p (1 - p)^n of tries, at
    most 1.2 % for 30 (`selftest --simulate 200 --noise all`).

    Args:
        medians: (n,) of sessions in the order of time, above 0.
        apart: how many sessions the later of the two is behind the earlier. The level is taken to
            wander, so that the floor grows with the root of it.

    Returns:
        The floor as a share; NaN for fewer than `NEEDED` sessions, which say too little.
    """
    logs = np.log(np.asarray(medians, dtype=np.float64))
    if logs.size < NEEDED:
        return float("nan")
    changed = [step.index - 1 for step in steps(np.exp(logs))]
    moves = np.delete(np.abs(np.diff(logs)), changed)
    spread = float(np.quantile(moves, _CALM)) / _OF_A_NORMAL
    few = 1 + _FEW / (moves.size - 1)
    return expm1(max(_BEYOND * few * spread, _JUMP * float(moves.max())) * sqrt(apart))
