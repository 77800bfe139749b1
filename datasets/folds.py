"""Folds of a cross-validation: parts of all galaxies, each with its share of every class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from results import words

if TYPE_CHECKING:
    import numpy as np


def fold_of(text: str) -> tuple[int, int]:
    """K and N of "K/N", the K-th of N folds, from 1.

    Raises:
        ValueError: it is not of this form, or there is no such fold.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count or count < 2:
        raise ValueError(f"fold: is '{text}'; give K/N, as in 1/5: the first of five, up to 5/5")
    return number, count


def fold_first(
    rank: np.ndarray, unit_labels: np.ndarray, sizes: np.ndarray, number: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks by which the units of a fold come first in their classes, and how many each has."""
    import numpy as np  # a command's --help reads `fold_of` alone

    small = np.flatnonzero((sizes > 0) & (sizes < count))
    if len(small):
        galaxies = words.count(int(sizes[small[0]]), "galaxy")
        raise ValueError(
            f"fold: class {small[0]} has {galaxies}, and {count} folds need as "
            "many of each; take fewer folds, or labels of larger classes"
        )
    first_of_class = np.cumsum(sizes) - sizes
    # classes take turns in which fold is the larger
    others = (rank + first_of_class[unit_labels]) % count != number - 1
    order = np.lexsort((rank, others, unit_labels))
    ranked = np.empty_like(rank)
    ranked[order] = np.arange(len(order)) - first_of_class[unit_labels[order]]
    return ranked, np.bincount(unit_labels[~others], minlength=len(sizes))
