# PYTHON_ARGCOMPLETE_OK
"""`python -m benchmarks.port A B`: compare two programs, print the verdict, and say why."""

from __future__ import annotations

import argparse
import contextlib
import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.port.options import PARTS, parser
from results import cli
from results.output import for_programs, say
from results.words import count as counted

if TYPE_CHECKING:
    from benchmarks.port.answer import Answer
    from benchmarks.port.galaxies import Galaxies
    from benchmarks.port.harness import One
    from benchmarks.port.programs import Source


_MOST = 2**28  # numbers in a batch: 2 GiB in float64
_MOST_STEPS = 10_000  # their masks are drawn ahead, and each is a step of both in float64


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0 equal, 1 different, 2 bad input, 4 could not be told."""
    options = parser().parse_args(arguments)
    return cli.run(
        partial(_asked, options), "finished trainings are in the store" if options.train else ""
    )


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
        say(f"error: {error}", error=True)
        return error.status
    if options.write:
        _write(answers, options)
    if options.write or options.train:
        _harness(answers, options)
    if options.json:
        for_programs(sys.stdout).write(as_json(answers).decode() + "\n")
    else:
        say(text(answers, options.details), flush=True)
    if options.page:
        from benchmarks.port.page import page
        from results.writer import write

        write(options.page, page(answers))
        say(f"the page is {options.page}", error=True)
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
    say(f"{source.label} is written to {path}; {test} holds it against A", error=True)
    options.b, options.given_weights = f"{path}:{name}", True
    options.input = options.input or listing.input
    for part in ("frameworks", "python", *PARTS):
        if given := getattr(options, part):
            setattr(options, part, [*given, "-"])


def _check(options: argparse.Namespace) -> None:
    """Refuse what the parser cannot see."""
    if len(options.input) > 4:
        raise ValueError(
            "--input: give HEIGHT WIDTH CHANNELS, LENGTH CHANNELS of a spectrum, DEPTH HEIGHT "
            "WIDTH CHANNELS of a cube, or the number of features"
        )
    if (numbers := math.prod(options.input) * options.batch_size) > _MOST:
        raise ValueError(
            f"--input and --batch-size: {counted(numbers, 'number')} in a batch; at most {_MOST:,}"
        )
    if options.steps > _MOST_STEPS:
        raise ValueError(
            f"--steps {options.steps}: at most {_MOST_STEPS:,}; --train EPOCHS trains for longer"
        )
    if not options.b:
        raise ValueError("name two programs, A and B; or one with --convert FRAMEWORK")
    count = len(_labels(options))
    for name in (*PARTS, "frameworks", "python"):
        given = getattr(options, name)
        if given and len(given) != count:
            raise ValueError(
                f"--{name}: {len(given)} given for {counted(count, 'program')}; give one for "
                "each, in their order, and - where there is none to give"
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


def _write(answers: list[Answer], options: argparse.Namespace) -> None:
    """Write each program as data."""
    from benchmarks.port.write import written

    for number, answer in enumerate(answers):
        if answer.found is None:
            continue
        sides = ("a", "bc"[number])
        for side, label, listing in zip(sides, answer.labels, answer.found.listings, strict=True):
            if number == 0 or side != "a":
                path = options.write.with_suffix(f".{side}.toml")
                _write_one(label, path, partial(written, listing, label))


def _harness(answers: list[Answer], options: argparse.Namespace) -> None:
    """Write the programs as frameworks of the harness, and train them there with `--train`."""
    from benchmarks.port import harness
    from benchmarks.port.operation import PortError

    programs: dict[str, harness.One] = {}
    for place, answer in enumerate(answers, start=1):
        if answer.found is not None:
            one, other = answer.found.listings
            own = {name: name for name in one.parameters}
            programs |= {"A": harness.One(_source(options, 0), one, own)}
            source = _source(options, place)
            programs |= {"ABC"[place]: harness.One(source, other, answer.found.mapping)}
    if not programs:
        return
    stems = [Path(one.source.path or one.source.label).stem for one in programs.values()]
    stem = options.write.stem if options.write else "_".join(stems)
    folder = options.write.parent if options.write else Path()
    target = folder / f"{stem.replace('-', '_').replace('.', '_')}_programs"
    try:
        words = harness.command(target, programs, options)
        line = shlex.join(["python", "-m", "benchmarks.run", *words])
        network = partial(harness.network, programs)
        module = partial(harness.module, programs, line)
        done = [
            _write_one("the network that all train", target.with_suffix(".toml"), network),
            _write_one("the frameworks", target.with_suffix(".py"), module),
        ]
        why = "the programs could not be written as frameworks of the harness"
        if all(done):
            say(f"train in the harness: {line}", error=True)
            why = _trained(answers, programs, words, line) if options.train else ""
    except PortError as error:
        why = str(error)
    for answer in answers if why and options.train else ():
        if answer.found is not None:
            answer.found.not_trained = why


def _trained(
    answers: list[Answer], programs: Mapping[str, One], words: list[str], line: str
) -> str:
    """Train the programs; gives why one cannot be trained, "" where all are."""
    from benchmarks.port import trained
    from results.writer import scratch_directory

    for name, one in programs.items():
        recipe = one.listing.recipe
        if not (recipe.loss and recipe.optimizer):
            lacks = "optimizer" if recipe.loss else "loss"
            return f"{name} has no {lacks}; name one with --loss or --optimizer"
    for answer in answers:
        say(answer.verdict, error=True)  # it stays where the training is interrupted
    with scratch_directory() as scratch:
        ids = trained.run(words, scratch)
    frameworks = words[1 : len(programs) + 1]
    first, *others = frameworks
    found = [answer.found for answer in answers if answer.found is not None]
    store = Path(words[words.index("--store") + 1])
    for pair, framework in zip(found, others, strict=True):
        pair.trained = trained.trained(store, ids, (first, framework), line)
    return ""


def _write_one(label: str, path: Path, text: Callable[[], str]) -> bool:
    """Write a file, or say why it cannot be; the comparison stands either way."""
    from benchmarks.port.operation import PortError
    from results.writer import write

    try:
        write(path, text())
        say(f"written to {path}: {label}", error=True)
    except PortError as error:
        say(f"not written: {error}", error=True)
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
