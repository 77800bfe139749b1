"""A file's libraries kept apart: they run in a fork of this process, for which C code can be ended.

A damaged file leads HDF5, a codec or another library in C to loop, to crash or to take all memory;
Python can neither interrupt it nor catch that. In the fork each has its limit, and one message.

The fork costs some milliseconds, and imports nothing. It is of Linux alone: elsewhere the work is
done here. So it is where TensorFlow is loaded: it reads TFRecord, with threads that no fork has.
"""

from __future__ import annotations

import faulthandler
import math
import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar

from results.door.refusal import FileError

SECONDS = 10  # on the processor, without a sign of life: imports are a part of them
_BYTES_A_SECOND = 1 << 23  # more of a large file, of which a directory, say, is read in one call
MEMORY = 4 << 30  # bytes more than this process has; libraries reserve some
TIMES = 100  # the same of a large file, times its size
_LAST_SECONDS = 2.0  # for a fork that is not wanted any more to clean up
_NO_MEMORY = "it asks for more memory than there is"
_THREADED = ("tensorflow",)
_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

Result = TypeVar("Result")

_allowed = 0  # seconds, in a fork; 0 elsewhere


def alive() -> None:
    """Give a sign of life; work on a large file does, once for each picture or object."""
    if _allowed:
        import resource  # POSIX alone has it; `cli` says so on Windows

        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        soft = math.ceil(time.process_time()) + _allowed
        resource.setrlimit(resource.RLIMIT_CPU, (soft if most < 0 else min(soft, most), most))


def is_apart() -> bool:
    """True in a fork that `done_apart` has made."""
    return bool(_allowed)


def done_apart(
    work: Callable[[], Result],
    path: str | os.PathLike[str],
    what: str,
    size: int,
    remedy: str,
    *,
    seconds: int = SECONDS,
) -> Result:
    """The result of work on a file, done in a fork; what it raises is raised here.

    Args:
        work: its result and its errors are pickled.
        what: the file is to be, with its article.
        size: of the file in bytes: a large one may take longer, and more memory.
        remedy: the end of the message.
        seconds: on the processor that may pass without a sign of life.

    Raises:
        FileError: the work came to no end, ended its process, or took too much memory.
    """
    if is_apart() or sys.platform != "linux" or any(name in sys.modules for name in _THREADED):
        return work()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # the fork would write it again
    reader, writer = os.pipe()
    parent = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # no handler of ours is the fork's
    with warnings.catch_warnings():  # of threads, which the work does not need
        warnings.simplefilter("ignore")
        try:
            child = os.fork()
        except OSError:  # there is no room for another process
            child = -1
    if not child:
        os.close(reader)
        _work(work, parent, writer, size, seconds, mask)
    os.close(writer)
    try:
        with open(reader, "rb") as pipe:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            sent = pipe.read()
    except BaseException:  # a signal of this process
        _end(child)
        raise
    if child < 0:
        return work()
    status = _status(child)
    why = _why(status)
    if sent and not status:
        well, told = pickle.loads(sent)
        if well:
            return told
        if not isinstance(told, MemoryError):
            raise told
        why = _NO_MEMORY
    raise FileError(f"{path}: not {what}, or damaged: {why}; {remedy}")


def _status(child: int) -> int:
    try:
        return os.waitpid(child, 0)[1]
    except ChildProcessError:  # who started us ignores SIGCHLD: nothing is told of a child
        return 0


def _end(child: int) -> None:
    if child < 0:
        return
    deadline = time.monotonic() + _LAST_SECONDS
    with suppress(ChildProcessError, ProcessLookupError):
        os.kill(child, signal.SIGTERM)
        while not os.waitpid(child, os.WNOHANG)[0]:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.01)


def _why(status: int) -> str:
    """Why a fork ended without a result, by the status of `waitpid`."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGXCPU:
        return "reading it comes to no end"
    if number == signal.SIGKILL:
        return f"the process that reads it was killed, as where {_NO_MEMORY}"
    how = f"crashes on it ({signal.Signals(number).name})" if number else "ends the program"
    return f"a library that reads it {how}"


# ---- in the fork


def _work(
    work: Callable[[], object],
    parent: int,
    writer: int,
    size: int,
    seconds: int,
    mask: Collection[int],
) -> NoReturn:
    status = 1
    try:
        _limit(parent, size, seconds)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        sent = _sent(work)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        with open(writer, "wb") as pipe:
            pipe.write(sent)
        status = 0
    finally:
        os._exit(status)


def _limit(parent: int, size: int, seconds: int) -> None:
    global _allowed
    import ctypes
    import resource

    faulthandler.disable()
    for name in ("SIGINT", "SIGHUP"):  # the parent has them as well, and ends this process
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _allowed = seconds + size // _BYTES_A_SECOND
    alive()
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    soft = pages * resource.getpagesize() + max(MEMORY, TIMES * size)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (soft if most < 0 else min(soft, most), most))


def _sent(work: Callable[[], object]) -> bytes:
    """The pickled result of `work`, or its error."""
    try:
        told: tuple[bool, object] = (True, work())
    except Exception as error:
        told = (False, error)
        try:
            pickle.loads(pickle.dumps(told))
        except Exception:  # an error that is made of other arguments than it keeps
            kind = FileError if isinstance(error, ValueError | OSError) else RuntimeError
            text = str(error) if kind is FileError else traceback.format_exc()
            told = (False, kind(text))
    return pickle.dumps(told)
