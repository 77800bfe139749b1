"""The one way to start a child process: a Python module that runs in a process of its own.

A child that hangs is killed at its time limit and says where it hung. One that was killed is told
as such. What it prints is read as it comes, and its end alone is kept. Nothing that it has started
outlives the call, nor the child this process, however either of them ends (`child.py`).
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from benchmarks.process import channel, turns
from benchmarks.process.channel import Event
from benchmarks.process.environment import environment, limited_to
from benchmarks.process.failures import death
from benchmarks.system import machine
from results.vocabulary import Device
from results.writer import scratch_directory

_CHILD = Path(__file__).with_name("child.py")
_POLL_SECONDS = 0.5  # how often the caller's ticks come and the time limit is looked at
_LAST_WORDS_SECONDS = 0.5  # for a hung child to write where it hangs
_KILL_SECONDS = 15.0  # for a child to end all that it has started
_READ_BYTES = 2**20  # all that a pipe holds
_LOG_BYTES = 8000
_MARK = "BENCHMARK_CHILD"  # in the environment of all that a child starts
Answer = TypeVar("Answer")
_STACK = re.compile(r'Current thread .*\n +File "(.*)", line (\d+) in (.*)')  # faulthandler's


class Child:
    """A running module; use it in a `with`.

    status: once it has ended, its exit status as in `subprocess`: negative is a signal.
    late: whether it was killed at its time limit.
    rejected: why it was killed for what it told, "" if it was not.
    """

    def __init__(
        self,
        module: str,
        arguments: Iterable[str | Path],
        variables: Mapping[str, str],
        *,
        python: str = "",
        threads: int = 0,
        after: int = 0,
        printed: Callable[[bytes], object] = bytes,
    ) -> None:
        """Start it.

        Args:
            module: run as `python -m` would.
            variables: its whole environment, as of `environment`.
            python: the interpreter; this one by default.
            threads: CPUs that it is kept to, `after` those of others; 0 is all.
            printed: is given what it prints, as it comes.

        Raises:
            OSError: the interpreter cannot be started.
        """
        self.status: int | None = None
        self.late = False
        self._mark = uuid.uuid4().hex
        self._limit = 0.0
        self.rejected = ""
        self._log, self._printed = bytearray(), printed
        self._killed_before = machine.killed_for_memory()
        self._selector = selectors.DefaultSelector()
        self._events, sender = os.pipe()
        output, printer = os.pipe()
        self.watch(self._events, channel.Lines().feed)
        self.watch(output, self._keep)
        command = [python or sys.executable, _CHILD, str(os.getpid()), module, *arguments]
        try:
            with limited_to(threads, after) if threads else contextlib.nullcontext():
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=printer,
                    stderr=printer,
                    env={**variables, channel.VARIABLE: str(sender), _MARK: self._mark},
                    pass_fds=[sender, *turns.descriptors(variables)],
                    start_new_session=True,
                )
        except BaseException:
            self._forget()
            raise
        finally:
            os.close(sender)
            os.close(printer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def watch(self, descriptor: int, feed: Callable[[bytes], Iterable[Event]]) -> None:
        """Have a pipe read along with the child's own, and closed with them.

        Args:
            feed: makes events of what arrives.
        """
        self._selector.register(descriptor, selectors.EVENT_READ, feed)

    def events(
        self,
        limit: float = 0.0,
        *,
        idle: bool = False,
        on_tick: Callable[[], None] = lambda: None,
    ) -> Iterator[Event]:
        """The events as they come, until the child has ended.

        Args:
            limit: seconds after which the child's group is killed; 0 is never.
            idle: the limit is for the time without an event, not for all of them.
            on_tick: called about twice a second.
        """
        self._limit = limit
        deadline = time.perf_counter() + limit
        while self._process.poll() is None:
            left = deadline - time.perf_counter() if limit else _POLL_SECONDS
            for event in self._read(max(0.0, min(_POLL_SECONDS, left))):
                yield event
                if idle:
                    deadline = time.perf_counter() + limit
            on_tick()
            if limit and time.perf_counter() >= deadline and self._process.poll() is None:
                self.late = True
                yield from self._last_words()
                break
        self.kill()
        self._wait()
        for _ in range(2):  # what was in the pipes; not to their end, which another may keep open
            yield from self._read(0.0)

    def reject(self, reason: str) -> None:
        """Kill the child for what it told."""
        self.rejected = self.rejected or reason
        self.kill()

    def kill(self) -> None:
        """Kill the child and all that it has started; any thread may."""
        if self.status is not None:  # another process may have its number now
            return
        if sys.platform == "linux":  # where `child.py` ends what has left the group, too
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill what is left, and close the pipes."""
        self.kill()
        self._wait()
        self._forget()

    @property
    def log(self) -> str:
        """The end of what it printed, on stdout and stderr alike."""
        return self._log.decode("utf-8", errors="replace").strip()

    @property
    def where(self) -> str:
        """The line of Python that it hung or died in, in words; empty where it did not say."""
        found = _STACK.findall(self.log)
        return f", in {found[-1][2]} ({found[-1][0]}, line {found[-1][1]})" if found else ""

    def ending(self, phase: str = "") -> tuple[str, str]:
        """Status (oom or error) and reason of a process that ended without telling them."""
        if self.rejected:
            return "error", self.rejected
        assert self.status is not None
        killed_for_memory = machine.killed_for_memory() > self._killed_before
        return death(self.status, phase, log=self.log, killed_for_memory=killed_for_memory)

    def failure(self) -> str:
        """Why it failed, in one line; empty when it ended well."""
        if self.late:
            return f"not done after {self._limit:g} s{self.where}"
        if self.status == 0 and not self.rejected:
            return ""
        if self.status and self.status > 0 and self.log:  # it says why itself
            return self.log.splitlines()[-1]
        return self.ending()[1] + self.where

    def _wait(self) -> None:
        self.status = self._process.wait()
        if self.status < 0 and sys.platform == "linux":
            self._kill_what_is_left()

    def _kill_what_is_left(self) -> None:
        """Kill processes that the first one left because it was killed itself (`child.py`)."""
        import psutil

        left, deadline = True, time.monotonic() + _KILL_SECONDS
        while left and time.monotonic() < deadline:
            left = False
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):  # it is another user's, or gone
                    if process.environ().get(_MARK) == self._mark:
                        process.kill()
                        left = True

    def _read(self, wait: float) -> Iterator[Event]:
        """The events of all that has arrived after at most so many seconds."""
        for key, _ in self._selector.select(wait):
            data = os.read(key.fd, _READ_BYTES)
            if not data:
                self._selector.unregister(key.fd)
                os.close(key.fd)
                if key.fd == self._events:  # closed: the child is on its way out
                    self._events = -1  # another may get the number
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(wait)
                continue
            try:
                for event in key.data(data):
                    if key.fd == self._events:
                        channel.check(event)
                    yield event
            except ValueError as error:
                self.reject(str(error))

    def _last_words(self) -> Iterator[Event]:
        """Have a hung child write its stack to its log."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        deadline = time.perf_counter() + _LAST_WORDS_SECONDS
        while (left := deadline - time.perf_counter()) > 0:
            yield from self._read(left)

    def _keep(self, data: bytes) -> tuple[Event, ...]:
        self._printed(data)
        self._log += data
        del self._log[:-_LOG_BYTES]
        return ()

    def _forget(self) -> None:
        for key in list((self._selector.get_map() or {}).values()):
            os.close(key.fd)
        self._selector.close()


def ask(
    module: str,
    arguments: Sequence[str | Path],
    framework: str,
    *,
    limit: float,
    device: Device = "cpu",
    threads: int = 1,
    python: str = "",
    answer: type[Answer] = dict[str, Any],  # type: ignore[assignment]
) -> tuple[list[Answer], str]:
    """The facts that a module told, and why it failed; "" when it did not.

    Args:
        answer: what each fact is; another one is a failure.
        framework: of the registry; the module runs in its environment.
        limit: seconds after which it is killed.
        threads: of every library, and CPUs that the module is kept to.
    """
    with scratch_directory() as scratch:
        variables = environment(framework, device=device, threads=threads, scratch=scratch)
        try:
            child = Child(module, arguments, variables, python=python, threads=threads)
        except OSError as error:
            return [], f"cannot be started: {error}"
        told: list[Answer] = []
        with child:
            for event in child.events(limit):
                if event["event"] == "facts":
                    try:
                        told.append(msgspec.convert(event["values"], answer))
                    except msgspec.ValidationError as error:
                        child.reject(f"it sent what is no answer: {error}")
            return told, child.failure()
