"""The gate on the spot judged as its pairs come in: a cell that is decided is not run further."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.tracking.compare import Judged, compare
from benchmarks.tracking.history import History, Rows
from benchmarks.tracking.metrics import Metric
from results.stats.looks import Look
from results.stats.vocabulary import NO_DATA

if TYPE_CHECKING:
    from results.store import Store


class Sequential:
    """Verdicts on the runs of baseline and candidate, at looks that are fixed beforehand.

    The first verdict on a cell that settles something stands, whatever later pairs say: each look
    has its share of the error.

    Args:
        stores: of the baseline and the candidate, which fill as the gate runs.
        both: a directory for the runs of the two together.
        looks: of `results.stats.looks`; or None, judged once, when the last pair has run.
        planned: the number of pairs, of each framework.
        across: as `compare`.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        both: Path,
        metrics: Sequence[Metric],
        looks: Sequence[Look],
        planned: int,
        across: Collection[str] = (),
    ) -> None:
        self._stores, self._both = stores, both
        self._metrics, self._across = metrics, across
        self._planned = planned
        self._looks = {look.pairs: look for look in looks}
        self._found: dict[tuple[str, str], Judged] = {}

    @property
    def judged(self) -> list[Judged]:
        """The verdicts so far."""
        return sorted(self._found.values(), key=lambda one: one.label)

    def decided(self, framework: str, pairs: int) -> bool:
        """Take a look if there is one after so many pairs; True if every cell is decided.

        Raises:
            ValueError: as `compare`.
        """
        look = self._looks.get(pairs)
        if look is None and pairs < self._planned:
            return False
        judged = self._judge(framework, look)
        for one in judged:
            key = one.label, one.metric.name
            if key not in self._found or not _settled(self._found[key]):
                self._found[key] = one
        cells = {(one.label, one.metric.name) for one in judged}
        return bool(cells) and all(_settled(self._found[key]) for key in cells)

    def _judge(self, framework: str, look: Look | None) -> list[Judged]:
        from results.store import Store

        both = Store(self._both)
        for one in self._stores:
            if one.path.is_dir():
                both.merge(one)
        history = History.read(both)
        sides = [_rows(history, store, framework) for store in self._stores]
        return compare(
            history,
            sides[0],
            sides[1],
            self._metrics,
            both,
            across=self._across,
            interleaved=True,
            look=look,
        )


def _settled(one: Judged) -> bool:
    return one.verdict.verdict != NO_DATA


def _rows(history: History, store: Store, framework: str) -> Rows:
    """The rows of a framework that are in this store."""
    mine = set(store.table(["execution_id"])["execution_id"].to_pylist())
    names = history.values("execution_id", range(len(history)))
    of_store = np.array([name in mine for name in names], dtype=np.bool_)
    return np.flatnonzero(of_store & history.where("framework", framework))
