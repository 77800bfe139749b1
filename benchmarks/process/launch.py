"""One process per run: its environment, its time limit, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.config.artifacts import Keeping
from benchmarks.config.runconfig import RunConfig
from benchmarks.process.channel import PREDICTIONS_FILE, Event
from benchmarks.process.environment import environment, recorded
from benchmarks.process.failures import REASON_LENGTH
from benchmarks.process.spawn import Child
from results.schema import EPOCH_COLUMNS, RUN_COLUMNS

_ALWAYS = ("parameters", "split_hash", "order_hash", "weights_hash")  # facts of a run that ends ok


@dataclass
class Outcome:
    """Ending of a run, and what it reported before.

    status: ok, diverged, oom, timeout or error; `reason` says why when it is not ok.
    facts: columns of the run's row; epochs: rows of the epochs table.
    predictions: the file with the test predictions; None if the run made none.
    wall_seconds: from the start of the process to its end; of a resumed run, plus the time that its
        training and evaluation took before.
    log: the end of what it printed, when it did not end well.
    """

    status: str = "error"
    reason: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    predictions: Path | None = None
    wall_seconds: float = 0.0
    log: str | None = None


def launch(
    config: RunConfig,
    *,
    data_directory: Path,
    directory: Path,
    timeout: float = 0.0,
    python: str = "",
    keeping: Keeping | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    on_tick: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run one configuration in a process of its own and wait for its end.

    Args:
        config: what to run.
        data_directory: what `staging.stage` wrote.
        directory: of the run's own, for its predictions; created.
        timeout: seconds after which it is killed; 0 is never.
        python: the interpreter to run it; this one by default.
        keeping: checkpoints and models; none by default.
        on_event: called with each event as it comes (see `channel`).
        on_tick: called about twice a second.
    """
    from results.parquet.record import checked_row

    directory.mkdir(parents=True)
    config_file = directory / "config.json"
    config_file.write_bytes(msgspec.json.encode(config))
    keeping_file = directory / "keeping.json"
    keeping_file.write_bytes(msgspec.json.encode(keeping or Keeping()))
    variables = environment(
        config.framework,
        device=config.device,
        threads=config.threads,
        scratch=directory,
        deterministic=config.deterministic,
        tuning=config.tuning,
        replicas=config.replicas,
    )
    outcome = Outcome(facts={"extra": {"environment": recorded(variables)}})
    phase = "start"
    ended: Event | None = None
    told: set[tuple[int, str]] = set()  # epochs and splits
    start = time.perf_counter()
    try:
        child = Child(
            "benchmarks.worker",
            [config_file, keeping_file, data_directory, directory],
            variables,
            python=python,
            threads=config.threads,
        )
    except OSError as error:
        outcome.reason = f"its process cannot be started: {error}"
        return outcome
    with child:
        for event in child.events(timeout, on_tick=on_tick):
            try:
                match event["event"]:
                    case "phase":
                        phase = event["name"]
                    case "facts":
                        checked_row(event["values"], RUN_COLUMNS, "facts")
                        extra = outcome.facts["extra"] | event["values"].get("extra", {})
                        outcome.facts |= event["values"] | {"extra": extra}
                    case "epoch":
                        for row in event["rows"]:
                            checked_row(row, EPOCH_COLUMNS, "epoch")
                            _check_epoch(row, config, told)
                        outcome.epochs += event["rows"]
                    case "end":
                        ended = event
            except ValueError as error:
                child.reject(f"it sent what cannot be stored: {error}")
                continue
            on_event(event)
    outcome.wall_seconds = time.perf_counter() - start
    outcome.wall_seconds += outcome.facts["extra"].get("seconds_before_resuming", 0.0)
    outcome.wall_seconds -= outcome.facts["extra"].get("waited_for_turn_seconds", 0.0)

    if ended is not None and not child.rejected:
        outcome.status, outcome.reason = ended["status"], ended["reason"]
        outcome.reason = outcome.reason and outcome.reason[:REASON_LENGTH]
    elif child.late:
        outcome.status = "timeout"
        outcome.reason = f"not finished after {timeout:g} s; killed during {phase}"
    else:
        outcome.status, outcome.reason = child.ending(phase)
    if outcome.status == "ok" and (
        lacking := [name for name in _ALWAYS if not outcome.facts.get(name)]
    ):
        outcome.status, outcome.reason = "error", f"it ended without telling {', '.join(lacking)}"
    if outcome.status != "ok":
        outcome.log = child.log
    if (directory / PREDICTIONS_FILE).exists() and outcome.status == "ok":
        outcome.predictions = directory / PREDICTIONS_FILE
    return outcome


def _check_epoch(row: dict[str, Any], config: RunConfig, told: set[tuple[int, str]]) -> None:
    """Raise ValueError for a row of an epoch that is not to be trained, or is there already."""
    epoch, split = row["epoch"], row["split"]
    if not 0 <= epoch <= config.recipe.epochs:
        raise ValueError(f"epoch {epoch} of {config.recipe.epochs}")
    if (epoch, split) in told:
        raise ValueError(f"epoch {epoch} of {split} twice")
    told.add((epoch, split))
