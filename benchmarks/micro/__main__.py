# PYTHON_ARGCOMPLETE_OK
"""The yardstick: `python -m benchmarks.micro`. Each framework in processes of its own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import IO, Any

from benchmarks.config.options import add
from benchmarks.micro.options import (
    ARCHITECTURES,
    FRAMEWORKS,
    OPTIONAL,
    PRECISIONS,
    USUAL,
    add_number,
)
from benchmarks.micro.options import parser as common
from results import cli, writer
from results.forms import add_forms, data_alone, write_rows
from results.output import say
from results.table import Cell as TableCell
from results.table import Column, Table, show
from results.words import count


@dataclass(frozen=True)
class Cell:
    """One process of a contest: network, framework, precision and batch size."""

    architecture: str
    framework: str
    precision: str
    batch_size: int

    def __str__(self) -> str:
        return f"{self.architecture} {self.framework} {self.precision} batch {self.batch_size}"


def parser() -> cli.Parser:
    """The command line."""
    line = common(
        "benchmarks.micro",
        "Bare hand-written loops beside the harness's backends, in processes of their own, which "
        "take turns.",
    )
    add(line, "frameworks", choices=FRAMEWORKS, default=FRAMEWORKS[:3])
    add(
        line,
        "architectures",
        choices=ARCHITECTURES,
        default=USUAL,
        help="unam c2 (default); resnet18, and efficientnet_like, which has depthwise convolutions",
    )
    add(line, "batch_size", default=[64])
    line.add_argument(
        "--steps",
        type=cli.positive,
        default=3,
        metavar="N",
        help="steps of a block (default 3), of larger batches fewer: as many images, 2 at least",
    )
    add_number(line, "blocks", 2, "blocks of a process")
    add(
        line,
        "processes",
        default=6,
        help="of each framework and network (default 6; with fewer there is no 95 %% interval)",
    )
    add(line, "precision", choices=PRECISIONS, default=["float32"], help=" ".join(PRECISIONS))
    line.add_argument(
        "--together",
        type=cli.positive,
        default=1,
        metavar="N",
        help="processes made ready side by side; they are timed a block each in turn, the others "
        "idle (default 1; as many as memory holds save time where compiling takes long)",
    )
    line.add_argument(
        "--without",
        nargs="+",
        choices=OPTIONAL,
        default=[],
        metavar="NAME",
        help=f"contestants to leave out, with the ratios that need them: {' '.join(OPTIONAL)}",
    )
    line.add_argument(
        "--compiled",
        type=cli.path,
        metavar="DIR",
        help="keep there what JAX has compiled, for the next process: no compilation is timed",
    )
    line.add_argument(
        "--epoch-images",
        type=cli.positive,
        default=0,
        metavar="N",
        help="images of the timed epoch (default twice the steps and half a batch)",
    )
    line.add_argument(
        "--quick", action="store_true", help="3 processes of a block of 2 steps of 16 images"
    )
    add(
        line,
        "timeout",
        default=1800.0,
        help="until a process is ready, and of each block",
    )
    add_forms(line)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0, 1 when a contest failed, 2 for bad input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(arguments)
    kept = f"{options.output} has the contests before" if options.output else "nothing is kept"
    return cli.run(partial(_main, options, arguments), kept)


def _main(options: argparse.Namespace, arguments: list[str]) -> int:
    with data_alone(options.form) as out:
        return _contests(options, arguments, out)


def _contests(options: argparse.Namespace, arguments: list[str], out: IO[str]) -> int:
    from benchmarks.micro.contest import turned
    from benchmarks.micro.inside import check
    from benchmarks.micro.provenance import provenance

    _check_numbers(options)
    check(
        options.frameworks,
        device=options.device,
        threads=options.threads,
        precisions=options.precision,
    )
    origin = provenance("benchmarks.micro", arguments)
    done: list[dict[str, Any]] = []
    failed: dict[Cell, str] = {}
    waiting = [
        (turn, Cell(architecture, name, precision, batch_size))
        for turn in range(options.processes)
        for precision in options.precision
        for batch_size in options.batch_size
        for architecture in options.architectures
        for name in turned(list(options.frameworks), turn)
    ]
    while waiting:
        group, waiting = waiting[: options.together], waiting[options.together :]
        told = ", ".join(f"{cell} process {turn + 1}" for turn, cell in group)
        say(f"of {count(options.processes, 'process')} each: {told}", error=True, flush=True)
        for (_, cell), (result, reason) in zip(group, _timed(group, options), strict=True):
            if result is None:
                failed[cell] = reason
            else:
                done.append(result)
        waiting = [(turn, cell) for turn, cell in waiting if cell not in failed]
        if options.output:  # after each: what is cut short leaves what it had
            text = json.dumps(origin | _content(done, failed), indent=1) + "\n"
            writer.write(options.output, text)
    _show(done, options.form, out)
    for cell, why in failed.items():
        say(f"failed: {cell}: {why}", error=True)
    return int(bool(failed))


def _content(done: list[dict[str, Any]], failed: dict[Cell, str]) -> dict[str, Any]:
    """Content of the output file, from the contests so far."""
    from benchmarks.micro.ratios import left_out, peaks, ratios

    return {
        "ratios": [ratio.row() for ratio in ratios(done)] if done else [],
        "left_out": left_out(done),
        "peaks": {" ".join(key): rates for key, rates in peaks(done).items()},
        "contests": done,
        "failed": [f"{cell}: {why}" for cell, why in failed.items()],
    }


def _show(done: list[dict[str, Any]], form: str, out: IO[str]) -> None:
    """The table, the peaks, and what there is not."""
    from benchmarks.micro.ratios import left_out, noise, peaks, ratios

    found = ratios(done) if done else []
    table = Table(
        [
            Column("network", key="architecture"),
            Column("framework"),
            Column("precision", rank=2),
            Column("batch", rank=2, right=True, key="batch_size"),
            Column("compared", key="quantity"),
            Column("ratio", right=True),
            Column("interval", rank=1, right=True),
            Column("of", rank=3, key="processes"),
        ]
    )
    for ratio in found:
        of = count(ratio.processes, "process") + ", its blocks" * (ratio.processes == 1)
        table.add(
            ratio.architecture,
            ratio.framework,
            ratio.precision,
            TableCell(str(ratio.batch_size), ratio.batch_size),
            ratio.quantity,
            TableCell(f"{ratio.interval.value:.3f}", ratio.interval.value),
            ratio.interval.words(".3f"),
            TableCell(of, ratio.processes),
        )
    if form:
        write_rows([table], form, out)
        return
    show(table)
    for (name, architecture, precision, batch), floor in noise(found).items():
        if isfinite(floor):
            say(f"{architecture:6} {name:11} {precision:8} {batch:4} noise floor {floor:.1%}")
    for (name, precision), (low, median, high) in peaks(done).items():
        say(
            f"{name}: its own {precision} matrix product reached {median / 1e9:.0f} GFLOP/s "
            f"(processes: {low / 1e9:.0f} to {high / 1e9:.0f})"
        )
    for row in left_out(done):
        say(f"{row['architecture']:6} {row['framework']:11} {row['quantity']:27} {row['reason']}")


def _check_numbers(options: argparse.Namespace) -> None:
    if options.quick:
        options.steps, options.blocks, options.batch_size, options.processes = 2, 1, [16], 3
    for name, value in (("steps", options.steps), ("batch-size", min(options.batch_size))):
        if value < 2:
            raise ValueError(f"--{name} is {value}; must be at least 2.")
    if options.epoch_images and options.epoch_images < max(options.batch_size):
        raise ValueError(
            f"--epoch-images is {options.epoch_images}; must be at least a batch of "
            f"{max(options.batch_size)}."
        )


def _timed(
    group: Sequence[tuple[int, Cell]], options: argparse.Namespace
) -> list[tuple[dict[str, Any] | None, str]]:
    """Result of each cell's process, or None and the reason."""
    from benchmarks.micro.inside import Job, run_together

    jobs = []
    for turn, cell in group:
        settings = {
            "framework": cell.framework,
            "architecture": cell.architecture,
            "size": options.size,
            "batch_size": cell.batch_size,
            "steps": max(2, options.steps * min(options.batch_size) // cell.batch_size),
            "blocks": options.blocks,
            "threads": options.threads,
            "device": options.device,
            "precision": cell.precision,
            "epoch_images": options.epoch_images,
            "turn": turn,
            "without": options.without,
        }
        jobs.append(Job(["benchmarks.micro.contest", json.dumps(settings)], cell.framework))
    return run_together(
        jobs,
        device=options.device,
        threads=options.threads,
        timeout=options.timeout,
        compiled=options.compiled,
    )


if __name__ == "__main__":
    sys.exit(main())
