"""Timing of an operation at each size, the same for all libraries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.limits.found import COPY, Sample

SAMPLES, FEWEST = 9, 3
SAMPLE_SECONDS = 0.05  # each sample repeats the operation for at least about so long
WARM_UP_SECONDS = 0.3
SLOW_SECONDS = 2.0  # an operation that takes longer is not tried at a larger size
SIDES = {"cpu": (512, 1024, 2048, 3072), "cuda": (1024, 2048, 4096, 8192, 12288)}
COPIED = {"cpu": (2**28, 2**29), "cuda": (2**28, 2**30)}  # bytes: beyond any cache

# Runs an operation so many times and returns when the last has finished.
Repeated = Callable[[int], None]
# (precision, side) or ("copy", bytes) to what is to be timed.
Make = Callable[[str, int], Repeated]


def sweep(library: str, make: Make, precisions: list[str], device: str) -> Iterator[Sample]:
    """Samples of each precision, and of copying, at growing sizes."""
    for what in (*precisions, COPY):
        for size in (COPIED if what == COPY else SIDES)[device]:
            seconds = timed(make(what, size))
            yield Sample(library=library, what=what, size=size, seconds=tuple(seconds))
            if min(seconds) > SLOW_SECONDS:
                break


def timed(repeated: Repeated, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Seconds of one operation, `SAMPLES` times, after warming up; fewer where it is slow."""

    def lasting(count: int) -> float:
        start = clock()
        repeated(count)
        return clock() - start

    lasting(1)  # compiles, allocates
    spent, once = 0.0, lasting(1)
    while spent < WARM_UP_SECONDS:
        spent += once
        once = lasting(1)
    count = max(1, round(SAMPLE_SECONDS / once))
    samples = SAMPLES if once < SLOW_SECONDS else FEWEST
    return [lasting(count) / count for _ in range(samples)]
