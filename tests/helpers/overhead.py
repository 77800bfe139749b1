"""`python -m tests.helpers.overhead slurm|ray`: seconds of a block here, and on a cluster.

The same command runs in turns on this machine and through a cluster of two nodes on it. A job waits
for the scheduler, too: Slurm's looks at its queue when a job comes and then every few seconds.
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
from tests.helpers import ray_cluster, slurm

_CLUSTERS = {"slurm": slurm, "ray": ray_cluster}
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
    """Measure the pairs; returns 2 where no cluster can be started."""
    line = argparse.ArgumentParser(description="Time a block here and on a cluster, in turns.")
    line.add_argument("executor", choices=_CLUSTERS)
    line.add_argument("--pairs", type=int, default=6, help="(default: %(default)s)")
    options = line.parse_args(arguments)
    real = _CLUSTERS[options.executor]
    if wanting := real.wanting():
        print(wanting, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name, real.cluster(Path(name) / "cluster") as cluster:
        directory = Path(name)
        more = []
        for pair in range(options.pairs):
            here = seconds(directory, cluster.environment)
            there = seconds(directory, cluster.environment, *cluster.options)
            more.append(there - here)
            print(f"pair {pair + 1}: here {here:.1f} s, there {there:.1f} s", flush=True)
    median = statistics.median(more)
    print(f"{options.executor} takes {median:.1f} s more (median), at most {max(more):.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
