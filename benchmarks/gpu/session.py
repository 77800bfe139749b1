"""The steps run one after another, each answer kept as it comes, within a number of seconds."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.steps import STAGES, Step
from benchmarks.process.device import TRIED
from benchmarks.process.spawn import Child
from results.door.documents import json_file
from results.door.refusal import FileError
from results.export import exported
from results.store import Store
from results.studies import gpu_files
from results.studies.gpu_files import DONE, Measurement, Told
from results.writer import write

_LEAST_SECONDS = 10.0  # with less left no step is begun
_NO_TIME = "no time was left; the same command goes on here"
_SOME_FAILED = 1  # of every command: what was asked is answered, and not all of it is well
_LOG_LINES = 12


@dataclass
class Session:
    """One call of the command.

    Args:
        folder: of the files; they are there from the first step on.
        work: of stores and of answers under way.
        measurement: what became of the steps so far; changed as they end.
        tried: frameworks that are known to reach the device.
        seconds: of the call; 0 is as long as it takes.
        commit: of the code.
        clock: seconds.
    """

    folder: Path
    work: Path
    measurement: Measurement
    tried: Sequence[str]
    seconds: float
    commit: str | None
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def run(self, steps: Sequence[Step]) -> None:
        """Run the steps that are not done; one that fails or is late is told, and the rest go on.

        Raises:
            OSError: the folder cannot be written.
        """
        before = {told.name: told for told in self.measurement.steps}
        self.measurement.steps = [_told(step, before.get(step.name)) for step in steps]
        gpu_files.write_steps(self.folder, self.measurement)
        for number, (step, told) in enumerate(
            zip(steps, self.measurement.steps, strict=True), start=1
        ):
            place = f"{number} of {len(steps)}: {step.name}"
            if told.status == DONE:
                self.tell(f"{place}: done before")
                continue
            if why := self._not_to_begin(step):
                told.status, told.reason = why
            else:
                self._one(step, told, place)
            gpu_files.write_steps(self.folder, self.measurement)
            self.tell(f"{place}: {told.status}{told.reason and f' ({told.reason})'}")

    def _not_to_begin(self, step: Step) -> tuple[gpu_files.Status, str] | None:
        if (least := step.at_least) > len(self.tried):
            what = "a framework that can use" if least == 1 else f"{least} frameworks that can use"
            return "left out", f"it needs {what} the device"
        if self.seconds and self.left(step) < _LEAST_SECONDS:
            return "not begun", _NO_TIME
        return None

    def left(self, step: Step) -> float:
        """Seconds that a step may take now: until the stages up to its own should have ended."""
        names = list(STAGES)
        share = sum(STAGES[one] for one in names[: names.index(step.stage) + 1])
        until = self.seconds * share / sum(STAGES.values())
        return until - step.leaves - (self.clock() - self._begun)

    def _one(self, step: Step, told: Told, place: str) -> None:
        limit = min(step.limit, self.left(step)) if self.seconds else step.limit
        self.tell(f"{place}, at most {limit:.0f} s")
        told.commit, start = self.commit, self.clock()
        variables = {**os.environ, TRIED: " ".join(self.tried), "PYTHONUNBUFFERED": "1"}
        kept = _Kept(self, step)
        try:
            with Child(step.module, step.command[2:], variables) as child:
                for _ in child.events(limit, on_tick=kept.look):
                    pass
                kept.look(last=True)
                log = child.log
                if child.late:
                    told.status, told.reason = "broken off", f"not done after {limit:.0f} s"
                elif child.status == 0:
                    told.status, told.reason = DONE, ""
                elif child.status == _SOME_FAILED and "Traceback" not in log and kept.found:
                    told.status, told.reason = DONE, "not all of it held or ended well"
                else:
                    told.status, told.reason = "failed", child.failure()[:500]
        finally:
            told.seconds = round(self.clock() - start, 1)
        if told.reason:
            self._log(told, log)

    def _log(self, told: Told, log: str) -> None:
        """Add the end of what a step printed to the file of those that did not end well."""
        path = self.folder / gpu_files.LOG
        before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        lines = [f"---- {told.name}: {told.reason}", told.command, *log.splitlines()[-_LOG_LINES:]]
        write(path, before + "".join(f"{line}\n" for line in lines))


class _Kept:
    """The answer of a step, copied to the folder whenever the step has written more of it."""

    found = False  # something of it

    def __init__(self, session: Session, step: Step) -> None:
        self._session, self._step = session, step
        self._answer = session.work / step.answer if step.answer else None
        self._seen = 0
        if self._answer:
            self._answer.unlink(missing_ok=True)

    def look(self, last: bool = False) -> None:
        """Keep what is new; of a store only at the end."""
        if self._answer is None:
            if last:
                self._rows()
            return
        try:
            changed = self._answer.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed != self._seen:
            self._seen = changed
            try:
                found = json_file(self._answer, Any, "an answer")
            except FileError:  # a step that writes nonsense has failed anyway
                return
            gpu_files.keep(self._session.folder, self._step.stage, self._step.name, found)
            self.found = True

    def _rows(self) -> None:
        """All rows of the stores, as one table."""
        import pandas as pd

        frames = []
        for name in ("runs", "outcome"):
            path = self._session.work / name
            if path.is_dir() and not (rows := Store(path).runs(latest=True)).empty:
                frames.append(rows.assign(store=name))
                self.found = self.found or name == self._step.store
        if frames:
            table = pd.concat(frames, ignore_index=True).dropna(axis="columns", how="all")
            write(self._session.folder / gpu_files.RUNS, exported(table, "csv"))


def _told(step: Step, before: Told | None) -> Told:
    """The earlier record of a step if its command is the same; else a new one."""
    command = shlex.join(["python", *step.command])
    if before is not None and before.command == command:
        return before
    return Told(name=step.name, stage=step.stage, command=command)
