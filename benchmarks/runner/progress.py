"""Live progress on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from benchmarks.config.plan import PlannedRun
from benchmarks.process.launch import Event, Outcome
from benchmarks.runner.estimate import Estimator, rate_key
from results.names import in_line
from results.output import say
from results.words import count

QUIET_SECONDS = 15.0  # after which a log says that the run is alive
_LINES_PER_RUN = 20  # at most about so many epochs of a run are told in a log


@dataclass
class Tracker:
    """Progress of a session, updated by the events of its runs."""

    runs: Sequence[PlannedRun]
    estimator: Estimator
    number: int = 0  # of the run under way, from 1
    phase: str = ""
    epoch: int = 0
    last: dict[str, dict[str, Any]] = field(default_factory=dict)  # epoch rows by split
    run_started: float = 0.0
    first_epoch_started: float = 0.0
    epoch_ended: float = 0.0  # the last one
    first_epoch: int = 0  # after which this process trains: above 0 when the run was resumed

    @property
    def run(self) -> PlannedRun:
        """The run under way."""
        return self.runs[self.number - 1]

    def start(self, number: int) -> None:
        """Run `number` begins, counted from 1."""
        self.number, self.phase, self.epoch, self.last = number, "start", 0, {}
        self.run_started = self.first_epoch_started = self.epoch_ended = time.perf_counter()
        self.first_epoch = 0

    def event(self, event: Event) -> None:
        """Take in an event of the run under way."""
        if event["event"] == "phase":
            self.phase = event["name"]
        elif event["event"] == "epoch":
            before, self.epoch_ended = self.epoch, time.perf_counter()
            for row in event["rows"]:
                self.epoch = row["epoch"]
                self.last[row["split"]] = row
            # without a validation set the event of epoch 0 has no rows
            starts = not event["rows"] or event["rows"][0]["epoch"] == 0
            if starts or self.epoch > before + 1:  # the latter where the run was resumed
                self.first_epoch_started = time.perf_counter()
                self.first_epoch = self.epoch

    def images_per_second(self) -> float | None:
        """Speed of the last training epoch."""
        seconds = self.last.get("train", {}).get("epoch_seconds")
        return self.run.images_per_epoch / seconds if seconds else None

    def seconds_left(self) -> float:
        """Seconds left of the session: this run at its own pace, later runs as estimated."""
        now = time.perf_counter()
        epochs = self.run.config.recipe.epochs
        if self.epoch > self.first_epoch:
            per_epoch = (now - self.first_epoch_started) / (self.epoch - self.first_epoch)
            left = per_epoch * (epochs - self.epoch)
            # of a resumed run the start is known, its earlier epochs are not
            whole = None if self.first_epoch else now - self.run_started + left
            return self._later(whole) + left
        estimated = self.estimator.estimate(self.run).seconds
        return self._later(None) + max(0.0, estimated - (now - self.run_started))

    def _later(self, whole: float | None) -> float:
        """Seconds of the runs to come; those that are as fast as this one by what it comes to
        (`whole`), where nothing better is known of them."""
        seconds = 0.0
        for run in self.runs[self.number :]:
            if run.skip:
                continue
            unknown = run.cell_id not in self.estimator.walls
            if whole is not None and unknown and _alike(run, self.run):
                seconds += whole
            else:
                seconds += self.estimator.estimate(run).seconds
        return seconds

    def within_epoch(self) -> float:
        """Share of the current epoch that is done, 0 to 1, at the mean pace of earlier ones."""
        if self.phase == "start" or self.epoch <= self.first_epoch:
            return 0.0
        took = (self.epoch_ended - self.first_epoch_started) / (self.epoch - self.first_epoch)
        since = time.perf_counter() - self.epoch_ended
        return min(0.99, since / took) if took > 0 else 0.0

    def elapsed(self) -> str:
        """Time since the run began."""
        return clock(time.perf_counter() - self.run_started)

    def headline(self) -> str:
        """The run's number, the number of runs, and the run's label."""
        return f"[{self.number}/{len(self.runs)}] {self.run.label()}"

    def scores(self) -> str:
        """Epoch, losses and accuracies, as far as they are known."""
        text = f"epoch {self.epoch}/{self.run.config.recipe.epochs}"
        if train := self.last.get("train"):
            text += f" loss {train['loss']:.3f} acc {train['accuracy']:.3f}"
        if validation := self.last.get("validation"):
            text += f" val loss {validation['loss']:.3f} acc {validation['accuracy']:.3f}"
        return text

    def pace(self) -> str:
        """Speed and time left, as far as they are known."""
        left = f"{clock(self.seconds_left())} left"
        speed = self.images_per_second()
        return f"{speed:,.0f} img/s | {left}" if speed else left


def _alike(run: PlannedRun, other: PlannedRun) -> bool:
    """True if two runs do the same work by the same means, such as two seeds of one cell."""
    work = (run.steps, run.flops) == (other.steps, other.flops)
    return work and rate_key(run.config) == rate_key(other.config)


def clock(seconds: float) -> str:
    """Seconds as 01:23 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def ending(outcome: Outcome, epochs: int) -> str:
    """One line on how a run of `epochs` epochs ended: status, seconds, and accuracy or reason."""
    took = f"in {outcome.wall_seconds:.1f} s"
    if outcome.status == "ok":
        facts = outcome.facts
        accuracy, trained = facts.get("test_accuracy"), facts.get("epochs_trained")
        words = "" if accuracy is None else f", test accuracy {accuracy:.3f}"
        if trained is not None and trained < epochs:
            words += f", stopped after {trained} of {count(epochs, 'epoch')}"
        if (tested := facts.get("tested_epoch", trained)) != trained:
            words += f", tested epoch {tested}"
        return f"ok {took}{words}"
    return f"{outcome.status} {took}: {outcome.reason}"


