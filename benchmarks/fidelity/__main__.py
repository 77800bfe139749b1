# PYTHON_ARGCOMPLETE_OK
"""`python -m benchmarks.fidelity`: climb the ladder, print the verdict, keep every figure."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.fidelity.options import parser, stated
from results import cli
from results.forms import finite
from results.output import say
from results.words import count
from results.writer import scratch_directory, write

if TYPE_CHECKING:
    from benchmarks.fidelity.explain.question import Question


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0 when every rung held and R6 found all equal, 1 when one failed or was not run or R6
    found a pair different, undecided or not comparable; 2 for bad input."""
    options = parser().parse_args(arguments)
    options.stated = stated(arguments)
    command = ["python", "-m", "benchmarks.fidelity", *(arguments or sys.argv[1:])]
    return cli.run(partial(_asked, options, command), "the networks that were finished are kept")


def _asked(options: argparse.Namespace, command: list[str]) -> int:
    if options.native:
        from benchmarks.fidelity.attribution import run

        return run.run(options, command)
    others = ("mutants", "defaults", "explain", "compare", "outcome", "coverage")
    if any(getattr(options, name) for name in others):
        return _other(options)
    from benchmarks.fidelity.climb import climb
    from frameworks.spec.architecture import load_with_recipe

    for name in options.architectures:
        if load_with_recipe(name)[1].fields:
            say(f"{name}: its [recipe] is not climbed; --optimizers says with which", flush=True)
    return climb(options, command)


def _questions(options: argparse.Namespace) -> list[Question]:
    """The questions of `--explain`: one for each optimizer named, or for the [recipe]."""
    from benchmarks.fidelity import plan
    from benchmarks.fidelity.explain.question import ask
    from datasets import catalog

    size, channels, classes = options.size, options.image_channels, plan.classes(options)[0]
    if options.pictures:
        data = catalog.load(options.pictures, image_size=size or None)
        size, channels, classes = *data.images.shape[2:], len(data.class_names)
    return [
        ask(
            options.explain,
            frameworks=options.frameworks,
            optimizer=optimizer,
            learning_rate=options.learning_rate,
            batch_size=options.batch_size if "batch_size" in options.stated else None,
            size=size,
            channels=channels,
            classes=classes,
            symptom=options.seen,
            device=options.device,
        )
        for optimizer in options.optimizers or [None]
    ]


def _other(options: argparse.Namespace) -> int:
    """Mutants, defaults, an explanation, a comparison or the outcome, as asked."""
    status = 0
    if options.defaults:
        from benchmarks.fidelity.defaults import live

        live.render(live.read())
    if options.coverage:
        from benchmarks.fidelity import coverage

        status |= coverage.show(options)
    if options.explain:
        from benchmarks.fidelity.explain.show import render

        for question in _questions(options):
            render(question, details=options.details)
    if options.compare:
        from benchmarks.fidelity import compare
        from results.store import Store

        compare.render(compare.compare(Store(options.store), *options.compare))
    if options.outcome:
        from benchmarks.fidelity import outcome
        from results.store import Store

        groups = outcome.outcome(Store(options.store), options.margin / 100)
        if options.output:
            write(options.output, json.dumps(finite(outcome.told(groups)), indent=1) + "\n")
        outcome.render(groups)
        status |= int(not outcome.all_equal(groups))
    if options.mutants:
        status |= _mutants(options)
    return status


def _mutants(options: argparse.Namespace) -> int:
    """R8 of the frameworks asked for; status 1 where a mutant was not found, or has moved."""
    from benchmarks.fidelity import console, estimate
    from benchmarks.fidelity.faults.catalog import MUTANTS
    from benchmarks.fidelity.kills import float32
    from benchmarks.fidelity.kills.matrix import kill_matrix, markdown, seconds

    mine = [one.name for one in MUTANTS.values() if one.framework in options.frameworks]
    both = [name for name in float32.FAULTS if name in mine]
    console.tell(
        f"{count(len(mine), 'mutant')} of {', '.join(options.frameworks)}: about "
        f"{estimate.duration(seconds(mine, options.parallel))} on "
        f"{count(options.parallel, 'free core')}"
        + (f", and {len(both)} through R5b and R5c, whose time is not estimated" if both else "")
    )
    if options.dry_run:
        return 0
    how = {"timeout": options.timeout}
    with scratch_directory() as scratch:
        kills = kill_matrix(scratch / "kills", mine, **how, parallel=options.parallel)
        in_float32 = float32.float32_kills(scratch / "float32", both, **how)
    table = f"{markdown(kills)}\n{float32.markdown(in_float32)}"
    if options.mutants == "-":
        say(table)
    else:
        write(options.mutants, table)
    for kill in kills:
        if kill.status == "moved":
            console.tell(f"error: {kill.cause}")
    good = all(kill.as_it_should_be for kill in kills)
    return int(not (good and all(kill.as_it_should_be for kill in in_float32)))


if __name__ == "__main__":
    sys.exit(main())
