"""`python -m benchmarks.limits`: the machine's limits, as each library reaches them.

Exit status: 0, 1 when no library could measure, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.config.suite import DEVICES, PRECISIONS
from benchmarks.numeric import natural


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.limits",
        description="Measure matrix products and copying at their best: what no training exceeds.",
    )
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS), metavar="P"
    )
    parser.add_argument("--threads", type=natural, default=0, metavar="N", help="default: all")
    parser.add_argument("--output", type=Path, metavar="FILE", help="every sample, as JSON")
    options = parser.parse_args(arguments)

    import msgspec

    from benchmarks.limits.collect import collect
    from benchmarks.limits.show import table
    from benchmarks.process.device import DeviceError
    from benchmarks.system import machine

    usable = len(machine.usable_cpus())
    try:
        if not 0 <= options.threads <= usable:
            raise ValueError(f"--threads {options.threads}: 1 to {usable} can be had here")
        gpus = machine.gpus()
        if options.device == "cuda" and not gpus:
            raise DeviceError("--device cuda: no NVIDIA GPU is visible; use --device cpu")
        device = "cuda" if gpus and options.device != "cpu" else "cpu"
        limits = collect(
            options.precision,
            device=device,  # type: ignore[arg-type]
            threads=options.threads or usable,
            tell=lambda text: print(text, flush=True),
        )
        if options.output:
            options.output.write_bytes(msgspec.json.format(msgspec.json.encode(limits)))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(limits))
    return 0 if limits.samples else 1


if __name__ == "__main__":
    sys.exit(main())
