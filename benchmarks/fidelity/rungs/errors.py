"""Norm-wise errors of tensors and of whole trainings; that of arrays is in frameworks/errors.py.

NaN, infinity or unequal shapes anywhere give inf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from frameworks.errors import largest as largest
from frameworks.errors import ratio

Tensors = Mapping[str, np.ndarray]


def relative_l2(value: np.ndarray, reference: np.ndarray) -> float:
    """||value - reference|| / ||reference||, in float64."""
    if np.shape(value) != np.shape(reference):
        return float("inf")
    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    return ratio(float(np.linalg.norm(value - reference)), float(np.linalg.norm(reference)))


def within(found: Iterable[tuple[str, float]], bound: float) -> bool:
    """True if every error of (where, error) is within the bound; NaN is not."""
    return all(error <= bound for _, error in found)


def of_travel(value: Tensors, reference: Tensors, start: Tensors, keys: Iterable[str]) -> float:
    """||value - reference|| / ||reference - start|| over all the tensors of `keys` together:
    the difference as a share of the distance travelled."""
    keys = list(keys)
    return share_of_travel(value, reference, start, keys, keys)


def share_of_travel(
    value: Tensors, reference: Tensors, start: Tensors, of: Iterable[str], over: Iterable[str]
) -> float:
    """||value - reference|| over the tensors `of`, as a share of ||reference - start|| over the
    tensors `over`."""
    of = list(of)
    if any(np.shape(value[key]) != np.shape(reference[key]) for key in of):
        return float("inf")
    return ratio(_distance(value, reference, of), _distance(reference, start, over))


def _distance(value: Tensors, other: Tensors, keys: Iterable[str]) -> float:
    """L2 distance over all the tensors together, in float64."""
    return float(
        np.sqrt(sum(np.sum((np.float64(value[key]) - np.float64(other[key])) ** 2) for key in keys))
    )


def of_spread(
    mean: np.ndarray, reference: np.ndarray, variance: np.ndarray, weight: float
) -> float:
    """||mean - reference|| / (weight ||sqrt(variance)||) of the running means (channels,).

    A mean may be near zero, where its own size is no scale at all. What it is taken from is: the
    spread of the channel, by which the batch norm divides. weight: 1 - momentum ** steps, the part
    of the running mean that batches have contributed; a mean that never moved is then as wrong
    after one step as after many.
    """
    if np.shape(mean) != np.shape(reference):
        return float("inf")
    difference = np.linalg.norm(np.float64(mean) - np.float64(reference))
    spread = np.linalg.norm(np.sqrt(np.float64(variance)))
    return ratio(float(difference), float(spread) * weight)


def significant_bits(values: np.ndarray) -> int:
    """The most bits that a significand of these numbers takes: 24 of float32, 11 of float16."""
    significand, _ = np.frexp(np.asarray(values, np.float64))
    whole = np.abs(significand * 2.0**53).astype(np.uint64)
    lowest = whole & (~whole + np.uint64(1))
    return int(np.max(53 - np.log2(lowest[whole > 0]), initial=0.0))
