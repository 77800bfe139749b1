"""A measurement of one framework in a process of its own, with the harness's environment."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def check(
    frameworks: Sequence[str], *, device: str, threads: int, precision: str = "float32"
) -> None:
    """Raise ValueError where these cannot be measured here; the message says what can be done.

    On a GPU each framework is tried there first, in a process of its own.
    """
    from benchmarks import device as devices
    from benchmarks import machine
    from frameworks.backend import framework

    lacking = {name: framework(name).missing_packages() for name in frameworks}
    if lacking := {name: packages for name, packages in lacking.items() if packages}:
        needs = "; ".join(f"{name} needs {', '.join(lacking[name])}" for name in lacking)
        packages = dict.fromkeys(package for found in lacking.values() for package in found)
        raise ValueError(
            f"not installed: {needs}. Install with: python -m pip install -c constraints.txt "
            f"{' '.join(packages)}; or name others with --frameworks."
        )
    usable = len(machine.usable_cpus())
    if not 1 <= threads <= usable:
        raise ValueError(f"--threads {threads}: must be 1 to {usable}, the CPUs at hand.")
    gpus = machine.gpus()
    found, _ = devices.resolve(device, frameworks, gpus=gpus)
    devices.check_precision([precision], found, gpus)


def run_child(
    command: Sequence[str],
    framework: str,
    *,
    device: str,
    threads: int,
    tuning: str = "tuned",
    timeout: float | None = None,
) -> tuple[dict[str, Any] | None, str]:
    """`python -m COMMAND FILE` on `threads` CPUs: the JSON it wrote to FILE, or None and why not.

    Args:
        framework, tuning: whose environment the process is given, all contestants alike.
        timeout: in seconds; None is never.
    """
    from benchmarks import launch, machine

    with tempfile.TemporaryDirectory(prefix="micro-") as scratch:
        target = Path(scratch) / "output.json"
        variables = launch.environment(
            framework,
            device=device,  # type: ignore[arg-type]
            threads=threads,
            scratch=Path(scratch),
            tuning=tuning,
        )
        try:
            with launch.limited_to(threads):  # XLA takes its threads from the affinity alone
                ended = subprocess.run(
                    [sys.executable, "-m", *command, str(target)],
                    env=variables,
                    cwd=machine.ROOT,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    timeout=timeout,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            return None, f"not done after {timeout:.0f} s"
        if ended.returncode or not target.exists():
            last = ended.stderr.strip().splitlines()[-1:] or [f"status {ended.returncode}"]
            return None, last[0]
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
    found, reason = run_child(command, framework, device=device, threads=threads, tuning=tuning)
    if found is None:
        print(f"failed: {framework}: {reason}", file=sys.stderr)
    return found
