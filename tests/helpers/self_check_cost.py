"""`python -m tests.helpers.self_check_cost GALAXIES`: processor seconds of a run's self-check.

UNAM is trained for one epoch in each framework, by the worker's own code in a process of its own.
Printed are the processor seconds of all threads: of a batch of the training, of the self-check, and
of the batches that it trains again, which it does here however dear they are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.data.node import staged_here
from benchmarks.fidelity.rungs import bounds
from benchmarks.process.environment import environment
from benchmarks.runner import block as blocks
from benchmarks.worker import __main__ as worker
from benchmarks.worker import selfcheck
from benchmarks.worker.timer import Clock
from tests.conftest import ROOT


class _Processor(Clock):
    """Clock that also counts the processor seconds of each phase."""

    processor: dict[str, float]

    @contextlib.contextmanager
    def measure(self, phase: str, backend: Any = None) -> Iterator[None]:
        start = time.process_time()
        with super().measure(phase, backend):
            yield
        self.processor[phase] = self.processor.get(phase, 0.0) + time.process_time() - start


class _Silent:
    """Channel to nobody."""

    def send(self, event: str, **content: Any) -> None:
        """Drop it."""


def cost(path: Path) -> dict[str, float]:
    """Processor seconds of the first run of a block, by phase, and of its batches trained again."""
    block = blocks.load(path)
    config = block.runs[0].config
    clock = _Processor(_Silent())  # type: ignore[arg-type]
    clock.processor = {}
    original, again = selfcheck._retrained, [0.0]

    def retrained(*asked: Any) -> Iterator[str]:
        start = time.process_time()
        yield from original(*asked)
        again[0] += time.process_time() - start

    selfcheck._retrained = retrained
    worker.too_dear = lambda *asked: ""
    agreement = bounds.agreement(config)
    keeping = msgspec.structs.replace(block.keeping, agreement=agreement)
    with tempfile.TemporaryDirectory() as out, staged_here(block.suite, config.data) as galaxies:
        worker.run(config, galaxies.directory, Path(out), clock, keeping)
    batches = -(-block.runs[0].images_per_epoch // config.recipe.batch_size)
    return clock.processor | {"again": again[0], "batches": batches}


def _measured(framework: str, galaxies: str, fraction: float, directory: Path) -> dict[str, float]:
    chosen = ["--frameworks", framework, "--architectures", "unam", "--epochs", "1"]
    chosen += ["--fraction", str(fraction)]
    told = ["--dataset", galaxies, *chosen, "--threads", "1", "--write-blocks", str(directory)]
    command = [sys.executable, "-m", "benchmarks.run", *told]
    how: dict[str, Any] = {"cwd": ROOT, "check": True, "text": True}
    subprocess.run(command, **how, stdout=subprocess.DEVNULL)
    variables = environment(framework, device="cpu", threads=1, scratch=directory)
    command = [sys.executable, "-m", _NAME, "--block"]
    command.append(str(directory / "00001.json"))
    found = subprocess.run(command, **how, env=variables, stdout=subprocess.PIPE).stdout
    return dict(json.loads(found.splitlines()[-1]))


_NAME = "tests.helpers.self_check_cost"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each framework."""
    line = argparse.ArgumentParser(description="Count the processor seconds of the self-check.")
    line.add_argument("galaxies", nargs="?", default="demo")
    line.add_argument("--frameworks", nargs="+", default=["keras", "torch", "jax"])
    line.add_argument("--fraction", type=float, default=1.0, help="of the galaxies, to be quick")
    line.add_argument("--block", type=Path, help=argparse.SUPPRESS)
    options = line.parse_args(arguments)
    if options.block:
        print(json.dumps(cost(options.block)))
        return 0
    print("| framework | batches | a batch of UNAM, s | self-check, s | of it trained again, s |")
    print("|---|---:|---:|---:|---:|")
    for framework in options.frameworks:
        with tempfile.TemporaryDirectory() as name:
            found = _measured(
                framework, os.path.abspath(options.galaxies), options.fraction, Path(name)
            )
        of_batch = found["train"] / found["batches"]
        numbers = f"{of_batch:.2f} | {found['self_check']:.1f} | {found['again']:.1f}"
        print(f"| {framework} | {found['batches']:.0f} | {numbers} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
