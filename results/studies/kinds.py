"""Kinds of published figures: what values are possible, and how exact our runs must be.

A figure lies in a wide interval whatever is true. So that many noisy seeds do not make it
"reproduced", each kind has a widest half-width of the interval that another run is expected in,
set before anything was compared; in a wider one nothing counts as reproduced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from results.studies.reported import Reported

# The repeats that are known of PHYS449's trainings differ by 0.3 to 2.2 points, its C1 and C2 by
# 1.5 to 2.8. In more than 5 points either way the one network's figure would do for the other's.
WIDEST_SHARE = 0.05
# A recall is of one class, and UNAM's have 3 to 1,399 test galaxies: the luck of 200 of theirs and
# 200 of ours leaves up to 10 points by itself.
WIDEST_RECALL = 0.10
# Nats. To name the classes by their frequency costs 0.88 (three classes of Galaxy10), 1.06 (four)
# or 1.75 (ten); C1 and C2 get 0.5 to 0.6 below. A quarter is half of that.
WIDEST_LOSS = 0.25
# Of the epochs trained: an epoch picked blindly lies within a quarter of the middle half the time.
WIDEST_EPOCHS = 0.25
# Of the reported time.
WIDEST_SECONDS = 0.25


@dataclass(frozen=True)
class Kind:
    """Kind of figure: its bounds, unit and rounding.

    Attributes:
        lowest, highest: bounds of its values.
        widest: half-width of the interval for another run, beyond which nothing is reproduced.
        unit: in words.
        in_unit: factor from a value to this unit.
        decimals: of a half-width in that unit.
    """

    lowest: float
    highest: float
    widest: float
    unit: str
    in_unit: float = 1.0
    decimals: int = 2

    def clipped(self, low: float, high: float) -> tuple[float, float]:
        """The bounds without what cannot be; NaN stays NaN."""
        if math.isnan(low) or math.isnan(high):
            return low, high
        return max(self.lowest, low), min(self.highest, high)

    def too_wide(self, half: float, blame: str, remedy: str) -> str:
        """Reason in words why nothing counts as reproduced: the interval is too wide."""
        shown, most = half * self.in_unit, self.widest * self.in_unit
        return f"{blame} ± {shown:.{self.decimals}f} {self.unit} (at most {most:.3g}){remedy}"


def kind_of(reported: Reported, epochs: int | None = None) -> Kind:
    """The kind of a reported figure.

    Args:
        epochs: that our runs trained at most; None where not known.
    """
    metric = reported.metric
    if metric == "recall":
        return Kind(0.0, 1.0, WIDEST_RECALL, "points", 100.0)
    if metric.endswith("accuracy"):
        return Kind(0.0, 1.0, WIDEST_SHARE, "points", 100.0)
    if metric.endswith("_epoch"):
        last = math.inf if epochs is None else float(epochs)
        return Kind(1.0, last, WIDEST_EPOCHS * last, "epochs", decimals=1)
    if metric.endswith("loss"):
        return Kind(0.0, math.inf, WIDEST_LOSS, "nats", decimals=3)
    if metric == "epoch_seconds":
        return Kind(0.0, math.inf, WIDEST_SECONDS * reported.value, "s")
    return Kind(0.0, math.inf, math.inf, "")
