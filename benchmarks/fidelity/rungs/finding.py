"""One rung of one case judged: what is found between two traces, against a bound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmarks.fidelity.cases.case import Case, Material
from benchmarks.fidelity.measure.collect import Trace
from benchmarks.fidelity.rungs import bounds
from benchmarks.fidelity.rungs.causes import likely_cause


@dataclass(frozen=True)
class Finding:
    """One rung of one case for one framework against another (or the reference "numpy").

    status: passed, failed, or not run. where: the first layer, tensor or step beyond the bound;
    when it passed, the one with the largest error. flips: ReLUs and max-pools that changed side.
    """

    rung: str
    case: str
    framework: str
    against: str
    precision: str
    metric: str
    value: float
    bound: float
    status: str
    where: str = ""
    cause: str = ""
    flips: int = 0


@dataclass(frozen=True)
class Pair:
    """Two traces of one case, and what judging them needs."""

    case: Case
    trace: Trace
    other: Trace

    @property
    def material(self) -> Material:
        """Network, weights and batches of the case."""
        return _material(self.case)

    def bound(self, rung: str) -> float:
        """The bound of a rung for this case."""
        case = self.case
        return bounds.bound(rung, self.material.network, case.precision, case.recipe.optimizer)

    def worst(
        self,
        rung: str,
        metric: str,
        found: Iterable[tuple[str, float]],
        bound: float,
        flips: int = 0,
    ) -> Finding:
        """A finding from (where, error) in order: the first beyond the bound, else the largest."""
        pairs = list(found)
        beyond = [pair for pair in pairs if not pair[1] <= bound]
        where, _ = beyond[0] if beyond else max(pairs, key=lambda pair: pair[1])
        largest = float(np.max([value for _, value in pairs]))  # NaN if any is, wherever it stands
        return self.finding(rung, metric, largest, bound, where=where, flips=flips)

    def finding(
        self, rung: str, metric: str, value: float, bound: float, *, where: str = "", flips: int = 0
    ) -> Finding:
        """Passed when the value is within the bound; NaN fails."""
        status = "passed" if value <= bound else "failed"
        cause = likely_cause(rung, where, self.material.network) if status == "failed" else ""
        return Finding(
            rung,
            self.case.name,
            self.trace.framework,
            self.other.framework,
            self.case.precision,
            metric,
            value,
            bound,
            status,
            where,
            cause,
            flips,
        )


@lru_cache(maxsize=2)
def _material(case: Case) -> Material:
    """Material common to the pairs of a case, which are judged one after the other."""
    return Material(case)


def not_run(pair: Pair, rung: str, reason: str) -> Finding:
    """A rung that could not be measured: never passed."""
    return Finding(
        rung,
        pair.case.name,
        pair.trace.framework,
        pair.other.framework,
        pair.case.precision,
        "",
        float("nan"),
        float("nan"),
        "not run",
        cause=reason,
    )
