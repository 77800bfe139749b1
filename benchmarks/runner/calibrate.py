"""Speed of this machine from a short product, for the estimate before the first run.

It takes a third of a second. The user's cache directory keeps the best speed that a machine ever
showed, so that one busy moment does not count.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from math import isfinite
from pathlib import Path

from results.door.documents import json_file
from results.door.refusal import FileError
from results.names import beneath
from results.writer import write

_SIZE = 384  # of the square matrices: they fit a core's cache
_SECONDS = 0.12  # of products; the best counts
_LOOP = 400_000


@dataclass(frozen=True)
class Calibration:
    """Speed of a machine.

    flops: operations per second of a float32 matrix product, all CPUs together.
    loop_seconds: of a fixed loop in Python, by which imports and calls are scaled.
    """

    flops: float
    loop_seconds: float

    @property
    def sound(self) -> bool:
        """True if both are finite numbers above 0; anyone may have edited the file."""
        return all(isfinite(one) and one > 0 for one in (self.flops, self.loop_seconds))


def calibrated(machine_id: str) -> Calibration:
    """The machine at the best it has shown, now or before; a cache that cannot be read or written
    costs only the memory of before."""
    from datasets.download import cache_directory

    found = measured()
    path = beneath(Path(cache_directory()), f"speed-{machine_id}", ending=".json")
    with suppress(FileError):
        known = json_file(path, Calibration, "the speed of a machine")
        if known.sound:
            found = Calibration(
                max(found.flops, known.flops), min(found.loop_seconds, known.loop_seconds)
            )
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps(asdict(found)))
    return found


@cache
def measured() -> Calibration:
    """Speed by the best of some products, and of three loops; measured once in a process."""
    import numpy as np

    matrix = np.full((_SIZE, _SIZE), 0.5, dtype=np.float32)
    out = np.empty_like(matrix)
    best, end = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(matrix, matrix, out=out)
        best = min(best, time.perf_counter() - start)
    loops = []
    for _ in range(3):
        start = time.thread_time()  # not the time that others had the CPU
        total = 0
        for number in range(_LOOP):
            total += number & 3
        loops.append(time.thread_time() - start)
    return Calibration(2 * _SIZE**3 / best, min(loops))
