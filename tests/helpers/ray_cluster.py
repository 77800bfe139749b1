"""A Ray cluster of a head node and two nodes of one CPU on this machine, for tests.

`python -m tests.helpers.ray_cluster kill|freeze NAME=VALUE...`: seconds until Ray has noticed that
a node was killed, or does not answer any more, with these variables of its own.
"""

import argparse
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec
import psutil

from benchmarks.cluster.plan import DIRECTORY
from benchmarks.cluster.ray import Ray
from benchmarks.cluster.ray_queue import STATES
from benchmarks.cluster.scheduler import SchedulerError

NODES = ("n1", "n2")
_MARK = "RAY_NODE_OF_A_TEST"
_START_SECONDS = 120.0
_QUIET = 10  # looks in which nothing of a dead node is found


def wanting() -> str:
    """Why no Ray can be started here; empty when one can."""
    found = importlib.util.find_spec("ray")
    return "" if found and found.origin else "no Ray: pip install -r requirements/ray.txt"


class Cluster:
    """A running Ray: the same as `slurm.Cluster`."""

    environment: Mapping[str, str] = MappingProxyType({})
    DEAD = "NodeDiedError"

    def __init__(self, directory: Path, **variables: str) -> None:
        """variables: of Ray's own, for all of its nodes."""
        self.directory = directory
        self.variables = variables
        self._temporary = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # a socket's path is short
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all nodes, and wait until Ray knows them."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._deadline = time.monotonic() + _START_SECONDS
        self._begin("head", "--head", "--port=0", "--num-cpus=0", f"--temp-dir={self._temporary}")
        address = Path(self._temporary, "ray_current_cluster")
        while not address.exists():
            self._wait()
        self.address = address.read_text().strip()
        self.scheduler = Ray({"address": self.address})
        self.options = ("--executor", "ray", "--executor-option", f"address={self.address}")
        for node in NODES:  # one after another: two that start at once take the same sockets
            self._begin(node, f"--address={self.address}", "--num-cpus=1")
            while not self.knows(node):
                self._wait()

    def running(self, node: str) -> str:
        """The job of a session in ./runs that runs on a node; empty where there is none."""
        for path in Path("runs", DIRECTORY).glob(f"*/{STATES}"):
            for job, (state, _, where) in msgspec.json.decode(path.read_bytes()).items():
                if (state, where) == ("RUNNING", node):
                    return job
        return ""

    def cancel(self, job: str) -> None:
        """Cancel one job."""
        self.scheduler.cancel([job])

    def freeze(self, node: str) -> None:
        """The node does not answer any more, nor ends: as when its network is gone."""
        for process in self._started_by(node):
            process.suspend()

    def kill(self, node: str) -> None:
        """The node loses its power: all that it has started dies at once."""
        quiet = 0
        while quiet < _QUIET:  # a process that has just begun may not be seen yet
            found = self._started_by(node)
            for process in found:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            quiet = 0 if found else quiet + 1
            time.sleep(0.1)
        self._nodes.pop(node).wait()

    def stop(self) -> None:
        """End all nodes, and what is left of their blocks."""
        for node in list(self._nodes):
            self.kill(node)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _begin(self, node: str, *words: str) -> None:
        start = ("-m", "ray.scripts.scripts", "start", "--block", f"--node-name={node}")
        quiet = ("--include-dashboard=false", "--disable-usage-stats")
        with (self.directory / f"{node}.out").open("wb") as output:
            self._nodes[node] = subprocess.Popen(
                [sys.executable, *start, *words, *(quiet if node == "head" else ())],
                env=os.environ | self.variables | {_MARK: f"{self.directory} {node}"},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _started_by(self, node: str) -> list[psutil.Process]:
        """The processes of a node: those below it, and those that have lost their parent."""
        found: dict[int, psutil.Process] = {}
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(self._nodes[node].pid)
            found = {one.pid: one for one in (first, *first.children(recursive=True))}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):  # the title of a worker may overwrite it
                if process.environ().get(_MARK) == f"{self.directory} {node}":
                    found[process.pid] = process
        dead = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        alive = []
        for process in found.values():
            with contextlib.suppress(psutil.Error):
                if process.status() not in dead:
                    alive.append(process)
        return alive

    def knows(self, node: str) -> bool:
        """True while Ray has the node and takes it for alive."""
        with contextlib.suppress(SchedulerError):
            return node in {one["name"] for one in self.scheduler.known_nodes()}
        return False

    def _wait(self) -> None:
        ended = [node for node, one in self._nodes.items() if one.poll() is not None]
        if ended or time.monotonic() > self._deadline:
            raise RuntimeError(f"Ray does not start ({ended}): see {self.directory}")
        time.sleep(0.5)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure it."""
    line = argparse.ArgumentParser(description="Time how Ray notices a dead node.")
    line.add_argument("fate", choices=("kill", "freeze"))
    line.add_argument("variables", nargs="*", metavar="NAME=VALUE")
    options = line.parse_args(arguments)
    given = dict(one.split("=") for one in options.variables)
    with tempfile.TemporaryDirectory() as name, cluster(Path(name), **given) as made:
        getattr(made, options.fate)("n2")
        start = time.monotonic()
        while made.knows("n2"):
            time.sleep(0.5)
        print(f"noticed after {time.monotonic() - start:.0f} s")


@contextlib.contextmanager
def cluster(directory: Path, **variables: str) -> Iterator[Cluster]:
    """A Ray that runs while the block does."""
    made = Cluster(directory, **variables)
    try:
        made.start()
        yield made
    finally:
        made.stop()


if __name__ == "__main__":
    main()
