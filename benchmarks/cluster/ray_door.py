"""The one process that speaks to Ray: `python -m benchmarks.cluster.ray_door`.

It reads a question from standard input and prints a line with the answer. Both are JSON objects;
`error` in an answer has Ray's word. A process of its own, since Ray ends the process that is
connected to it when the cluster dies, and installs signal handlers and threads.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.cluster import ray_queue
from results.output import say

NAMESPACE = "galaxy-benchmark"
_HEAD = "node:__internal_head__"  # each cluster's head node has one of it
_BEGIN_SECONDS = 60.0
_CONCURRENT = 16  # signs of life that the queue takes at once


class RefusedError(Exception):
    """A node or the cluster cannot do what is asked; the message says why."""


def nodes() -> dict[str, Any]:
    """The nodes that are alive: name, and resources by Ray's names of them."""
    return {
        "nodes": [{"name": ray_queue.name_of(one), "resources": one["Resources"]} for one in _all()]
    }


def submit(name: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Start the queue of a session, once all nodes that its blocks may go to see its files."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(ray_queue.wanting)
    asked = {}
    for node in _all():
        has = node["Resources"]
        if _HEAD in has or all(has.get(key, 0) >= much for key, much in order["takes"].items()):
            on = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ref = task.options(scheduling_strategy=on).remote(order)
            asked[ref] = ray_queue.name_of(node)
    actor = ray.remote(ray_queue.Queue).options(
        name=name,
        lifetime="detached",
        num_cpus=0,
        resources={_HEAD: 0.001},
        max_restarts=0,
        max_concurrency=_CONCURRENT,
    )
    queue = actor.remote(order)  # its process starts while the nodes look
    try:
        told, late = ray.wait(list(asked), num_returns=len(asked), timeout=_BEGIN_SECONDS)
        if late:
            raise RefusedError(f"node {asked[late[0]]} does not answer for {_BEGIN_SECONDS:g} s")
        for ref in told:
            if path := ray.get(ref):
                raise RefusedError(f"node {asked[ref]} does not see {path}")
        queue.work.remote()
        if not ray.get(queue.ready.remote(_BEGIN_SECONDS), timeout=_BEGIN_SECONDS):
            raise RefusedError(f"the queue has not begun after {_BEGIN_SECONDS:g} s")
    except BaseException:
        ray.kill(queue)
        raise
    return {}


def cancel(name: str, jobs: Sequence[str]) -> dict[str, Any]:
    """Cancel jobs of a session, all when none is named; one that has ended is left."""
    import ray

    if queue := _queue(name):
        ray.get(queue.cancel.remote(list(jobs)), timeout=_BEGIN_SECONDS)
    return {}


def alive(name: str) -> dict[str, Any]:
    """Answer `alive`: the queue of a session runs."""
    return {"alive": _queue(name) is not None}


def _all() -> list[dict[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def _queue(name: str) -> Any:
    import ray

    try:
        return ray.get_actor(name)
    except ValueError:  # it has ended
        return None


_QUESTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    one.__name__: one for one in (nodes, submit, cancel, alive)
}


def main() -> None:
    """Answer the question of standard input."""
    import ray

    asked = json.load(sys.stdin)
    ray.cloudpickle.register_pickle_by_value(ray_queue)
    try:
        ray.init(asked.pop("address"), namespace=NAMESPACE, log_to_driver=False)
        answer = _QUESTIONS[asked.pop("question")](**asked)
    except (RefusedError, ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        answer = {"error": " ".join(str(error).split()) or type(error).__name__}
    say(f"\n{ray_queue.ANSWER}{json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main()
