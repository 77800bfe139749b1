"""Ctrl-C, SIGTERM and SIGHUP outside `cli.run`: before a command begins and after it has ended.

There is nothing to undo there: the process says so in one line and ends with 128 + signal. A signal
that is ignored when the process starts (`nohup`, a shell's `&`) stays so.

Our packages import this ahead of everything else, and it therefore imports next to nothing.
"""

import os
import signal
import sys

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def begin(package: str = "") -> None:
    """Let a signal end the process at once, in one line, from here on.

    Args:
        package: our package that is being imported: nothing is done unless it is imported to run
            `python -m PACKAGE...`, for the signals of another program's process are its own.
    """
    if package:
        words = sys.orig_argv
        # While the module is looked for, Python sets the first argument to "-m".
        if sys.argv[:1] != ["-m"] or "-m" not in words[:-1]:
            return
        if words[words.index("-m") + 1].partition(".")[0] != package:
            return
    handle(end)


def handle(handler):
    """Have a function called for every signal that is not ignored; returns what was called before,
    by the signal's number, for `signal.signal`."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {
        number: now
        for number, now in before.items()
        if now is not signal.SIG_IGN and now is not None  # None: installed by a library in C
    }
    for number in before:
        signal.signal(number, handler)
    return before


class Held:
    """Signals wait for the end of a `with`, whose content must not be broken off in the middle."""

    def __enter__(self):
        self._noted: list[int] = []
        self._before = handle(lambda number, _: self._noted.append(number))

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for number in self._noted[:1]:
            signal.raise_signal(number)


def end(number: int, _: object = None) -> None:
    """End the process at once, as a signal's handler."""
    os.write(2, b"interrupted\n")
    os._exit(128 + number)
