"""What tests ask of processes that they have ended."""

import contextlib
import time
from collections.abc import Iterable

import psutil

PATIENCE = 60.0  # seconds


def ended(processes: Iterable[psutil.Process]) -> bool:
    """Whether all end in time. A zombie has ended: whoever inherited it may not have asked yet."""
    deadline = time.monotonic() + PATIENCE
    left = [process for process in processes if _runs(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if _runs(process)]
    return not left


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
