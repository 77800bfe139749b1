"""Ray's calls as far as the harness uses them, on the nodes n1 and n2 of this machine.

`install` puts a package `ray` of these names where a test and what it starts find it. An actor is a
process that answers on a socket of its name; a task is a thread of the actor that owns it, alone on
its node. A test writes into the directory what is to go wrong: `refuse` (nobody connects), `lose`
(the node of the job with this number dies), `blind` (the node of this name sees no files).
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing.connection import Client, Listener
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

_VARIABLE = "FAKE_RAY"
_BEGIN_SECONDS = 20.0
_LIFE_SECONDS = 300  # of an actor, whatever becomes of its test


def install(directory: Path, monkeypatch: "pytest.MonkeyPatch") -> Path:
    """Make it known here, with two nodes of a CPU each; returns the directory of its state."""
    state = directory / "fake-ray"
    state.mkdir()
    package = directory / "ray"  # the directory is on the path: fake_backend.install
    package.mkdir()
    (package / "__init__.py").write_text("from tests.helpers.fake_ray import *\n")
    importlib.invalidate_caches()
    monkeypatch.setenv(_VARIABLE, str(state))
    have_nodes(state, {"CPU": 1.0}, {"CPU": 1.0})
    return state


def have_nodes(state: Path, *resources: dict[str, float]) -> None:
    """Let the cluster have a head node without CPUs, and these nodes."""
    every = [{"node:__internal_head__": 1.0}, *resources]
    found = [
        {"NodeID": f"id{at}", "Alive": True, "NodeName": f"n{at}", "Resources": has}
        | {"NodeManagerAddress": "192.0.2.1", "NodeManagerHostname": "host"}
        for at, has in enumerate(every)
    ]
    (state / "nodes").write_text(json.dumps(found))


def tasks(state: Path) -> list[dict[str, Any]]:
    """The options of each block's task so far."""
    log = state / "tasks"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


class RayError(Exception):
    pass


class NodeDiedError(RayError):
    pass


class TaskCancelledError(RayError):
    pass


class Ref(Future):
    """Answer of a call that can be waited for as it is."""

    def future(self) -> Future:
        return self


class Remote:
    """A function or class that `remote` was given."""

    def __init__(self, target: Any, given: dict[str, Any]) -> None:
        self._target, self._given = target, given

    def options(self, **more: Any) -> "Remote":
        return Remote(self._target, self._given | more)

    def remote(self, *arguments: Any) -> Any:
        if isinstance(self._target, type):
            return _begin_actor(self._target, self._given["name"], arguments)
        ref = Ref()
        if affinity := self._given.get("scheduling_strategy"):
            _run(ref, affinity, self._target, arguments)
        else:
            with (_state() / "tasks").open("a") as log:
                log.write(json.dumps(self._given) + "\n")
            threading.Thread(target=self._wait, args=(ref, arguments), daemon=True).start()
        return ref

    def _wait(self, ref: Ref, arguments: tuple[Any, ...]) -> None:
        """Run the task when a node is free."""
        with _a_node() as node:
            if ref.done():
                return
            if _told("lose") == self._given["name"].rpartition("_")[2]:
                ref.set_exception(NodeDiedError("The node has died. It had no power."))
                return
            _run(ref, node, self._target, arguments)


class Handle:
    """An actor, by its name; inside the actor itself, without its socket."""

    def __init__(self, name: str, actor: Any = None) -> None:
        self._name, self._actor = name, actor

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any) -> Ref:
            ref = Ref()
            threading.Thread(target=ask, args=(ref, arguments), daemon=True).start()
            return ref

        def ask(ref: Ref, arguments: tuple[Any, ...]) -> None:
            with contextlib.suppress(EOFError, OSError):  # it has ended
                if self._actor is not None:
                    ref.set_result(getattr(self._actor, method)(*arguments))
                    return
                with Client(str(_state() / self._name)) as wire:
                    wire.send((method, arguments))
                    ref.set_result(wire.recv())

        return SimpleNamespace(remote=call)


_here = threading.local()
_free = threading.Condition()
_busy: set[str] = set()
_me: list[Handle] = []


@contextlib.contextmanager
def _a_node() -> Iterator[str]:
    ids = [one["NodeID"] for one in nodes() if one["Resources"].get("CPU")]
    with _free:
        while not (left := [one for one in ids if one not in _busy]):
            _free.wait()
        _busy.add(left[0])
    try:
        yield left[0]
    finally:
        with _free:
            _busy.discard(left[0])
            _free.notify()


def _run(ref: Ref, node: str, target: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    _here.node = node
    name = next(one["NodeName"] for one in nodes() if one["NodeID"] == node)
    blind = target.__name__ == "wanting" and _told("blind") == name
    result = "/its/store" if blind else target(*arguments)
    with contextlib.suppress(Exception):  # it was cancelled
        ref.set_result(result)


def _begin_actor(made_of: type, name: str, arguments: tuple[Any, ...]) -> Handle:
    socket = _state() / name
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        _serve(made_of(*arguments), name)
    os.wait()
    deadline = time.monotonic() + _BEGIN_SECONDS
    while not socket.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return Handle(name)


def _serve(actor: Any, name: str) -> None:
    signal.alarm(_LIFE_SECONDS)  # a test may refuse its command before any call comes
    _me.append(Handle(name, actor))

    def reply(wire: Any) -> None:
        method, arguments = wire.recv()
        with contextlib.suppress(OSError):
            wire.send(getattr(actor, method)(*arguments))

    with Listener(str(_state() / name)) as listener:
        while True:
            threading.Thread(target=reply, args=(listener.accept(),), daemon=True).start()


def _exit_actor() -> None:
    (_state() / _me[0]._name).unlink()
    os._exit(0)


def _state() -> Path:
    return Path(os.environ[_VARIABLE])


def _told(name: str) -> str:
    path = _state() / name
    return path.read_text() if path.exists() else ""


def remote(*target: Any, **options: Any) -> Any:
    return Remote(target[0], {}) if target else lambda one: Remote(one, options)


def init(address: str, **_: Any) -> None:
    if why := _told("refuse"):
        raise ConnectionError(why)


def nodes() -> list[dict[str, Any]]:
    return json.loads((_state() / "nodes").read_text())


def get(ref: Ref, timeout: float | None = None) -> Any:
    return ref.result(timeout)


def wait(refs: list[Ref], num_returns: int, timeout: float) -> tuple[list[Ref], list[Ref]]:
    return [ref for ref in refs if ref.done()], [ref for ref in refs if not ref.done()]


def cancel(ref: Ref, force: bool) -> None:
    ref.set_exception(TaskCancelledError())


def kill(queue: Handle) -> None:
    queue.exit.remote()


def get_actor(name: str) -> Handle:
    if not (_state() / name).exists():
        raise ValueError(f"Failed to look up actor with name '{name}'")
    return Handle(name)


def get_runtime_context() -> SimpleNamespace:
    return SimpleNamespace(current_actor=_me[0] if _me else None, get_node_id=lambda: _here.node)


def _node_affinity(node: str, soft: bool) -> str:
    return node


exceptions = SimpleNamespace(RayError=RayError)
actor = SimpleNamespace(exit_actor=_exit_actor)
cloudpickle = SimpleNamespace(register_pickle_by_value=lambda module: None)
strategies: Any = SimpleNamespace(NodeAffinitySchedulingStrategy=_node_affinity)
if "ray" in sys.modules:  # this is being imported in its name
    sys.modules |= {"ray.util": strategies, "ray.util.scheduling_strategies": strategies}
