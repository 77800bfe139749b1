"""Ray: a queue of its own for each session, an actor on the head node (`ray_queue`).

The queue writes the states of the blocks into the session's directory. This module reads them
there, and speaks to Ray only to begin and to cancel (`ray_door`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from benchmarks.cluster.ray_queue import ANSWER, STATES
from benchmarks.cluster.scheduler import (
    GONE,
    Job,
    Scheduler,
    SchedulerError,
    answer,
    cpus_of,
    python_path,
    session_of,
)
from benchmarks.runner.check import Elsewhere
from benchmarks.system import machine
from results.door.documents import json_file
from results.vocabulary import near_miss

_States = dict[str, Annotated[list[str], msgspec.Meta(min_length=1, max_length=3)]]
_INSTALL = "pip install -c constraints.txt -r requirements/ray.txt"
_CONNECT_SECONDS = 5.0
_SILENT_SECONDS = 30.0  # without a word of the queue: Ray is asked
_LOST_SECONDS = 300.0  # without a word of Ray either: the cluster is gone
_NODE_SILENT_SECONDS = 120.0  # without a word of a block, whatever Ray says of its node


@dataclass
class Ray(Scheduler):
    """A Ray cluster, of which this machine is part, or which it reaches by `ray://`.

    options: `address` of the cluster; `resource`, of which each node for blocks has one; `python`,
    the interpreter on the nodes.
    """

    NAME = "ray"
    OPTIONS = ("address", "resource", "python")

    takes: dict[str, float] = field(default_factory=dict)
    _stamp: int = 0
    _heard: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        found = importlib.util.find_spec("ray")
        if found is None or found.origin is None:
            raise SchedulerError(f"--executor ray: Ray is not installed; {_INSTALL}")
        super().check()

    def nodes(self, threads: int) -> Elsewhere:
        found = [one["resources"] for one in self.known_nodes()]
        name = self.options.get("resource")
        mine = [has for has in found if has.get(name or "CPU") and has.get("CPU")]
        choose = "--executor-option resource=NAME"
        if not mine and name:
            known = sorted({key for has in found for key in has if not key.startswith("node:")})
            raise SchedulerError(
                f"--executor-option resource={name}: no node with CPUs has it"
                f"{near_miss(name, known)}; there are {', '.join(known) or 'none'}"
            )
        if not mine:
            raise SchedulerError("--executor ray: no node of the cluster has CPUs; add one")
        if name and any(has[name] != 1 for has in mine):
            raise SchedulerError(
                f"--executor-option resource={name}: each node is to have one of it, so that one "
                f"block runs there; start the nodes with --resources='{{\"{name}\": 1}}'"
            )
        sizes = {(int(has["CPU"]), int(has.get("GPU", 0))) for has in mine}
        if not name and len(sizes) > 1:
            kinds = ", ".join(f"{cpus} CPUs and {gpus} GPUs" for cpus, gpus in sorted(sizes))
            raise SchedulerError(
                f"the nodes have {kinds}: a block takes a whole node, so choose nodes with {choose}"
            )
        share = self.side_by_side
        gpus = min(gpus for _, gpus in sizes)
        if gpus % share:
            raise SchedulerError(
                f"--side-by-side {share}: a node has {gpus} GPUs, which so many blocks cannot deal"
            )
        cpus = cpus_of([count for count, _ in sizes], threads, choose, share)
        least = max(threads, min(count for count, _ in sizes) // share, 1)
        takes = {"CPU": least, "GPU": gpus // share, name or "": 1 / share}
        self.takes = {key: much for key, much in takes.items() if key and much}
        return Elsewhere(cpus, bool(gpus))

    def known_nodes(self) -> list[dict[str, Any]]:
        """The nodes that are alive: `name`, and `resources` by Ray's names of them.

        Raises:
            SchedulerError: there is no Ray at the address, or it refuses.
        """
        return self._ask("nodes")["nodes"]

    def submit(
        self, directory: Path, blocks: int, *, seconds: float, most: int, name: str
    ) -> list[str]:
        jobs = [f"{name}_{number}" for number in range(1, blocks + 1)]
        child = str(machine.ROOT / "benchmarks" / "process" / "child.py")
        order = {
            "directory": str(directory),
            "jobs": jobs,
            "command": [self.python(), child, "{parent}", "benchmarks.block"],
            "variables": {"PYTHONPATH": python_path()},
            "cwd": os.getcwd(),
            "seconds": seconds,
            "most": most,
            "takes": dict(self.takes),
            "silence": _NODE_SILENT_SECONDS,
        }
        try:
            self._ask("submit", name=name, order=order)
        except SchedulerError as error:
            if "does not see" in str(error):
                raise SchedulerError(
                    f"{error}; keep store (--store), checkout and environment where all nodes see "
                    "them, or name their interpreter with --executor-option python=PATH"
                ) from error
            raise
        return jobs

    def states(self, directory: Path, jobs: Collection[str]) -> dict[str, Job]:
        path = directory / STATES
        told: dict[str, Job] = {}
        unread = ""
        try:
            stamp = path.stat().st_mtime_ns
            words = json_file(path, _States, "states of jobs")
            told = {job: Job(*one) for job, one in words.items()}
        except (OSError, ValueError) as error:
            unread = f"{path} cannot be read: {error}"
        else:
            if stamp != self._stamp:
                self._stamp, self._heard = stamp, time.monotonic()
        found = {job: told.get(job, GONE) for job in jobs}
        if open_ones := [job for job in jobs if job not in told or not told[job].ended]:
            if why := self._gone(session_of(open_ones[0])):
                found |= {job: Job("GONE", why, found[job].node) for job in open_ones}
            elif unread:
                raise SchedulerError(unread)
        return found

    def _gone(self, session: str) -> str:
        """Why a queue that was not heard of for a while is no more; empty where it may be.

        Raises:
            SchedulerError: Ray does not answer.
        """
        silent = time.monotonic() - self._heard
        if silent < _SILENT_SECONDS:
            return ""
        try:
            runs = self._ask("alive", name=session)["alive"]
        except SchedulerError as error:
            if silent < _LOST_SECONDS:
                raise
            return str(error)
        return "" if runs else "the session's queue on Ray's head node has ended"

    def cancel(self, jobs: Sequence[str]) -> None:
        for session in dict.fromkeys(map(session_of, jobs)):
            mine = [job for job in jobs if session_of(job) == session and session not in jobs]
            self._ask("cancel", name=session, jobs=mine)

    def _ask(self, question: str, **words: Any) -> dict[str, Any]:
        """The answer of Ray's door.

        Raises:
            SchedulerError: there is no Ray at the address, or it refuses.
        """
        address = self.options.get("address") or os.environ.get("RAY_ADDRESS") or "auto"
        _reach(address)
        asked = json.dumps({"question": question, "address": address, **words})
        door = ("-m", "benchmarks.cluster.ray_door")
        try:
            told = answer(sys.executable, *door, given=asked, PYTHONPATH=python_path())
        except SchedulerError as error:
            raise SchedulerError(f"Ray at {address} does not answer: {error}") from error
        answers = [line for line in told.splitlines() if line.startswith(ANSWER)]
        found = json.loads(answers[-1].removeprefix(ANSWER)) if answers else {"error": told}
        if "error" in found:
            raise SchedulerError(f"Ray at {address}: {found['error']}")
        return found


def _reach(address: str) -> None:
    """Raise SchedulerError where nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SchedulerError(
            f"--executor-option address={address}: no Ray cluster there ({error}); `ray status` on "
            "its head node says where it is"
        ) from error
