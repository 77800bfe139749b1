# PYTHON_ARGCOMPLETE_OK
"""`python -m benchmarks.port A B`: compare two programs, print the verdict, and say why."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.port.options import PARTS, parser
from results import cli

if TYPE_CHECKING:
    from benchmarks.port.answer import Answer
    from benchmarks.port.compare import Found
    from benchmarks.port.galaxies import Galaxies
    from benchmarks.port.programs import Source


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0 equal, 1 different, 2 bad input, 4 could not be told."""
    return cli.run(partial(_asked, parser().parse_args(arguments)))


def _asked(options: argparse.Namespace) -> int:
    from benchmarks.port.answer import status
    from benchmarks.port.operation import PortError
    from benchmarks.port.show import as_json, text

    try:
        if options.convert:
            _convert(options)
        _check(options)
        answers = _compared(options)
    except PortError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    if options.write:
        for number, answer in enumerate(answers):
            _write(answer, options, first=number == 0, name="bc"[number])
    if options.json:
        sys.stdout.write(as_json(answers).decode() + "\n")
    else:
        print(text(answers, options.details), flush=True)
    if options.page:
        from benchmarks.port.page import page
        from results.writer import write

        write(options.page, page(answers))
        print(f"the page is {options.page}", file=sys.stderr)
    return status(answers)


def _convert(options: argparse.Namespace) -> None:
    """Write A's network in another framework; what was written becomes B.

    Raises:
        PortError: something in it has no plain form there.
    """
    from benchmarks.port.convert.convert import check_of, converted, target
    from benchmarks.port.wire import Side
    from results.writer import scratch_directory, write

    if options.b:
        raise ValueError("--convert: name one program, A; what is written is compared with it")
    source = _source(options, 0)
    python = (options.python or ["-"])[0].removeprefix("-")
    path = target(source.label, options.convert, options.write)
    with (
        scratch_directory() as scratch,
        Side(source.framework, scratch / "a", python=python, limit=options.timeout) as side,
    ):
        listing = side.open(source, options.input)
    text, name = converted(listing, source.label, options.convert)
    size = ["--input", *map(str, listing.input)]
    write(path, text)
    test = path.with_name(f"test_{path.name}")
    write(test, check_of(path, name, source.label, size))
    print(f"{source.label} is written to {path}; {test} holds it against A", file=sys.stderr)
    options.b, options.given_weights = f"{path}:{name}", True
    options.input = options.input or listing.input
    for part in ("frameworks", "python", *PARTS):
        if given := getattr(options, part):
            setattr(options, part, [*given, "-"])


def _check(options: argparse.Namespace) -> None:
    """Refuse what the parser cannot see."""
    if len(options.input) not in (0, 1, 3):
        raise ValueError("--input: give HEIGHT WIDTH CHANNELS, or the number of features")
    if not options.b:
        raise ValueError("name two programs, A and B; or one with --convert FRAMEWORK")
    count = len(_labels(options))
    for name in (*PARTS, "frameworks", "python"):
        given = getattr(options, name)
        if given and len(given) != count:
            raise ValueError(
                f"--{name}: {len(given)} given for {count} programs; give one for each, in their "
                "order, and - where there is none to give"
            )


def _labels(options: argparse.Namespace) -> list[str]:
    return [one for one in (options.a, options.b, options.c) if one]


def _compared(options: argparse.Namespace) -> list[Answer]:
    """Compare the first program with each of the others.

    Raises:
        PortError: with two programs, why they could not be compared; of three, why none could.
    """
    from benchmarks.port.answer import Answer
    from benchmarks.port.compare import Options, compare
    from benchmarks.port.operation import PortError
    from benchmarks.port.wire import Side
    from results.writer import scratch_directory

    how = Options(
        steps=options.steps,
        batch=options.batch_size,
        seed=options.seed,
        size=options.input,
        seen=options.seen,
        device=options.device,
        given_weights=options.given_weights,
        galaxies=_galaxies(options),
        train=options.train,
    )
    labels = _labels(options)
    sources = [_source(options, place) for place in range(len(labels))]
    pythons = ["" if p == "-" else p for p in options.python] or [""] * len(labels)
    answers = []
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(scratch_directory())
        first, *others = [
            stack.enter_context(
                Side(source.framework, scratch / name, python=python, limit=options.timeout)
            )
            for source, name, python in zip(sources, "abc", pythons, strict=False)
        ]
        for other, source in zip(others, sources[1:], strict=True):
            pair = sources[0].label, source.label
            try:
                found = compare((first, other), (sources[0], source), how)
                answers.append(Answer(labels=pair, found=found))
            except PortError as error:
                if len(others) == 1:
                    raise
                told = Answer(labels=pair, error=str(error), error_status=error.status)
                answers.append(told)
    return answers


def _galaxies(options: argparse.Namespace) -> Galaxies | None:
    if not options.dataset:
        return None
    from benchmarks.port.galaxies import galaxies
    from datasets.catalog import load

    size = options.input[0] if options.dataset == "demo" and options.input else None
    return galaxies(load(options.dataset, channels=options.channels, image_size=size))


def _write(answer: Answer, options: argparse.Namespace, *, first: bool, name: str) -> None:
    """Write the programs of a pair as data, and the first pair as frameworks of the harness."""
    from benchmarks.port.write import written

    if answer.found is None:
        return
    path = options.write
    for listing, label, side in zip(answer.found.listings, answer.labels, ("a", name), strict=True):
        if side != "a" or first:
            _write_one(label, path.with_suffix(f".{side}.toml"), partial(written, listing, label))
    if first:
        target = path.with_name(f"{path.stem.replace('-', '_')}_programs")
        _write_programs(answer.found, options, target)


def _write_programs(found: Found, options: argparse.Namespace, target: Path) -> None:
    """Write both programs as frameworks of the harness, and tell the command that trains them."""
    from benchmarks.port import harness

    sources = {name: _source(options, place) for place, name in enumerate("AB")}
    label, listings = sources["A"].label, found.listings
    network = partial(harness.network, listings[0], label)
    _write_one("the network of both", target.with_suffix(".toml"), network)

    def module() -> str:
        line = harness.command(target, listings, options)
        return harness.module(sources, listings, found.mapping, line)

    if _write_one("the pair of frameworks", target.with_suffix(".py"), module):
        line = harness.command(target, listings, options)
        print(f"train both in the harness: {line}", file=sys.stderr)


def _write_one(label: str, path: Path, text: Callable[[], str]) -> bool:
    """Write a file, or say why it cannot be; the comparison stands either way."""
    from benchmarks.port.operation import PortError
    from results.writer import write

    try:
        write(path, text())
        print(f"{label} is written to {path}", file=sys.stderr)
    except PortError as error:
        print(f"not written: {error}", file=sys.stderr)
        return False
    return True


def _source(options: argparse.Namespace, place: int) -> Source:
    from benchmarks.port.programs import named, source

    framework = options.frameworks[place].strip("-") if options.frameworks else ""
    made = source(_labels(options)[place], framework)
    for part in PARTS:
        given = getattr(options, part)
        if given and given[place] != "-":
            made.parts[part] = named(given[place])
    return made


if __name__ == "__main__":
    sys.exit(main())
