"""Norm-wise distance of arrays; NaN, infinity or unequal shapes anywhere give inf.

Elementwise relative error says nothing: logits near zero give 1e-3.
"""

from __future__ import annotations

import numpy as np


def largest(value: np.ndarray, reference: np.ndarray) -> float:
    """max|value - reference| / max|reference|, in float64."""
    if np.shape(value) != np.shape(reference):
        return float("inf")
    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    difference = float(np.max(np.abs(value - reference), initial=0.0))
    return ratio(difference, float(np.max(np.abs(reference), initial=0.0)))


def ratio(difference: float, size: float) -> float:
    """difference / size; 0 of nothing, and infinite of what is not finite."""
    if not np.isfinite(difference) or not np.isfinite(size):
        return float("inf")
    if size == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / size
