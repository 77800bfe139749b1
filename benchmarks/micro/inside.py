"""A measurement of one framework in a process of its own, with the harness's environment."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def run_inside(
    module: str, framework: str, arguments: list[str], *, device: str, threads: int
) -> dict[str, Any] | None:
    """`python -m module ARGUMENTS --inside FRAMEWORK --output FILE`, and the JSON it wrote.

    None where it failed; the last line of its error output is told.
    """
    from benchmarks import launch, machine

    with tempfile.TemporaryDirectory(prefix="micro-") as scratch:
        target = Path(scratch) / "output.json"
        variables = launch.environment(
            framework,
            device=device,  # type: ignore[arg-type]
            threads=threads,
            scratch=Path(scratch),
        )
        with launch.limited_to(threads):
            ended = subprocess.run(
                [
                    *(sys.executable, "-m", module, *arguments),
                    *("--inside", framework, "--output", str(target)),
                ],
                env=variables,
                cwd=machine.ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        if ended.returncode or not target.exists():
            last = ended.stderr.strip().splitlines()[-1:] or ["no output"]
            print(f"failed: {framework}: {last[0]}", file=sys.stderr)
            return None
        return json.loads(target.read_text(encoding="utf-8"))
