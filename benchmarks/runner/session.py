"""A session: the planned runs one after another, each kept as soon as it has ended."""

from __future__ import annotations

import math
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.config.artifacts import Keeping, to_tell
from benchmarks.config.plan import PlannedRun
from benchmarks.data.staging import Galaxies
from benchmarks.fidelity.rungs.bounds import agreement
from benchmarks.models.saved import directory_name
from benchmarks.process.failures import REASON_LENGTH
from benchmarks.process.launch import Outcome, launch
from benchmarks.runner import oom
from benchmarks.runner.context import Session
from benchmarks.runner.progress import Progress, Tracker
from benchmarks.runner.row import prediction_rows, run_row
from benchmarks.system import machine
from benchmarks.worker.checkpoint import Checkpoints
from results.output import say

if TYPE_CHECKING:
    from results.store import Store


@dataclass
class Tally:
    """Rows of a session's finished runs; complete up to an interruption."""

    rows: list[dict] = field(default_factory=list)

    def failed(self) -> list[dict]:
        """Rows of the runs that did not end well; one that was skipped did not fail."""
        return [row for row in self.rows if row["status"] not in ("ok", "skipped")]


def execution_id(run: PlannedRun) -> str:
    """A new one, which begins with the run's hash."""
    return f"{run.run_id}-{uuid.uuid4().hex[:8]}"


def check_checkpoints(runs: Sequence[PlannedRun], keeping: Keeping) -> None:
    """Raise NewerVersionError where a run would go on from what a newer version has written."""
    for run in runs if keeping.resume else ():
        Checkpoints(Path(keeping.of(run.run_id, "", "").checkpoints)).check_format()


def execute(
    runs: Sequence[PlannedRun],
    *,
    galaxies: Galaxies,
    store: Store,
    session: Session,
    scratch: Path,
    timeout: float | None,
    tracker: Tracker,
    progress: Progress,
    tally: Tally,
    first: int = 1,
    keeping: Keeping | None = None,
    executions: Mapping[str, str] | None = None,
) -> None:
    """Run all, in order, and store each; a run that fails is a row, and the others go on.

    Args:
        timeout: seconds for each run; 0 is never, None is `Estimator.time_limit`.
        tally: filled as runs end, so that it is right however this function is left.
        first: the tracker's number of the first of these runs.
        keeping: the session's checkpoints and models; none by default. A run's checkpoints are
            removed when it has ended ok and is stored.
        executions: the execution_id of each run_id; new ones by default.

    Raises:
        OSError: the store cannot be written any more; what was stored before stays.
        KeyboardInterrupt: after the run under way has been killed; it leaves no row.
    """
    for number, run in enumerate(runs, start=first):
        tracker.start(number)
        progress.started()
        started_at = datetime.now(UTC)
        execution = (executions or {}).get(run.run_id) or execution_id(run)
        directory = scratch / execution
        load_before = machine.load()
        kept = (keeping or Keeping()).of(run.run_id, run.task_id, directory_name(run.config))
        if kept.self_check:
            kept = msgspec.structs.replace(kept, agreement=agreement(run.config))
        if run.skip:
            outcome = Outcome(status="skipped", reason=run.skip)
        else:

            def on_event(event: dict) -> None:
                tracker.event(event)
                progress.event(event)
                for sentence in to_tell(event):
                    say(f"{tracker.headline()} | {sentence}", error=True, flush=True)

            outcome = launch(
                run.config,
                data_directory=galaxies.directory,
                directory=directory,
                timeout=tracker.estimator.time_limit(run) if timeout is None else timeout,
                python=run.python,
                keeping=kept,
                on_event=on_event,
                on_tick=progress.tick,
            )
        extra = {"load_before": load_before, "load_after": machine.load()}
        outcome.facts["extra"] = {**outcome.facts.get("extra", {}), **extra}
        row = run_row(
            run,
            outcome,
            session=session,
            galaxies=galaxies,
            execution_id=execution,
            started_at=started_at,
        )
        if row["status"] == "oom":
            known = [*tally.rows, *oom.earlier(store, session.machine_id)]
            row |= oom.explained(run, row, known, machine.device_memory_bytes(run.config.device))
            outcome.reason = row["reason"]
        _keep(store, row, outcome)
        if outcome.status == "ok" and kept.checkpoints:
            Checkpoints(Path(kept.checkpoints)).remove()
        shutil.rmtree(directory, ignore_errors=True)
        tally.rows.append(row)
        progress.ended(outcome)
        if outcome.status == "ok":
            seconds = (outcome.facts.get(name) for name in ("train_seconds", "evaluate_seconds"))
            computing = sum(one or 0.0 for one in seconds)
            trained = outcome.facts.get("epochs_trained")
            if math.isfinite(computing):
                tracker.estimator.observe(run, outcome.wall_seconds, computing, trained)


def _keep(store: Store, row: dict[str, Any], outcome: Outcome) -> None:
    """Store a run; one whose predictions or facts no table can hold is an error, not the end.

    Raises:
        OSError: the store cannot be written.
    """
    try:
        predictions = prediction_rows(outcome)
    except Exception as error:  # a damaged archive raises whatever its bytes come to
        reason = f"its predictions cannot be read: {' '.join(str(error).split())}"
    else:
        try:
            store.append(row, outcome.epochs, predictions)
            return
        except ValueError as error:
            reason = f"what it told cannot be stored: {error}"
    outcome.status, outcome.reason = "error", reason[:REASON_LENGTH]
    row |= {"status": outcome.status, "reason": outcome.reason}
    store.append(row, outcome.epochs)
