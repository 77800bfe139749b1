"""The start of every child process: `python child.py PARENT MODULE ARGUMENT...`, then the module.

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

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: str, module: str, *arguments: str) -> None:
    """Run the module as `python -m MODULE ARGUMENT...` would, but never without the parent.

    On Linux the kernel kills this process when the parent (a process id) dies, however it dies.
    Elsewhere the process notices at its next message, whose pipe is closed then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the request was made
        sys.exit("the process that started this one is gone")
    faulthandler.enable()
    # The parent asks a hung process where it hangs; faulthandler answers in C, whatever runs.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # A helper process of a framework must not keep the pipe of events open.
    os.set_inheritable(int(os.environ["BENCHMARK_EVENTS"]), False)
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.getcwd()  # as with -m; it was the folder of this file
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()  # so that the reason of its end is the last line of the log


if __name__ == "__main__":
    main(*sys.argv[1:])
