"""Queue of a session inside a Ray cluster, and the task of each of its blocks.

Ray's workers get this module as it stands, and a node may have no more than Ray installed, so it
imports nothing of the project. An *order* is all that the queue is told:

===========  =======================================================================
`directory`  of the blocks; states and output go there
`jobs`       their names, `SESSION_1` and so on
`command`    that runs a block, but for its file; `{parent}` is its parent's process id
`variables`  of its environment, besides the node's; `cwd`: its working directory
`seconds`    its time limit, 0 for none; `most`: blocks at once, 0 for no limit
`takes`      what a block takes of its node, by Ray's names of resources
`silence`    seconds without a sign of life after which a block is given up
===========  =======================================================================
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

ANSWER = "ANSWER "  # begins the line of the door's answer; Ray prints lines of its own
STATES = "states.json"  # [state, reason, node] by job
NODE, JOB = "BENCHMARK_NODE", "BENCHMARK_JOB"  # in the environment of a block
TOUCH_SECONDS = 5.0  # at most, between two changes of the file of states
_LOOK_SECONDS = 0.5
_KILL_SECONDS = 15.0  # for a block to end all that it has started

Order = Mapping[str, Any]


class Queue:
    """The blocks of a session: an actor on Ray's head node that outlives the command.

    It owns the blocks' tasks, so Ray ends them with it.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.states = {job: ["PENDING", "", ""] for job in order["jobs"]}
        self.waiting = list(order["jobs"])
        self.running: dict[Any, str] = {}  # job by what Ray is to return
        self.seen: dict[str, float] = {}
        self.lock = threading.RLock()
        self.begun = threading.Event()
        self.told, self.told_at, self.gone_at = "", 0.0, 0.0

    def ready(self, seconds: float) -> bool:
        """Wait so many seconds at most for the queue to work; False if it does not yet."""
        return self.begun.wait(seconds)

    def work(self) -> None:
        """Run the blocks; ends the actor when all have ended."""
        import ray

        me = ray.get_runtime_context().current_actor
        while self.waiting or self.running:
            with self.lock:
                self.start(me)
                self.collect()
            self.begun.set()
            self.tell()
            time.sleep(_LOOK_SECONDS)
        self.tell()
        ray.actor.exit_actor()

    def alive(self, job: str, node: str) -> bool:
        """Take a sign of life of a block; False is for it to end."""
        with self.lock:
            if job not in self.running.values():
                return False
            self.seen[job] = time.monotonic()
            self.states[job] = ["RUNNING", "", node]
            return True

    def cancel(self, jobs: Collection[str] = ()) -> None:
        """Cancel these jobs, queued or running; all when none is named."""
        with self.lock:
            wanted = set(jobs) or set(self.states)
            for job in wanted.intersection(self.waiting):
                self.states[job] = ["CANCELLED", "", ""]
            self.waiting = [job for job in self.waiting if job not in wanted]
            for ref in [ref for ref, job in self.running.items() if job in wanted]:
                self.give_up(ref, "CANCELLED", "")
        self.tell()

    def start(self, me: Any) -> None:
        """Hand blocks to Ray, which queues them until a node is free."""
        import ray

        takes = dict(self.order["takes"])
        cpus, gpus = takes.pop("CPU", 0), takes.pop("GPU", 0)
        # Ray must not run a block twice: of its own accord it would, when a node dies.
        task = ray.remote(max_retries=0, num_cpus=cpus, num_gpus=gpus, resources=takes)(run_block)
        while self.waiting and (len(self.running) < (self.order["most"] or len(self.states))):
            job = self.waiting.pop(0)
            self.running[task.options(name=job).remote(me, job, self.order)] = job

    def collect(self) -> None:
        """Take in what has become of the blocks."""
        import ray

        refs = list(self.running)
        ended, _ = ray.wait(refs, num_returns=len(refs), timeout=0) if refs else ([], [])
        for ref in ended:
            job = self.running.pop(ref)
            node = self.states[job][2]
            try:
                self.states[job] = [*ray.get(ref), node]
            except ray.exceptions.RayError as error:  # its word: the node or the worker died, ...
                words = " ".join(str(error).split()).partition(". ")[0]
                self.states[job] = [type(error).__name__, words, node]
        silence = self.order["silence"]
        since = time.monotonic() - silence
        for ref, job in list(self.running.items()):
            if self.seen.get(job, since) < since:
                self.give_up(ref, "SILENT", f"no sign of life for {silence:g} s")

    def give_up(self, ref: Any, state: str, reason: str) -> None:
        """Have Ray end a block, and wait for it no more."""
        import ray

        job = self.running.pop(ref)
        self.states[job] = [state, reason, self.states[job][2]]
        with contextlib.suppress(ray.exceptions.RayError, ValueError):  # it has ended
            ray.cancel(ref, force=True)

    def tell(self) -> None:
        """Write the states where the command reads them."""
        with self.lock:
            text = json.dumps(self.states)
            if text == self.told and time.monotonic() - self.told_at < TOUCH_SECONDS:
                return
            path = Path(self.order["directory"], STATES)
            half = path.with_suffix(".half")
            try:
                half.write_text(text, encoding="utf-8")
                half.replace(path)
            except FileNotFoundError:  # the command is done, and these blocks are about to end
                self.waiting.clear()  # or it has given them up
                self.gone_at = self.gone_at or time.monotonic()
                if self.running and time.monotonic() - self.gone_at > self.order["silence"]:
                    self.cancel()
            except OSError:
                return  # a file system that is away for a while: again at the next look
            self.told, self.told_at = text, time.monotonic()


def run_block(queue: Any, job: str, order: Order) -> tuple[str, str]:
    """Run a block on this node; returns its state, and the reason.

    It asks the queue each second whether to go on, and never waits for Ray: Ray would lend the CPUs
    of a task that waits to another.
    """
    import ray

    here = ray.get_runtime_context().get_node_id()
    (node,) = (name_of(one) for one in ray.nodes() if one["NodeID"] == here)
    path = Path(order["directory"], f"{int(job.rpartition('_')[2]):05}.json")
    command = [word.replace("{parent}", str(os.getpid())) for word in order["command"]]
    variables = os.environ | order["variables"] | {NODE: node, JOB: job}
    answer = queue.alive.remote(job, node).future()
    began = heard = time.monotonic()
    with path.with_name(f"{job}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(path)],
            cwd=order["cwd"],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1.0)
                now = time.monotonic()
                if answer.done():
                    if not answer.result():
                        return "CANCELLED", ""
                    heard = now
                    answer = queue.alive.remote(job, node).future()
                if now - heard > order["silence"]:
                    return "SILENT", f"the queue has not answered for {order['silence']:g} s"
                if order["seconds"] and now - began > order["seconds"]:
                    return "TIMEOUT", f"not done after {order['seconds']:g} s"
        finally:
            _end(process)
    if process.returncode < 0:
        return "KILLED", f"by signal {-process.returncode}"
    return ("FAILED", f"status {process.returncode}") if process.returncode else ("COMPLETED", "")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_SECONDS)
    if process.poll() is None:
        process.kill()


def wanting(order: Order) -> str:
    """The first file of an order that this node does not see; empty when it sees all."""
    command = [word for word in order["command"] if os.path.isabs(word)]
    first = os.path.join(order["directory"], "00001.json")
    return next((path for path in (*command, order["cwd"], first) if not os.path.exists(path)), "")


def name_of(node: Mapping[str, Any]) -> str:
    """The name that a node was given; its host's where it was given none."""
    name = node["NodeName"]
    return node["NodeManagerHostname"] if name == node["NodeManagerAddress"] else name
