"""The most memory that reading a file takes at once, beside what was there before.

Counted are what Python and NumPy ask for, used or not (`tracemalloc`), and what the libraries in C
have used (the peak of the resident memory, as Linux counts it). The larger of the two is judged.
"""

from __future__ import annotations

import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FLOOR = 64 << 20  # bytes for buffers and blocks, whatever the file


@dataclass
class Taken:
    """bytes: the most at once."""

    bytes: int = 0

    def words(self, size: int) -> str:
        """The fault in words, for a file of so many bytes; "" where there is none."""
        if self.bytes <= FLOOR + 2 * size:
            return ""
        return f"allocates too much: {self.bytes >> 20} MiB for {size:,} bytes"


@contextmanager
def measured() -> Iterator[Taken]:
    """Measure what is done inside."""
    taken = Taken()
    tracemalloc.start()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what there is
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    try:
        yield taken
    finally:
        _, asked = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        taken.bytes = max(asked, _peak() - before)


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10