class Progress(Protocol):
    """Display of a session."""

    def note(self, text: str) -> None:
        """A line of its own."""

    def started(self) -> None:
        """The tracker has gone on to another run."""

    def event(self, event: Event) -> None:
        """The tracker has taken in an event."""

    def tick(self) -> None:
        """Time has passed."""

    def ended(self, outcome: Outcome) -> None:
        """The run under way has ended."""

    def close(self) -> None:
        """The session has ended, well or not."""


class PlainProgress:
    """A line now and then, for logs."""

    def __init__(self, tracker: Tracker, stream: IO[str] | None = None) -> None:
        self._tracker, self._stream = tracker, stream or sys.stdout
        self._told = time.perf_counter()

    def note(self, text: str) -> None:
        self._told = time.perf_counter()
        say(in_line(text), to=self._stream, flush=True)

    def started(self) -> None:
        left = clock(self._tracker.seconds_left())
        self.note(f"{self._tracker.headline()} | started | about {left} left")

    def event(self, event: Event) -> None:
        if event["event"] != "epoch":
            return
        epoch, epochs = self._tracker.epoch, self._tracker.run.config.recipe.epochs
        every = max(1, epochs // _LINES_PER_RUN)
        if epoch <= 3 or epoch == epochs or epoch % every == 0:
            tracker = self._tracker
            self.note(f"{tracker.headline()} | {tracker.scores()} | {tracker.pace()}")

    def tick(self) -> None:
        if time.perf_counter() - self._told > QUIET_SECONDS:
            tracker = self._tracker
            doing = f"in epoch {tracker.epoch + 1}" if tracker.phase == "train" else tracker.phase
            self.note(f"{tracker.headline()} | {doing}, {tracker.elapsed()} so far")

    def ended(self, outcome: Outcome) -> None:
        epochs = self._tracker.run.config.recipe.epochs
        self.note(f"{self._tracker.headline()} | {ending(outcome, epochs)}")

    def close(self) -> None:
        pass


class LiveProgress:
    """A bar for the runs and one for the epochs of the run under way, redrawn about once a second.

    Nothing redraws in the background: the processor belongs to the run.
    """

    def __init__(self, tracker: Tracker) -> None:
        from rich import progress

        from results.terminal import Terminal

        self._tracker = tracker
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=20),
            progress.TextColumn("{task.fields[state]}", markup=False),
            console=Terminal(highlight=False),
            auto_refresh=False,
            transient=True,
        )
        self._runs = self._bars.add_task("runs", total=len(tracker.runs), state="")
        self._epochs = self._bars.add_task("epochs", total=1, state="")
        self._drawn = 0.0
        self._bars.start()

    def note(self, text: str) -> None:
        self._bars.console.print(in_line(text), markup=False, soft_wrap=True)

    def started(self) -> None:
        total = max(1, self._tracker.run.config.recipe.epochs)
        self._bars.reset(self._epochs, total=total)
        self._draw()

    def event(self, event: Event) -> None:
        self._draw()

    def tick(self) -> None:
        if time.perf_counter() - self._drawn > 1:
            self._draw()

    def ended(self, outcome: Outcome) -> None:
        epochs = self._tracker.run.config.recipe.epochs
        self.note(f"{self._tracker.headline()} | {ending(outcome, epochs)}")

    def close(self) -> None:
        self._bars.stop()

    def _draw(self) -> None:
        tracker = self._tracker
        state = f"{in_line(tracker.headline())} | {tracker.phase} {tracker.elapsed()} | "
        self._bars.update(self._runs, completed=tracker.number - 1, state=state + tracker.pace())
        reached = tracker.epoch + tracker.within_epoch()
        self._bars.update(self._epochs, completed=reached, state=tracker.scores())
        self._bars.refresh()
        self._drawn = time.perf_counter()


def progress_for(tracker: Tracker) -> Progress:
    """Live on a terminal, plain lines otherwise."""
    return LiveProgress(tracker) if sys.stdout.isatty() else PlainProgress(tracker)
