"""One library measures: `python -m benchmarks.limits.measure LIBRARY DEVICE THREADS PRECISION...`.

Runs in a process of its own, whose environment `collect` has set. Samples go to stdout, a JSON
line each, as they come; status 1 and a reason on stderr where the device cannot be used.
"""

from __future__ import annotations

import importlib
import os
import sys

import msgspec

from benchmarks.limits.found import COPY
from benchmarks.limits.timing import Repeated, sweep


def main(library: str, device: str, threads: str, *precisions: str) -> str | None:
    """Why the library cannot compute on the device; None when it could."""
    lines = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no sample
    module = importlib.import_module(f"benchmarks.limits.{library}_limits")

    def make(what: str, size: int) -> Repeated:
        if what == COPY:
            return module.copy(device, size)
        module.prepare(device, what, int(threads))
        return module.product(device, what, size)

    try:
        module.prepare(device, "float32", int(threads))
        for sample in sweep(library, make, list(precisions), device):
            lines.write(msgspec.json.encode(sample) + b"\n")
    except Exception as error:  # whatever a library raises is the reason
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
