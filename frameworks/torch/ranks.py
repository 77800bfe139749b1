"""The processes of the other replicas: `python -m frameworks.torch.ranks DESCRIPTOR`.

The first replica starts them, tells them what to do over a socket each, and ends them. Whatever
ends the first closes the sockets, at which the others end. One that dies breaks the first one's
next sum, which then says who died and why.

They are started here, not by `benchmarks.process.spawn`, which stands above this package: in a run
they are descendants of its worker, with which that ends them.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch.distributed as dist

from frameworks.torch.global_batch_norm import Replicas, joined

_HOST = "127.0.0.1"
FAILED = "failed"  # what a replica says of the reason that it ends; else it says an answer
_LAST_WORDS_SECONDS = 5.0  # for a replica that dies to say why
_END_SECONDS = 10.0  # for one that is no longer needed


class Followers:
    """The other replicas, by rank from 1."""

    def __init__(self, count: int) -> None:
        self.count = count
        # the machine's name may stand for an address that cannot be reached
        _use_loopback()
        self._store = dist.TCPStore(_HOST, 0, count, is_master=True, wait_for_workers=False)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._connections: list[Connection] = []
        path = os.pathsep.join([os.getcwd(), *filter(None, sys.path)])
        for rank in range(1, count):
            mine, its = mp.Pipe()
            command = [sys.executable, "-m", __name__, str(its.fileno())]
            self._processes.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, "PYTHONPATH": path},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[its.fileno()],
                )
            )
            its.close()
            mine.send((rank, count, self._store.port))
            self._connections.append(mine)

    def group(self) -> Replicas:
        """The group of all, once they have all come."""
        with self.blamed():
            for connection in self._connections:
                connection.recv()  # it is there: a wait for one that never comes would be long
            return joined(self._store, 0, self.count)

    def tell(self, name: str, *arguments: Any) -> None:
        """Have every other replica do what `Follower.serve` knows by this name."""
        self.deal([(name, *arguments)] * (self.count - 1))

    def deal(self, what: Sequence[Any]) -> None:
        """Send each other replica its own."""
        with self.blamed():
            for connection, one in zip(self._connections, what, strict=True):
                connection.send(one)

    def ask(self, name: str) -> list[Any]:
        """Answers of the other replicas, in the order of their ranks.

        Raises:
            RuntimeError: a replica failed or ended; the message names it.
        """
        self.tell(name)
        with self.blamed():
            answers = [connection.recv() for connection in self._connections]
        for rank, (kind, said) in enumerate(answers, start=1):
            if kind == FAILED:
                raise RuntimeError(f"replica {rank} of {self.count} ended: {said}")
        return [said for _, said in answers]

    @contextlib.contextmanager
    def blamed(self) -> Iterator[None]:
        """A failure inside that comes of a dead replica names it.

        Raises:
            RuntimeError: another replica ended; what it said last is the reason.
        """
        try:
            yield
        except (RuntimeError, OSError, EOFError) as error:
            if found := self._dead():
                raise RuntimeError(found) from error
            raise

    def _dead(self) -> str:
        """A sentence on the replica that ended, and why; "" if none has."""
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while time.monotonic() < deadline:
            for rank, process in enumerate(self._processes, start=1):
                if process.poll() is not None:
                    return f"replica {rank} of {self.count} ended: {self._reason(rank)}"
            time.sleep(0.05)
        return ""

    def _reason(self, rank: int) -> str:
        connection = self._connections[rank - 1]
        with contextlib.suppress(OSError, EOFError):
            while connection.poll():
                kind, said = connection.recv()
                if kind == FAILED:
                    return said
        status = self._processes[rank - 1].returncode
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"

    def close(self) -> None:
        """End them all."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _use_loopback() -> None:
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")


def main(descriptor: str) -> None:
    """Be another replica until the first is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first one ends at it, and this one with it
    connection, status = Connection(int(descriptor)), 0
    try:
        rank, count, port = connection.recv()
        _, make, *parts = connection.recv()
        connection.send(("answer", "there"))
        store = dist.TCPStore(_HOST, port, count, is_master=False)
        make(*parts, None, joined(store, rank, count)).serve(connection)
    except EOFError:
        pass
    except BaseException as error:
        traceback.print_exc()
        with contextlib.suppress(OSError):
            connection.send((FAILED, f"{type(error).__name__}: {error}"))
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1])
