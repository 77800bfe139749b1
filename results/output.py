"""The one way to print a line: its text steers no terminal, whoever gave it."""

from __future__ import annotations

import sys
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
