"""How much sessions of one code differ by themselves: the drift of a machine between them.

A stored baseline was measured in another hour than the candidate, and the processes of one hour say
nothing of that. The sessions kept in a history do.
"""

from math import exp, sqrt

import numpy as np
import numpy.typing as npt

NEEDED = 10  # sessions from which their differences tell the drift
_CALM = 0.75  # share of the differences between sessions that true changes leave alone
_OF_A_NORMAL = 1.1503  # that quantile of a normal deviate's absolute value
_BEYOND = 2.81  # standard deviations; a normal deviate is above them in 1 of 400
_FEW = 5.0  # how much more for a spread that is estimated from few values


def drift_floor(medians: npt.ArrayLike, apart: int = 1) -> float:
    """What two sessions of one code may differ by, from the medians of sessions in a row.

    Successive sessions differ by drift and noise, and now and then by a true change. Their spread
    is taken from the 75 % quantile of their absolute log ratios, which leaves room for a true
    change in a quarter of them. The factor 2.81 (1 + 5 / (moves - 1)) was found by simulation, with
    9 to 49 moves: the floor is passed in one direction by at most 0.4 % of the sessions that
    changed nothing, be their levels independent or a random walk (`selftest --simulate`).

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
    moves = np.abs(np.diff(logs))
    spread = float(np.quantile(moves, _CALM)) / _OF_A_NORMAL
    few = 1 + _FEW / (moves.size - 1)
    return exp(_BEYOND * few * spread * sqrt(apart)) - 1
