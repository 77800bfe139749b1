"""A session's progress, told in a file of the store too, for `python -m report serve`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.process.launch import Event, Outcome
from benchmarks.runner.progress import Progress, Tracker
from results import live
from results.forms import finite

_EVERY_SECONDS = 1.0
_NEXT = 10


class ToldProgress:
    """Shows a session as another progress does, and keeps the file that says where it is.

    Args:
        shown: the progress on the terminal.
        store: the directory of the runs.
        session: names the file.
    """

    def __init__(self, shown: Progress, tracker: Tracker, store: Path, session: str) -> None:
        self._shown, self._tracker, self._store, self._session = shown, tracker, store, session
        self._curves: list[dict[str, Any]] = []
        self._done: list[dict[str, Any]] = []
        self._told = float("-inf")

    def note(self, text: str) -> None:
        self._shown.note(text)

    def started(self) -> None:
        self._curves = []
        self._shown.started()
        self._tell()

    def event(self, event: Event) -> None:
        if event["event"] == "epoch":
            fields = ("epoch", "split", "loss", "accuracy")
            self._curves += [{name: row.get(name) for name in fields} for row in event["rows"]]
        self._shown.event(event)
        self._tell_sometimes()

    def tick(self) -> None:
        self._shown.tick()
        self._tell_sometimes()

    def ended(self, outcome: Outcome) -> None:
        self._done.append(
            {
                "label": self._tracker.run.label(),
                "status": outcome.status,
                "reason": outcome.reason,
                "accuracy": finite(outcome.facts.get("test_accuracy")),
                "seconds": finite(outcome.wall_seconds),
            }
        )
        self._shown.ended(outcome)
        self._tell()

    def close(self) -> None:
        self._shown.close()
        live.end(self._store, self._session)

    def _tell_sometimes(self) -> None:
        if time.perf_counter() - self._told >= _EVERY_SECONDS:
            self._tell()

    def _tell(self) -> None:
        tracker = self._tracker
        self._told = time.perf_counter()
        state = {
            "session": self._session,
            "number": tracker.number,
            "runs": len(tracker.runs),
            "label": tracker.run.label(),
            "phase": tracker.phase,
            "epoch": tracker.epoch,
            "epochs": tracker.run.config.recipe.epochs,
            "images_per_second": finite(tracker.images_per_second()),
            "seconds_left": finite(tracker.seconds_left()),
            "curves": finite(self._curves),
            "done": self._done[-50:],
            "next": [run.label() for run in tracker.runs[tracker.number :][:_NEXT]],
        }
        live.tell(self._store, self._session, state)
