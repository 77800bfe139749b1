"""A measurement of one framework in a process of its own, with the harness's environment."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.process.alternate import Process


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
    from benchmarks.runner.interpreters import check_here
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
    """`python -m COMMAND FILE`, in the environment of a framework's tuning."""

    command: Sequence[str]
    framework: str
    tuning: str = "tuned"


Result = tuple[dict[str, Any] | None, str]  # the JSON that a job wrote, or None and why not


def run_together(
    jobs: Sequence[Job], *, device: str, threads: int, timeout: float | None = None
) -> list[Result]:
    """All made ready side by side, each on `threads` CPUs, then timed one at a time: a block each
    in turn (`benchmarks.process.turns`), while the others wait and do nothing.

    Args:
        timeout: seconds until each must be ready, and for each block; None is never.
    """
    from benchmarks.process import launch
    from benchmarks.process.alternate import Process

    with tempfile.TemporaryDirectory(prefix="micro-") as directory, ExitStack() as stack:
        started: list[tuple[Process, Path]] = []
        for number, job in enumerate(jobs):
            scratch = Path(directory) / str(number)
            scratch.mkdir()
            target = scratch / "output.json"
            variables = launch.environment(
                job.framework,
                device=device,  # type: ignore[arg-type]
                threads=threads,
                scratch=scratch,
                tuning=job.tuning,
            )
            command = [sys.executable, "-m", *job.command, str(target)]
            process = Process(command, variables)
            stack.callback(process.close)
            # XLA takes its threads from the affinity alone
            with launch.limited_to(threads, after=number * threads):
                process.go()
            started.append((process, target))
        late: set[Process] = set()
        going = _waited_for([process for process, _ in started], timeout, late)
        while going:
            following = []
            for process in going:
                process.go()
                following += _waited_for([process], timeout, late)
            going = following
        return [
            (None, f"not done after {timeout:.0f} s") if process in late else _read(process, target)
            for process, target in started
        ]


def _waited_for(
    processes: Sequence[Process], timeout: float | None, late: set[Process]
) -> list[Process]:
    """Those that have given their turn back and go on; those out of time are put among the late."""
    going = []
    for process in processes:
        try:
            if process.wait(timeout):
                going.append(process)
        except TimeoutError:
            late.add(process)
    return going


def _read(process: Process, target: Path) -> Result:
    if process.status or not target.exists():
        return None, (process.errors()[-1:] or [f"status {process.status}"])[0]
    return json.loads(target.read_text(encoding="utf-8")), ""


def run_inside(
    module: str,
    framework: str,
    arguments: list[str],
    *,
    device: str,
    threads: int,
    tuning: str = "tuned",
) -> dict[str, Any] | None:
    """`python -m MODULE ARGUMENTS --inside FRAMEWORK --output FILE`, and the JSON it wrote.

    None where it failed; the last line of its error output is told.
    """
    command = [module, *arguments, "--inside", framework, "--output"]
    job = Job(command, framework, tuning)
    [(found, reason)] = run_together([job], device=device, threads=threads)
    if found is None:
        print(f"failed: {framework}: {reason}", file=sys.stderr)
    return found
