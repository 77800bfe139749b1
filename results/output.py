"""Standard output and error output: what is printed there steers no terminal, whoever gave it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import IO

from results.names import printable


def say(
    text: object = "",
    *,
    error: bool = False,
    to: IO[str] | None = None,
    end: str = "\n",
    flush: bool = False,
) -> None:
    """Print a text, as `names.printable` makes it; nothing where the stream is closed.

    Args:
        error: on the error output, not the standard one.
        to: another stream.
        end: what follows, as it is.
    """
    stream = to or (sys.stderr if error else sys.stdout)
    if stream is None:  # the command was started without it
        return
    stream.write(f"{printable(text)}{end}")
    if flush:
        stream.flush()


def for_programs(stream: IO[str]) -> IO[str]:
    """The stream, for data: in UTF-8 whatever the terminal's encoding, which JSON and CSV are."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    return stream


def say_last(text: str) -> None:
    """Say the last words of a command, though there may be nobody left to read them."""
    with suppress(OSError):
        say(text, error=True)
    try:
        sys.stdout.flush()
    except OSError:  # a full disk, or a reader that has gone
        give_up_output()


def give_up_output() -> None:
    """Drop what is printed from here on: Python would try once more at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_streams() -> None:
    """Have all three streams, and print every text, whatever the terminal's encoding.

    A stream that is closed at the start would be the number of the next file that is opened, and
    what is printed would go into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            made = os.open(os.devnull, os.O_RDWR)  # it takes the lowest number that is free
            os.set_inheritable(made, True)  # children print there, too
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")
