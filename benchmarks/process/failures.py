"""Status of a failed run, and the reason in one line."""

from __future__ import annotations

import re
import signal


class DivergedError(Exception):
    """The loss is no longer finite."""


_OUT_OF_MEMORY = re.compile(
    r"RESOURCE_EXHAUSTED|out of memory|can't allocate memory|not enough memory|bad_alloc"
    r"|ALLOC_FAILED|unable to allocate|MemoryError",
    re.IGNORECASE,
)
_RAN_OUT = ": the machine ran out of memory"
REASON_LENGTH = 500


def classify(
    error: BaseException, phase: str, *, killed_for_memory: bool = False
) -> tuple[str, str]:
    """Status and reason of a run that raised in a phase: `oom` when memory ran out, or `error`.

    Args:
        killed_for_memory: whether the kernel killed a process for want of memory meanwhile: one of
            the run's own, where the error says that SIGKILL ended it.
    """
    text = " ".join(str(error).split())
    name = type(error).__name__
    if killed_for_memory and signal.SIGKILL.name in text:
        text += _RAN_OUT
    out_of_memory = (
        isinstance(error, MemoryError)
        or name in ("OutOfMemoryError", "ResourceExhaustedError")
        or looks_like_out_of_memory(text)
    )
    reason = f"{name} during {phase}: {text}" if text else f"{name} during {phase}"
    return ("oom" if out_of_memory else "error"), reason[:REASON_LENGTH]


def looks_like_out_of_memory(text: str) -> bool:
    """True if a message or a log of any framework says that memory ran out."""
    return _OUT_OF_MEMORY.search(text) is not None


def death(returncode: int, phase: str, *, log: str, killed_for_memory: bool) -> tuple[str, str]:
    """Status and reason of a run whose process ended without telling its result.

    Args:
        returncode: as in `subprocess`: negative is a signal.
        phase: in which it ended; "" where it has none.
        log: the end of what it printed.
        killed_for_memory: whether the kernel killed a process for want of memory meanwhile.
    """
    during = f" during {phase}" if phase else ""
    if returncode == -signal.SIGKILL and killed_for_memory:
        return "oom", f"killed by the kernel{during}{_RAN_OUT}"
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        how = f"the process was killed by {name}"
    else:
        how = f"the process ended with status {returncode} without a result"
    return ("oom" if looks_like_out_of_memory(log) else "error"), f"{how}{during}"
