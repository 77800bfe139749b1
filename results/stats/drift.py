"""Drift: the difference between sessions of one code, and the verdict that allows for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan

import numpy as np
import numpy.typing as npt

from results.stats.noise import NEEDED, drift_floor
from results.stats.verdict import Rule, Verdict, judge, processes_needed
from results.stats.vocabulary import NO_DATA
from results.words import count

LAST = 50  # sessions: what a machine did long ago says little


@dataclass(frozen=True)
class Drift:
    """Expected difference between the sessions of a baseline and of a candidate of one code.

    Attributes:
        sessions: number of sessions that the estimate uses.
        floor: a share; NaN with too few sessions.
    """

    sessions: int
    floor: float

    @classmethod
    def of(cls, medians: npt.ArrayLike, apart: int = 1) -> Drift:
        """Drift of (n,) medians of sessions in the order of time; apart: see `drift_floor`."""
        last = np.asarray(medians, dtype=np.float64)[-LAST:]
        return cls(last.size, drift_floor(last, apart))

    @property
    def known(self) -> bool:
        """True if there are enough sessions."""
        return not isnan(self.floor)

    @property
    def wanting(self) -> str:
        """Reason for the missing floor, and the remedy."""
        return (
            f"measured in different sessions, and {count(self.sessions, 'session')} of this cell "
            f"in the store cannot tell how much sessions differ by themselves: keep {NEEDED} or "
            "more beside the candidate's, or run both on the spot (gate --baseline-checkout DIR)"
        )


def judge_apart(
    baseline: npt.ArrayLike,
    candidate: npt.ArrayLike,
    rule: Rule,
    drift: Drift,
    *,
    sessions: Sequence[object] | None = None,
) -> Verdict:
    """The verdict on processes of different sessions: no-data where their drift is not known.

    Raises:
        ValueError: as `judge`, whose arguments these are.
    """
    floor = drift.floor if drift.known else 0.0
    found = judge(baseline, candidate, rule, sessions=sessions, known_floor=floor)
    if not found.test:  # nothing was measured
        return found
    if drift.known:
        told = f"sessions apart; taken to differ as the {drift.sessions} kept ones do"
        return replace(found, reason=f"{found.reason} ({told})")
    needed = processes_needed(rule.alpha, paired=False)
    too_few = found.verdict == NO_DATA and min(found.n_baseline, found.n_candidate) < needed
    reason = f"{found.reason}; {drift.wanting}" if too_few else drift.wanting
    return replace(found, verdict=NO_DATA, reason=reason)
