# PYTHON_ARGCOMPLETE_OK
"""`python -m benchmarks.port A B`: compare two programs, print the verdict, and say why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.port.options import parser
from results import cli

if TYPE_CHECKING:
    from benchmarks.port.operation import Listing
    from benchmarks.port.programs import Source


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0 equal, 1 different, 2 bad input, 4 could not be told."""
    return cli.run(partial(_asked, parser().parse_args(arguments)))


def _asked(options: argparse.Namespace) -> int:
    from benchmarks.port.compare import Options, compare
    from benchmarks.port.operation import PortError
    from benchmarks.port.show import as_json, text
    from benchmarks.port.wire import Side
    from results.writer import scratch_directory

    if len(options.input) not in (0, 1, 3):
        raise ValueError("--input: give HEIGHT WIDTH CHANNELS, or the number of features")
    labels = (options.a, options.b)
    how = Options(
        steps=options.steps,
        batch=options.batch_size,
        seed=options.seed,
        size=options.input,
        seen=options.seen,
        device=options.device,
        given_weights=options.given_weights,
    )
    try:
        sources = (_source(options, 0), _source(options, 1))
        pythons = ["" if p == "-" else p for p in options.python]
        with scratch_directory() as scratch:
            made = [
                Side(s.framework, scratch / name, python=python, limit=options.timeout)
                for s, name, python in zip(sources, "ab", pythons, strict=True)
            ]
            with made[0] as a, made[1] as b:
                found = compare((a, b), sources, how)
    except PortError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    if options.write:
        for listing, label, side in zip(found.listings, labels, "ab", strict=True):
            _write(listing, label, options.write.with_suffix(f".{side}.toml"))
    if options.json:
        sys.stdout.write(as_json(found, labels).decode() + "\n")
    else:
        print(text(found, labels, options.details))
    return found.status


def _write(listing: Listing, label: str, path: Path) -> None:
    """Write a program as data, or say why it cannot be; the comparison stands either way."""
    from benchmarks.port.operation import PortError
    from benchmarks.port.write import written
    from results.writer import write

    try:
        write(path, written(listing, label))
        print(f"{label} is written to {path}", file=sys.stderr)
    except PortError as error:
        print(f"not written: {error}", file=sys.stderr)


def _source(options: argparse.Namespace, place: int) -> Source:
    from benchmarks.port.programs import named, source

    made = source((options.a, options.b)[place], options.frameworks[place].strip("-"))
    for part in ("loss", "optimizer", "schedule", "clip", "preprocess"):
        given = getattr(options, part)
        if given and given[place] != "-":
            made.parts[part] = named(given[place])
    return made


if __name__ == "__main__":
    sys.exit(main())
