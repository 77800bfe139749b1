"""Effects of differences: the distance that each puts between two frameworks, on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np


class Effect(NamedTuple):
    """Factor between two frameworks, and the quantity that it is of in words."""

    times: float = 1.0
    words: str = ""


Values = Mapping[str, Any]


def furthest(found: Sequence[np.ndarray]) -> float:
    """The largest distance between two, by the shorter of them."""
    apart = 0.0
    for one, other in combinations(found, 2):
        short = min(np.linalg.norm(one), np.linalg.norm(other))
        apart = max(apart, float(np.linalg.norm(one - other) / short))
    return apart
