"""A slowdown made on purpose, to test whether the gate sees it.

With BENCHMARK_SLOWDOWN=0.1 in the environment, a worker sleeps after every training epoch, inside
the timed window, for a tenth of the time that the epoch took: what a sleep of a tenth of each step
comes to, whatever a framework overlaps. The row says so (`injected_slowdown` in `extra`).
"""

from __future__ import annotations

import os
import time

VARIABLE = "BENCHMARK_SLOWDOWN"


def injected() -> float:
    """The share of an epoch to sleep; 0 without the variable, or with an empty one.

    Raises:
        ValueError: the variable is no number, or below 0.
    """
    text = os.environ.get(VARIABLE, "").strip() or "0"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < float("inf"):
        raise ValueError(f"{VARIABLE}={text}: expected a share such as 0.1, or nothing")
    return share


def slow_down(elapsed: float) -> None:
    """Sleep for the injected share of `elapsed` seconds."""
    if share := injected():
        time.sleep(share * elapsed)
