"""`python -m benchmarks.fidelity`: climb the ladder, print the verdict, keep every figure."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.fidelity.case import Case

RUNGS = ("R0-R2", "R3", "R4", "R5a")
EPILOG = """\
The ladder: R0 inputs, R1 forward and loss, R2 gradients, R3 optimizers alone, R4 one whole step,
R5a training in float64. Every framework is held against a float64 reference written in NumPy, and
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
        default=list(RUNGS),
        metavar="R",
        help=f"which to climb: {' '.join(RUNGS)} (default all)",
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
    line.add_argument("--steps", type=int, default=10, help="training steps of R5a (default 10)")
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
    try:
        return climb(options, ["python", "-m", "benchmarks.fidelity", *(arguments or sys.argv[1:])])
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def climb(options: argparse.Namespace, command: list[str]) -> int:
    """Measure, judge, print and keep."""
    from benchmarks import machine
    from benchmarks.fidelity.collect import collect
    from benchmarks.fidelity.console import show
    from benchmarks.fidelity.measure import REFERENCE
    from benchmarks.fidelity.rungs import judge
    from frameworks.backend import framework
    from results import findings as kept

    missing = {p for name in options.frameworks for p in framework(name).missing_packages()}
    if missing:
        raise ValueError(
            f"not installed: {', '.join(sorted(missing))}. Install with: "
            f"pip install -c constraints.txt {' '.join(sorted(missing))}"
        )
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="fidelity-") as scratch:
        cases = _cases(options, Path(scratch))
        print(f"{len(cases)} cases for {len(options.frameworks)} frameworks and the reference")
        traces = collect(
            [REFERENCE, *options.frameworks], cases, Path(scratch), timeout=options.timeout
        )
        findings = judge(traces, cases, options.frameworks)
    show(findings, verbose=options.verbose)
    architectures = {case.name: case.architecture.name for case in cases}
    rows = [
        dataclasses.asdict(finding) | {"architecture": architectures[finding.case]}
        for finding in findings
    ]
    path = kept.append(
        options.store,
        rows,
        started_at=started,
        machine=json.dumps(machine.describe()),
        versions=json.dumps(machine.versions()),
        command=" ".join(command),
    )
    print(f"kept in {path}")
    return int(any(finding.status != "passed" for finding in findings))


def _cases(options: argparse.Namespace, scratch: Path) -> list[Case]:
    """The cases of the rungs asked for."""
    from benchmarks.fidelity import ladder
    from frameworks.architecture import load

    networks = [load(name) for name in options.architectures]
    unknown = [name for name in options.optimizers or [] if name not in ladder.DYADIC]
    if unknown:
        raise ValueError(f"unknown optimizer {unknown[0]}; known: {', '.join(ladder.DYADIC)}")
    shared = {"size": options.size, "batch_size": options.batch_size, "threads": options.threads}
    images = options.batch_size * 5
    if options.pictures:
        pictures, images, classes = _staged(options, scratch)
        shared["pictures"], options.classes = pictures, [classes]
    cases: list[Case] = []
    if "R0-R2" in options.rungs:
        cases += ladder.one_batch(
            networks, options.precision, options.classes, images=images, **shared
        )
    if "R3" in options.rungs:
        cases += ladder.optimizers_alone(options.precision)
    if "R4" in options.rungs:
        cases += ladder.one_step(
            networks, options.precision, images=images, classes=options.classes[0], **shared
        )
    if "R5a" in options.rungs and "float64" in options.precision:
        cases += ladder.trajectories(
            networks,
            options.optimizers or ["adam"],
            options.steps,
            images=images,
            classes=options.classes[0],
            test_images=options.batch_size,
            record_every=max(1, options.steps // 8),
            **shared,
        )
    return cases


def _staged(options: argparse.Namespace, scratch: Path) -> tuple[str, int, int]:
    """Write the galaxies of a file where every process can read them: (path, images, classes)."""
    import numpy as np

    from datasets import catalog

    data = catalog.load(options.pictures, image_size=options.size or None)
    path = scratch / "pictures.npz"
    np.savez(path, images=data.images, labels=data.labels)
    options.size = data.images.shape[1]
    return str(path), len(data.labels), len(data.class_names)


if __name__ == "__main__":
    sys.exit(main())
