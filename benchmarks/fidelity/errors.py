"""Norm-wise errors. Elementwise relative error says nothing: logits near zero give 1e-3.

NaN, infinity or unequal shapes anywhere give inf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

Tensors = Mapping[str, np.ndarray]


def largest(value: np.ndarray, reference: np.ndarray) -> float:
    """max|value - reference| / max|reference|, in float64."""
    if np.shape(value) != np.shape(reference):
        return float("inf")
    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    difference = float(np.max(np.abs(value - reference), initial=0.0))
    return _ratio(difference, float(np.max(np.abs(reference), initial=0.0)))


def relative_l2(value: np.ndarray, reference: np.ndarray) -> float:
    """||value - reference|| / ||reference||, in float64."""
    if np.shape(value) != np.shape(reference):
        return float("inf")
    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    return _ratio(float(np.linalg.norm(value - reference)), float(np.linalg.norm(reference)))


def of_travel(value: Tensors, reference: Tensors, start: Tensors, keys: Iterable[str]) -> float:
    """||value - reference|| / ||reference - start|| over all the tensors of `keys` together:
    the difference as a share of the distance travelled."""
    difference = travelled = 0.0
    for key in keys:
        difference += float(np.sum((np.float64(value[key]) - np.float64(reference[key])) ** 2))
        travelled += float(np.sum((np.float64(reference[key]) - np.float64(start[key])) ** 2))
    return _ratio(difference**0.5, travelled**0.5)


def _ratio(difference: float, size: float) -> float:
    if not np.isfinite(difference) or not np.isfinite(size):
        return float("inf")
    if size == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / size
