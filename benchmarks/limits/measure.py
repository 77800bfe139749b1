"""One library measures: `python -m benchmarks.limits.measure LIBRARY DEVICE THREADS PRECISION...`.

Runs in a process of its own, whose environment `collect` has set, and tells the samples as they
come; status 1 and a reason on stderr where the device cannot be used.
"""

from __future__ import annotations

import importlib
import sys

import msgspec

from benchmarks.limits.found import COPY
from benchmarks.limits.timing import Repeated, sweep
from benchmarks.process.channel import Channel


def main(library: str, device: str, threads: str, *precisions: str) -> str | None:
    """Why the library cannot compute on the device; None when it could."""
    channel = Channel()
    module = importlib.import_module(f"benchmarks.limits.{library}_limits")

    def make(what: str, size: int) -> Repeated:
        if what == COPY:
            return module.copy(device, size)
        module.prepare(device, what, int(threads))
        return module.product(device, what, size)

    try:
        module.prepare(device, "float32", int(threads))
        for sample in sweep(library, make, list(precisions), device):
            channel.send("facts", values=msgspec.to_builtins(sample))
    except Exception as error:  # whatever a library raises is the reason
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
