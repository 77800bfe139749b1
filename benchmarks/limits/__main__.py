# PYTHON_ARGCOMPLETE_OK
"""`python -m benchmarks.limits`: the machine's limits, as each library reaches them.

Exit status: 0, 1 when no library could measure, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import IO, get_args

from benchmarks.config.options import add
from results import cli, writer
from results.forms import add_forms, data_alone, write_rows
from results.output import say
from results.vocabulary import Device, Precision


def parser() -> cli.Parser:
    """The command line."""
    line = cli.parser(
        "benchmarks.limits",
        "Measure matrix products and copying at their best: what no training exceeds.",
    )
    add(line, "device", default="auto")
    add(line, "precision", default=list(get_args(Precision)))
    add(line, "threads", type=cli.natural, default=0)
    line.add_argument(
        "--output", type=cli.output, metavar="FILE", help="every sample and the rates, as JSON"
    )
    add_forms(line)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return cli.run(partial(_limits, parser().parse_args(arguments)))


def _limits(options: argparse.Namespace) -> int:
    with data_alone(options.form) as out:
        return _measured(options, out)


def _measured(options: argparse.Namespace, out: IO[str]) -> int:
    import msgspec

    from benchmarks.limits.collect import collect
    from benchmarks.limits.show import limits_table, table
    from benchmarks.process.device import DeviceError
    from benchmarks.system import machine

    usable = len(machine.usable_cpus())
    if not 0 <= options.threads <= usable:
        raise ValueError(f"--threads {options.threads}: 1 to {usable} can be had here")
    gpus = machine.gpus()
    if options.device == "cuda" and not gpus:
        raise DeviceError("--device cuda: no NVIDIA GPU is visible; use --device cpu")
    device: Device = "cuda" if gpus and options.device != "cpu" else "cpu"
    limits = collect(
        options.precision,
        device=device,
        threads=options.threads or usable,
        tell=lambda text: say(text, flush=True),
    )
    if options.output:
        content = msgspec.to_builtins(limits) | {"best": limits.rates()}
        writer.write(options.output, msgspec.json.format(msgspec.json.encode(content)))
    if options.form:
        write_rows([limits_table(limits)], options.form, out)
    else:
        say(table(limits))
    return 0 if limits.samples else 1


if __name__ == "__main__":
    sys.exit(main())
