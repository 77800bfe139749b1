"""A measurement of one framework in a process of its own, with the harness's environment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.output import say
from results.writer import scratch_directory

if TYPE_CHECKING:
    from benchmarks.process.alternate import Process

_LEAST_SECONDS = 0.5  # to look whether one is ready that had all the time of those before


def check(
    frameworks: Sequence[str],
    *,
    device: str,
    threads: int,
    precisions: Sequence[str] = ("float32",),
) -> None:
    """Raise ValueError where these cannot be measured here; the message says what can be done.

    On a GPU each framework is tried there first, in a process of its own.
    """
    from benchmarks.process import device as devices
    from benchmarks.process.interpreters import check_here
    from benchmarks.system import machine

    check_here(frameworks)
    usable = len(machine.usable_cpus())
    if not 1 <= threads <= usable:
        raise ValueError(f"--threads {threads}: must be 1 to {usable}, the CPUs at hand.")
    gpus = machine.gpus()
    found, _ = devices.resolve(device, frameworks, gpus=gpus)
    devices.check_precision(precisions, found, gpus)


@dataclass(frozen=True)
class Job:
    """`python -m COMMAND`, in the environment of a framework's tuning."""

    command: Sequence[str]
    framework: str
    tuning: str = "tuned"


Result = tuple[dict[str, Any] | None, str]  # what a job told, or None and why not


def run_together(
    jobs: Sequence[Job],
    *,
    device: str,
    threads: int,
    timeout: float = 0.0,
    compiled: Path | None = None,
) -> list[Result]:
    """All made ready side by side, each on `threads` CPUs, then timed one at a time: a block each
    in turn (`benchmarks.process.turns`), while the others wait and do nothing.

    Args:
        timeout: seconds until all must be ready, and for each block; 0 is never.
        compiled: a directory where JAX keeps what it compiles, for jobs that time no compilation;
            none by default.
    """
    from benchmarks.process.alternate import Process, alternate
    from benchmarks.process.environment import environment
    from benchmarks.process.spawn import Child

    with scratch_directory() as directory, ExitStack() as stack:
        started: list[Process] = []
        for number, job in enumerate(jobs):
            scratch = directory / str(number)
            scratch.mkdir()
            variables = environment(
                job.framework,
                device=device,  # type: ignore[arg-type]
                threads=threads,
                scratch=scratch,
                tuning=job.tuning,
            )
            if compiled:
                variables["JAX_COMPILATION_CACHE_DIR"] = str(compiled.resolve())
            module, *arguments = job.command
            # XLA takes its threads from the affinity alone
            start = partial(Child, module, arguments, threads=threads, after=number * threads)
            process = Process(start, variables)
            stack.callback(process.close)
            process.go()
            started.append(process)
        deadline = time.monotonic() + timeout
        ready = []
        for process in started:  # side by side: they have the same time
            left = max(_LEAST_SECONDS, round(deadline - time.monotonic(), 1)) if timeout else 0.0
            if process.wait(left):
                ready.append(process)
        alternate(ready, timeout)
        return [_result(process) for process in started]


def _result(process: Process) -> Result:
    if reason := process.child.failure():
        return None, reason
    found = [event["values"] for event in process.told if event["event"] == "facts"]
    return (found[-1], "") if found else (None, "it told no result")


def run_inside(
    module: str,
    framework: str,
    arguments: list[str],
    *,
    device: str,
    threads: int,
    tuning: str = "tuned",
) -> dict[str, Any] | None:
    """Result of `python -m MODULE ARGUMENTS --inside FRAMEWORK`.

    None where it failed; the last line of its error output is then printed on stderr.
    """
    job = Job([module, *arguments, "--inside", framework], framework, tuning)
    [(found, reason)] = run_together([job], device=device, threads=threads)
    if found is None:
        say(f"failed: {framework}: {reason}", error=True)
    return found
