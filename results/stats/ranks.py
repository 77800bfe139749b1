"""Exact rank tests, ties included, as pure functions of the values.

SciPy's exact forms assume that no two values are equal; here the distribution is that of the
midranks at hand, counted by dynamic programming over all assignments (Streitberg & Roehmel 1986,
Computational Statistics Quarterly 2, 23). Only NumPy is needed, which keeps the commands quick.
"""

from math import comb, erfc, sqrt

import numpy as np
import numpy.typing as npt

_EXACT_UP_TO = 100  # values in all; beyond, the normal approximation with its tie correction


def mann_whitney(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Two-sided p value that two independent samples come from one distribution.

    Mann & Whitney 1947, Ann. Math. Stat. 18, 50: the rank sum of the first sample against all ways
    to choose as many of the pooled values.

    Args:
        first, second: (n,) and (m,) finite values.

    Returns:
        NaN where a sample is empty.
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if not x.size or not y.size:
        return float("nan")
    ranks = _doubled_midranks(np.concatenate([x, y]))
    n, total = x.size, ranks.size
    observed = int(ranks[:n].sum())
    centre = n * (total + 1)  # of the doubled rank sum
    if total > _EXACT_UP_TO:
        spread = float(np.sum((ranks - (total + 1.0)) ** 2)) / total  # of one doubled rank
        variance = spread * n * (total - n) / (total - 1)
        return _normal(observed - centre, variance)
    # ways[k, s]: subsets of k values with doubled rank sum s
    ways = np.zeros((n + 1, int(ranks.sum()) + 1))
    ways[0, 0] = 1
    for rank in ranks:
        for size in range(n, 0, -1):
            ways[size, rank:] += ways[size - 1, : ways.shape[1] - rank]
    return _tail(ways[n], observed, centre)


def signed_rank(differences: npt.ArrayLike) -> float:
    """Two-sided p value that paired differences are symmetric about 0.

    Wilcoxon 1945, Biometrics Bulletin 1, 80, over all assignments of signs; differences of exactly
    0 say nothing and are left out, as he did.

    Args:
        differences: (n,) finite values.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    if not values.size:
        return 1.0
    ranks = _doubled_midranks(np.abs(values))
    observed = int(ranks[values > 0].sum())
    total = int(ranks.sum())
    if values.size > _EXACT_UP_TO:
        return _normal(observed - total / 2, float(np.sum(ranks.astype(np.float64) ** 2)) / 4)
    ways = np.zeros(total + 1)
    ways[0] = 1
    for rank in ranks:
        ways[rank:] = ways[rank:] + ways[: ways.size - rank]
    return _tail(ways, observed, total / 2)


def smallest_p(first: int, second: int, *, paired: bool) -> float:
    """The lowest p value that samples of these sizes can reach: below it nothing can be shown."""
    if paired:
        return min(1.0, 2.0 ** (1 - min(first, second)))
    return min(1.0, 2 / comb(first + second, first))


def _doubled_midranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Twice the mean rank of each value, from 1, whole numbers."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (2 * last - counts + 1)[which]


def _tail(ways: npt.NDArray[np.float64], observed: int, centre: float) -> float:
    """Share of the ways at least as far from the centre as what was observed."""
    distance = np.abs(np.arange(ways.size) - centre)
    return float(min(1.0, ways[distance >= abs(observed - centre)].sum() / ways.sum()))


def _normal(distance: float, variance: float) -> float:
    return erfc(abs(distance) / sqrt(2 * variance)) if variance > 0 else 1.0
