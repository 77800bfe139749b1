"""The most memory that reading a file takes at once, beside what was there before.

Counted are what Python and NumPy ask for, used or not (`tracemalloc`), and what the libraries in C
have used (the peak of the resident memory, as Linux counts it). The larger of the two is judged.
"""

from __future__ import annotations

import mmap
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from results.door import apart, sizes

FLOOR = 2 * sizes.FREE  # bytes, whatever the file: what was packed, and what is made of it


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
    """Measure what is done inside, here and in its forks (`results.door.apart`)."""
    of_forks = mmap.mmap(-1, 8)  # which they share
    before = apart._sent

    def sent(work: Callable[[], object]) -> bytes:
        with _measured_here() as own:
            found = before(work)
        of_forks[:] = max(own.bytes, _number(of_forks)).to_bytes(8, "little")
        return found

    with pytest.MonkeyPatch.context() as patch, _measured_here() as taken:
        patch.setattr(apart, "_sent", sent)
        yield taken
    taken.bytes = max(taken.bytes, _number(of_forks))


def _number(shared: mmap.mmap) -> int:
    return int.from_bytes(shared[:], "little")


@contextmanager
def _measured_here() -> Iterator[Taken]:
    taken = Taken()
    tracemalloc.stop()  # of the process that has made this fork
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
