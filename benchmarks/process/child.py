"""The start of every child process: `python child.py PARENT MODULE ARGUMENT...`, then the module.

On Linux there are two processes: the module runs in a fork of the first, which waits for it. Every
process that the module starts, also a daemon that has left the group, is a descendant of the first
(PR_SET_CHILD_SUBREAPER), and ends with the module, or when the first is asked to end (SIGTERM, also
sent by the kernel when the parent dies, however it dies).

`spawn` runs this file by its path, with any interpreter and for the modules of any checkout. It
imports nothing of the project for that reason.
"""

import contextlib
import ctypes
import faulthandler
import os
import runpy
import signal
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36  # linux/prctl.h
_PATIENCE_SECONDS = 10.0  # with a process that the kernel cannot end yet
_POLL_SECONDS = 0.005


def main(parent: str, module: str, *arguments: str) -> None:
    """Run the module as `python -m MODULE ARGUMENT...` would, but never without the parent.

    Elsewhere than on Linux the process notices that its parent (a process id) is gone at its next
    message, whose pipe is closed then.
    """
    _end_with(int(parent), signal.SIGTERM)
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        first = os.getpid()
        if forked := os.fork():
            _wait_for(forked)
        _end_with(first, signal.SIGKILL)
    faulthandler.enable()
    # The parent asks a hung process where it hangs; faulthandler answers in C, whatever runs.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if events := os.environ.get("BENCHMARK_EVENTS"):
        # A helper process of a framework must not keep the pipe of events open.
        os.set_inheritable(int(events), False)
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.getcwd()  # as with -m; it was the folder of this file
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()  # so that the reason of its end is the last line of the log


def _prctl(option, value):
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_with(parent, number):
    """Have the kernel send this process a signal when its parent dies; exit if it is dead now."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it died before the request was made
        sys.exit("the process that started this one is gone")


def _wait_for(forked):
    """Wait for the module's process, end all that it has left, and end as it ended."""

    def asked_to_end(*_):
        _end_descendants()
        _end_as(signal.SIGKILL)  # as the module did

    def where_does_it_hang(*_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(forked, signal.SIGUSR1)

    signal.signal(signal.SIGTERM, asked_to_end)
    signal.signal(signal.SIGUSR1, where_does_it_hang)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the module's pipes end with the module
    ended = 0
    while ended != forked:
        ended, status = os.waitpid(-1, 0)  # a daemon of its may end before it
    _end_descendants()
    if os.WIFSIGNALED(status):
        _end_as(os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def _end_as(number):
    _prctl(_PR_SET_DUMPABLE, 0)  # the module's process has dumped its core, if any
    with contextlib.suppress(OSError):  # SIGKILL has no handler
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def _end_descendants():
    """Kill the children until there are none: those of a killed one become this process's own."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with contextlib.suppress(ChildProcessError):  # there are none
        while time.monotonic() < deadline:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                for child in _children():
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(child, signal.SIGKILL)
                time.sleep(_POLL_SECONDS)


def _children():
    """The process ids of this process's children."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        # proc(5): the second field is a name in parentheses, the fourth the parent
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                found.append(int(name))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
