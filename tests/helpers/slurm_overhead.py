"""`python -m tests.helpers.slurm_overhead`: seconds that a block takes here, and through Slurm.

The same command runs in turns on this machine and through a Slurm of two nodes on it. A job waits
for Slurm's scheduler, too, which looks at its queue when a job comes and then every few seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT
from tests.helpers import slurm

_RUN = ["-m", "benchmarks.run", "--dataset", "demo", "--demo-images", "200", "--epochs", "2"]
_RUN += ["--architectures", "astronn", "--frameworks", "torch", "--threads", "1", "--no-report"]


def seconds(directory: Path, environment: dict[str, str], *options: str) -> float:
    """How long the command takes with a store of its own."""
    store = directory / f"runs-{time.monotonic_ns()}"
    start = time.monotonic()
    subprocess.run(
        [sys.executable, *_RUN, "--store", str(store), *options],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the pairs; returns 2 where no Slurm can be started."""
    line = argparse.ArgumentParser(description="Time a block here and through Slurm, in turns.")
    line.add_argument("--pairs", type=int, default=6, help="(default: %(default)s)")
    pairs = line.parse_args(arguments).pairs
    if wanting := slurm.wanting():
        print(wanting, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name, slurm.cluster(Path(name) / "slurm") as cluster:
        directory = Path(name)
        more = []
        for pair in range(pairs):
            here = seconds(directory, cluster.environment)
            there = seconds(directory, cluster.environment, "--executor", "slurm")
            more.append(there - here)
            print(f"pair {pair + 1}: here {here:.1f} s, through Slurm {there:.1f} s", flush=True)
    print(f"Slurm takes {statistics.median(more):.1f} s more (median), at most {max(more):.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
