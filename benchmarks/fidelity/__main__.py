"""`python -m benchmarks.fidelity`: climb the ladder, print the verdict, keep every figure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

RUNGS = ("R0-R2", "R3", "R4", "R5a", "R5b", "R5c")
EPILOG = """\
The ladder: R0 inputs, R1 forward and loss, R2 gradients, R3 optimizers alone, R4 one whole step,
R5a training in float64, R5b training without kinks in float32, R5c training in float32 beside its
own noise. Every framework is held against a float64 reference written in NumPy, and
against each of the others; the bounds are in benchmarks/fidelity/bounds.py.

examples:
  python -m benchmarks.fidelity --frameworks keras torch jax --architectures unam c2
  python -m benchmarks.fidelity --frameworks torch --architectures my_network.toml --rungs R0-R2
  python -m benchmarks.fidelity --frameworks keras torch jax --rungs R5a --architectures unam \\
      --size 69 --steps 64 --batch-size 64
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    line = argparse.ArgumentParser(
        prog="python -m benchmarks.fidelity",
        description="Do the frameworks train the same network? Measured, rung by rung.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument("--frameworks", nargs="+", default=["keras", "torch", "jax"], metavar="NAME")
    line.add_argument("--architectures", nargs="+", default=["unam", "c2"], metavar="NAME|FILE")
    line.add_argument(
        "--rungs",
        nargs="+",
        choices=RUNGS,
        default=list(RUNGS[:4]),
        metavar="R",
        help=f"which to climb: {' '.join(RUNGS)} (default the first four)",
    )
    line.add_argument(
        "--optimizers",
        nargs="+",
        metavar="NAME",
        help="for R5a (default adam): adam adamw adadelta adagrad sgd momentum nesterov rmsprop",
    )
    line.add_argument(
        "--precision",
        nargs="+",
        choices=("float64", "float32"),
        default=["float64", "float32"],
        metavar="P",
    )
    line.add_argument(
        "--size",
        type=int,
        default=0,
        metavar="PIXELS",
        help="square pictures of so many pixels (default: the smallest that fit)",
    )
    line.add_argument(
        "--steps", type=int, default=10, help="training steps of R5a, R5b and R5c (default 10)"
    )
    line.add_argument("--batch-size", type=int, default=8, metavar="N")
    line.add_argument("--classes", nargs="+", type=int, default=[10, 4], metavar="N")
    line.add_argument(
        "--pictures", metavar="FILE.h5", help="galaxies to compute on (default: demo galaxies)"
    )
    line.add_argument("--threads", type=int, default=1)
    line.add_argument("--store", default="runs", metavar="DIR")
    line.add_argument("--timeout", type=float, default=3600.0, metavar="SECONDS")
    line.add_argument("--verbose", action="store_true", help="every finding, not a summary")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0 when every rung held, 1 when one failed or was not run, 2 for bad input."""
    options = parser().parse_args(arguments)
    from benchmarks.fidelity.climb import climb

    try:
        return climb(options, ["python", "-m", "benchmarks.fidelity", *(arguments or sys.argv[1:])])
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
