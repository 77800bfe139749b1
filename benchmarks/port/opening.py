"""A program opened in its own process: the reader of its framework, prepared once."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.port import loading
from benchmarks.port.programs import Source
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.program import Program

_PREPARED: set[str] = set()


def opened(
    source: Source, size: list[int], *, seed: int, precision: str = "float64"
) -> tuple[Program, dict[str, Any]]:
    """The program and what stands beside it in its file, by part.

    Args:
        size: of a picture; [] where the program says it.
        seed: of weights that the program draws without one of its own; the process's first counts.
        precision: float32 or float64, of everything in this process.

    Raises:
        PortError: it cannot be read.
    """
    kind = source.framework.partition("@")[0]
    name = "flax" if kind == "jax" else kind
    if name not in _PREPARED:
        reader = importlib.import_module(f"benchmarks.port.readers.{name}")
        reader.prepare(seed, precision)
        _PREPARED.add(name)
    CALLS.notes.clear()
    parts = loading.parts(source) if source.name else {}
    opening = importlib.import_module(f"benchmarks.port.readers.open_{name}")
    made: Program = opening.read(source, parts, size)
    made.listing.notes += CALLS.notes
    return made, parts
