# PYTHON_ARGCOMPLETE_OK
"""`python -m benchmarks.gpu`: all that is to be known of a GPU, in one command of nine minutes.

Exit status: 0 all that could be measured is, 1 a step failed, was late or not begun, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gpu.steps import FRAMEWORKS, REHEARSAL, STAGES, Sizes, Step, on_gpu, steps
from results import cli
from results.output import say

if TYPE_CHECKING:
    from results.studies.gpu_files import Measurement

_OK, _INCOMPLETE = 0, 1
_SECONDS = 540.0
_EPILOG = f"""\
In this order, each with a share of the {_SECONDS:.0f} seconds: {", ".join(STAGES)}.
Each answer is written as it comes. The same command goes on where it was broken off: what is done
is not measured again. At most eight files lie in the folder; stores, and what is under way, in
--work.

examples:
  python -m benchmarks.gpu --output gpu-out
  python -m benchmarks.gpu --rehearsal --output gpu-rehearsal
  python -m benchmarks.gpu --tables gpu-out
"""


def parser() -> cli.Parser:
    """The command line."""
    line = cli.parser(
        "benchmarks.gpu",
        "Limits, parity, speed, energy, determinism and outcome on one GPU, in one prepared "
        "command.",
        epilog=_EPILOG,
    )
    line.add_argument(
        "--output",
        type=cli.output_directory,
        default=Path("gpu-out"),
        metavar="DIR",
        help="default: %(default)s",
    )
    line.add_argument(
        "--work",
        type=cli.output_directory,
        metavar="DIR",
        help="default: the same name with -work, beside it",
    )
    line.add_argument(
        "--seconds",
        type=cli.seconds,
        default=_SECONDS,
        metavar="S",
        help="of this call (default %(default)g); 0 is as long as it takes",
    )
    line.add_argument(
        "--frameworks",
        nargs="+",
        choices=FRAMEWORKS,
        default=list(FRAMEWORKS),
        metavar="NAME",
        help=f"{' '.join(FRAMEWORKS)} (default: those that are installed and reach the GPU)",
    )
    line.add_argument(
        "--rehearsal",
        action="store_true",
        help="the same steps on a CPU with tiny sizes and without haste; the figures say nothing",
    )
    line.add_argument("--dry-run", action="store_true", help="print the steps; run nothing")
    line.add_argument(
        "--tables",
        type=Path,
        metavar="DIR",
        help="print the tables of what was measured there, as Markdown, and what is missing",
    )
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args(arguments)
    return cli.run(
        partial(_main, options), f"{options.output} has what was measured; the same goes on"
    )


def _main(options: argparse.Namespace) -> int:
    if options.tables is not None:
        from results.studies.gpu_tables import markdown

        say(markdown(options.tables), end="")
        return _OK
    return _measure(options)


def _measure(options: argparse.Namespace) -> int:
    from benchmarks.gpu.session import Session
    from benchmarks.system import machine
    from results.studies import gpu_files

    sizes = _sizes(options.rehearsal)
    work = options.work or options.output.with_name(f"{options.output.name}-work")
    installed, missing = _installed(options.frameworks)
    if options.dry_run:
        for step in _steps(sizes, work, installed):
            say(f"{step.name}, {step.limit:.0f} s: python {' '.join(step.command)}")
        return _OK
    measurement = _opened(options.output, sizes)
    usable, unusable = _reaching(installed, sizes.device)
    measurement.machine, measurement.versions = machine.describe(), machine.versions()
    measurement.missing = missing | unusable
    for name, reason in measurement.missing.items():
        say(f"left out: {name}: {reason}", flush=True)
    work.mkdir(parents=True, exist_ok=True)
    session = Session(
        options.output,
        work,
        measurement,
        usable,
        0.0 if options.rehearsal else options.seconds,
        machine.commit()[0],
        partial(print, flush=True),
    )
    session.run(_steps(sizes, work, usable))
    for name in gpu_files.too_large(options.output):
        say(f"warning: {options.output / name} has more than 16 MB", error=True)
    say(f"{options.output}: python -m benchmarks.gpu --tables {options.output}")
    complete = (gpu_files.DONE, "left out")
    return _OK if all(one.status in complete for one in measurement.steps) else _INCOMPLETE


def _sizes(rehearsal: bool) -> Sizes:
    """Sizes of a rehearsal, or of a session on the first GPU.

    Raises:
        ValueError: there is no GPU.
    """
    if rehearsal:
        return REHEARSAL
    from benchmarks.system import machine

    gpus = machine.gpus()
    if not gpus:
        raise ValueError(
            "no NVIDIA GPU is visible on this machine; --rehearsal runs the same steps on a CPU"
        )
    return on_gpu(len(machine.usable_cpus()), gpus[0]["memory_gib"])


def _steps(sizes: Sizes, work: Path, frameworks: Sequence[str]) -> list[Step]:
    from frameworks.spec.architecture import available

    return steps(sizes, work, frameworks, available())


def _opened(folder: Path, sizes: Sizes) -> Measurement:
    """The measurement that the folder holds, or a new one.

    Raises:
        ValueError: the folder is of a rehearsal and this is none, or the other way round.
        FileError: its file is damaged.
    """
    from results.studies import gpu_files

    folder.mkdir(parents=True, exist_ok=True)
    rehearsal = sizes is REHEARSAL
    if not (folder / gpu_files.STEPS).exists():
        return gpu_files.Measurement(device=sizes.device, rehearsal=rehearsal)
    found = gpu_files.read(folder)
    if found.rehearsal != rehearsal:
        holds = "a rehearsal" if found.rehearsal else "a measurement on a GPU"
        raise ValueError(f"{folder} holds {holds}; name another folder with --output")
    return found


def _installed(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The frameworks that are installed, and the reason why each other is left out."""
    from benchmarks.process.interpreters import how_to_install, missing

    lacking = missing(names)
    reasons = {name: how_to_install({name: lacking[name]}) for name in lacking}
    return [name for name in names if name not in lacking], reasons


def _reaching(names: Sequence[str], device: str) -> tuple[list[str], dict[str, str]]:
    """The frameworks that can use the device, and why each other cannot; tried side by side."""
    from benchmarks.process.device import resolve
    from benchmarks.system import machine

    if device == "cpu":
        return list(names), {}
    found, notes = resolve("auto", names, gpus=machine.gpus())
    reasons = {note.partition(" runs on the CPU: ")[0]: note for note in notes}
    return [name for name in names if found[name] == "cuda"], reasons


if __name__ == "__main__":
    sys.exit(main())
