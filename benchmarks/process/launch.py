"""One process per run: its environment, its time limit, and how it ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.config.artifacts import Keeping
from benchmarks.config.runconfig import RunConfig
from benchmarks.process import turns
from benchmarks.process.channel import PREDICTIONS_FILE, Lines
from benchmarks.process.environment import environment, limited_to, recorded
from benchmarks.process.failures import death
from benchmarks.system import machine

Event = dict[str, Any]

_POLL_SECONDS = 0.5  # how often progress is redrawn and the time limit looked at
_LAST_WORDS_SECONDS = 0.5  # for a hung worker to write where it hangs
_LOG_BYTES = 8000


@dataclass
class Outcome:
    """How a run ended, and what it told before that.

    status: ok, diverged, oom, timeout or error; `reason` says why when it is not ok.
    facts: columns of the run's row; epochs: rows of the epochs table.
    predictions: the file with the test predictions; None when it did not come to them.
    wall_seconds: from the start of the process to its end, and what went before of a resumed run's
        training and evaluation.
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

    The process leads a group of its own; whatever way this function is left, nothing of the group
    outlives it.

    Args:
        config: what to run.
        data_directory: what `staging.stage` wrote.
        directory: of the run's own, for its log and predictions; created.
        timeout: seconds after which the group is killed; 0 is never.
        python: the interpreter to run it; this one by default.
        keeping: checkpoints and models; none by default.
        on_event: called with each event as it comes (see `channel`).
        on_tick: called about twice a second.
    """
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
    )
    log = directory / "output.log"
    kills_before = machine.killed_for_memory()
    outcome = Outcome(facts={"extra": {"environment": recorded(variables)}})
    ended: Event | None = None
    phase = "start"

    receiver, sender = os.pipe()
    start = time.perf_counter()
    with log.open("wb") as output, limited_to(config.threads):
        try:
            process = subprocess.Popen(
                [
                    *(python or sys.executable, "-X", "faulthandler", "-m", "benchmarks.worker"),
                    *map(str, (config_file, keeping_file, data_directory, directory)),
                    *map(str, (sender, os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=variables,
                pass_fds=[sender, *turns.descriptors()],
                start_new_session=True,
            )
        except BaseException:
            os.close(receiver)
            raise
        finally:
            os.close(sender)
    timed_out = False
    try:
        for event in _events(process, receiver, on_tick, start + timeout if timeout else None):
            match event["event"]:
                case "phase":
                    phase = event["name"]
                case "facts":
                    extra = outcome.facts["extra"] | event["values"].get("extra", {})
                    outcome.facts |= event["values"] | {"extra": extra}
                case "epoch":
                    outcome.epochs += event["rows"]
                case "end":
                    ended = event
                case "timeout":
                    timed_out = True
            on_event(event)
    finally:
        os.close(receiver)
        if timed_out:
            _ask_where_it_hangs(process)
        kill_group(process)
    outcome.wall_seconds = time.perf_counter() - start
    outcome.wall_seconds += outcome.facts["extra"].get("seconds_before_resuming", 0.0)
    outcome.wall_seconds -= outcome.facts["extra"].get("waited_for_turn_seconds", 0.0)

    tail = _tail(log)
    if ended is not None:
        outcome.status, outcome.reason = ended["status"], ended["reason"]
    elif timed_out:
        outcome.status = "timeout"
        outcome.reason = f"not finished after {timeout:g} s; killed during {phase}"
    else:
        outcome.status, outcome.reason = death(
            process.returncode,
            phase,
            log=tail,
            killed_for_memory=machine.killed_for_memory() > kills_before,
        )
    if outcome.status != "ok":
        outcome.log = tail
    if (directory / PREDICTIONS_FILE).exists() and outcome.status == "ok":
        outcome.predictions = directory / PREDICTIONS_FILE
    return outcome


def _events(
    process: subprocess.Popen[bytes],
    receiver: int,
    on_tick: Callable[[], None],
    deadline: float | None,
) -> Iterator[Event]:
    """The worker's events until it has ended; a last one, `timeout`, when it is out of time."""
    lines = Lines()
    with selectors.DefaultSelector() as selector:
        selector.register(receiver, selectors.EVENT_READ)
        while True:
            wait = _POLL_SECONDS
            if deadline is not None:
                wait = min(wait, max(0.0, deadline - time.perf_counter()))
            ended = process.poll() is not None
            if selector.select(0 if ended else wait):
                data = os.read(receiver, 65536)
                yield from lines.feed(data)
                if not data:  # closed: the worker is on its way out
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(wait)
                        return
            elif ended:
                return
            on_tick()
            if deadline is not None and time.perf_counter() >= deadline:
                yield {"event": "timeout"}
                return


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process's group and reap the process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ask_where_it_hangs(process: subprocess.Popen[bytes]) -> None:
    """Have a hung worker write its stack to its log (faulthandler does it in C)."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGUSR1)
        time.sleep(_LAST_WORDS_SECONDS)


def _tail(log: Path) -> str:
    content = log.read_bytes()[-_LOG_BYTES:] if log.exists() else b""
    return content.decode("utf-8", errors="replace").strip()
