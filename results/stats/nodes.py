"""Variation among machines of one kind: variance between nodes and within them.

One-way random effects on the logarithms of times, so that a deviation is a share. With n_i values
of a nodes, N in all, the mean squares MSA between and MSE within give the estimates (analysis of
variance, unbalanced: Searle, Casella and McCulloch 1992, Variance Components, section 3.6)

    within = MSE,   between = (MSA - MSE) / n_0,   n_0 = (N - sum n_i^2 / N) / (a - 1)

where a negative between is taken for 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Components:
    """Standard deviations between nodes and within a node, of the logarithms of times.

    NaN where it cannot be told: between of one node, or of nodes with one value each; within where
    no node has two values.
    """

    nodes: int
    values: int
    between: float
    within: float


def components(groups: Sequence[npt.ArrayLike]) -> Components:
    """Estimate both from the values (n_i,) of each node; nodes without values are left out."""
    given = [np.asarray(one, dtype=np.float64) for one in groups]
    given = [one for one in given if one.size]
    nodes, total = len(given), sum(one.size for one in given)
    if total <= nodes:
        return Components(nodes, total, nan, nan)
    inside = sum(float(((one - one.mean()) ** 2).sum()) for one in given) / (total - nodes)
    if nodes < 2:
        return Components(nodes, total, nan, sqrt(inside))
    mean = sum(float(one.sum()) for one in given) / total
    among = sum(one.size * float(one.mean() - mean) ** 2 for one in given) / (nodes - 1)
    size = (total - sum(one.size**2 for one in given) / total) / (nodes - 1)
    return Components(nodes, total, sqrt(max(0.0, (among - inside) / size)), sqrt(inside))


def of_times(seconds: Mapping[str, Sequence[float]]) -> Components:
    """Components of times in seconds by node, as shares of a time."""
    return components([np.log(np.asarray(one, dtype=np.float64)) for one in seconds.values()])
