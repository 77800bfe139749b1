"""The rows of queued blocks as they arrive, and what became of those that do not.

A job that has ended while rows of its block are wanting was broken by its node, by the scheduler or
by someone who cancelled it: those runs are stored as `lost`, with the scheduler's word.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cluster.scheduler import Job, SchedulerError, States
from benchmarks.config.plan import PlannedRun
from benchmarks.process.launch import Outcome
from benchmarks.runner.block import Block
from benchmarks.runner.context import Session
from benchmarks.runner.progress import ending
from benchmarks.runner.row import run_row
from benchmarks.runner.session import Tally
from benchmarks.system import machine
from results.given import GIVEN
from results.names import in_line
from results.store import Store
from results.words import count

_SHORTEST, _LONGEST = 1.0, 10.0  # seconds between two looks
_LOG_BYTES = 4000
_ERROR = "error: "  # begins the last line of a command that was given bad input
# What a row is told by, and what the end of a session looks at.
_COLUMNS = (
    *("run_id", "task_id", "framework", "architecture", "seed", "repeat", "parity", "status"),
    *("reason", "node", "machine_id", "wall_seconds", "test_accuracy", "epochs_trained"),
    *("tested_epoch", *(given.column for given in GIVEN)),
)


@dataclass
class Queued:
    """A block in the queue.

    log: where its job writes; left: the executions that have not arrived, with their runs.
    """

    block: Block
    job: str
    log: Path
    said: Job = field(default_factory=lambda: Job("PENDING"))
    left: dict[str, PlannedRun] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = dict(zip(self.block.executions, self.block.runs, strict=True))


@dataclass
class Watch:
    """Waits for the rows of queued blocks.

    Args:
        queued: the blocks.
        tell: called with each line for the user.
        tally: filled as rows arrive.
        sleep: waits so many seconds.
    """

    queued: Sequence[Queued]
    scheduler: States
    store: Store
    tell: Callable[[str], None]
    tally: Tally = field(default_factory=Tally)
    sleep: Callable[[float], None] = time.sleep

    def until_all_ended(self) -> Tally:
        """Wait until every block has ended, or was lost; returns what became of all runs.

        Raises:
            SchedulerError: the nodes refuse the blocks; none has run.
        """
        self._total = sum(len(one.block.runs) for one in self.queued)
        self._waiting = self._unanswered = ""
        left = list(self.queued)
        pause = _SHORTEST
        while left:
            before = len(self.tally.rows)
            ended = self._ask(left)
            for one in left:
                if not one.said.pending or one in ended:
                    self._collect(one, packed=False)
            for one in ended:
                if one.left:
                    self._settle(one)
            left = [one for one in left if one.left]
            if left:
                pause = _SHORTEST if len(self.tally.rows) > before else min(_LONGEST, 1.3 * pause)
                self.sleep(pause)
        return self.tally

    def _ask(self, left: Sequence[Queued]) -> list[Queued]:
        """Ask the scheduler after the jobs; returns those that have ended."""
        try:
            states = self.scheduler.states(left[0].log.parent, [one.job for one in left])
        except SchedulerError as error:
            if not self._unanswered:
                self.tell(f"{error}; asking again until it answers")
            self._unanswered = str(error)
            for one in left:  # rows may arrive all the same
                self._collect(one, packed=False)
            return []
        self._unanswered = ""
        for one in left:
            one.said = states[one.job]
        waiting = [one.said for one in left if one.said.pending]
        if len(waiting) == len(left):
            words = f"{count(len(left), 'block')} in the queue: {waiting[0].words()}"
            if words != self._waiting:
                self.tell(words)
            self._waiting = words
        return [one for one in left if one.said.ended]

    def _collect(self, one: Queued, *, packed: bool) -> None:
        """Take in the rows that have arrived of a block."""
        if not one.left:
            return
        for execution, row in self.store.rows(one.left, _COLUMNS, packed).items():
            self._take(one, execution, row)

    def _take(self, one: Queued, execution: str, row: dict[str, Any]) -> None:
        run = one.left.pop(execution)
        self.tally.rows.append(row)
        outcome = Outcome(row["status"], row["reason"], wall_seconds=row["wall_seconds"] or 0.0)
        outcome.facts |= {
            name: row[name]
            for name in ("test_accuracy", "epochs_trained", "tested_epoch")
            if row[name] is not None
        }
        where = f" | {row['node']}" if row["node"] else ""
        told = ending(outcome, run.config.recipe.epochs)
        self.tell(f"[{len(self.tally.rows)}/{self._total}] {in_line(run.label())}{where} | {told}")

    def _settle(self, one: Queued) -> None:
        """Store as `lost` the runs that an ended job left undone.

        Raises:
            SchedulerError: a job was given bad input before any run of the session was stored.
        """
        os.listdir(self.store.path)  # has a shared file system look again
        self._collect(one, packed=True)
        if not one.left:
            return
        word = self._refusal(one) if one.said.state == "FAILED" else ""
        if word and not self.tally.rows:
            raise SchedulerError(f"{one.block.label()}, job {one.job}: {word}")
        reason = f"job {one.job}: {one.said.words()}" + (f"; {word}" if word else "")
        for execution, run in list(one.left.items()):
            row = lost_row(one.block, run, execution, reason, one.job, one.said.node)
            self.store.append(row)
            told = {name: row.get(name) for name in ("execution_id", *_COLUMNS)}
            self._take(one, execution, told)

    def _refusal(self, one: Queued) -> str:
        """Why a block could not begin, in its own words; "" where it had begun."""
        if len(one.left) < len(one.block.runs):
            return ""
        try:
            with one.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_BYTES))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return (
                f"it left no output in {one.log.parent}: keep the store where the nodes see it, "
                "with --store"
            )
        lines = [line for line in lines if line.strip()]
        told = [line for line in lines if line.startswith(_ERROR)] or lines
        return in_line(told[-1].removeprefix(_ERROR)) if told else ""


def lost_row(
    block: Block, run: PlannedRun, execution: str, reason: str, job: str, node: str
) -> dict[str, Any]:
    """The row of a run that infrastructure broke: of no machine, as it says nothing of one."""
    commit, dirty = machine.commit()
    session = Session(
        session_id=block.session_id,
        machine={},
        machine_id="",
        commit=commit,
        dirty=dirty,
        node=node,
        engine=block.engine,
        job_id=job,
    )
    row = run_row(
        run,
        Outcome(status="lost", reason=reason),
        session=session,
        galaxies=block,
        execution_id=execution,
        started_at=datetime.now(UTC),
    )
    return row | {"machine_id": None, "machine": None, "wall_seconds": None, "device_name": None}
