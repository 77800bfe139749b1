# PYTHON_ARGCOMPLETE_OK
"""Gain of each choice of a tuned backend: `python -m benchmarks.micro.gains`.

The tuned backend runs as it is, and once without each of its choices, in interleaved blocks of one
process per framework. A gain is the time without the choice over the time with it. Its spread is
over the blocks of that one process, and says nothing of another. Settings of the environment, made
before a process starts, are left out in processes of their own, in turn with as many that have
them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.config.options import add
from benchmarks.micro.inside import check, run_inside
from benchmarks.micro.options import FRAMEWORKS, PRECISIONS, add_number
from benchmarks.micro.options import parser as common
from benchmarks.process.channel import Channel
from results import cli
from results.output import say
from results.writer import write

if TYPE_CHECKING:
    from results.stats import intervals

HERE = {  # choices that do nothing on this device or engine are left out
    "keras": {"staged", "many_steps"},
    "keras@torch": {"staged", "one_graph", "device_masks"},
    "keras@jax": {"staged", "many_steps", "fast_layers", "device_masks"},
}
ON_CPU_ALONE = {"convolution", "max_pool", "fast_layers"}
ON_GPU_ALONE = {"compiled", "one_graph", "counted", "device_masks"}
ENVIRONMENT = "environment"  # what is set before the process starts


def parser() -> cli.Parser:
    """The command line."""
    line = common(
        "benchmarks.micro.gains",
        "What each choice of the tuned backends gains, in interleaved blocks.",
    )
    add(line, "frameworks", choices=FRAMEWORKS, default=FRAMEWORKS[:3])
    line.add_argument("--architecture", default="unam", metavar="NAME")
    add(line, "batch_size", nargs=None, default=64)
    add_number(line, "steps", 3, "steps of a block")
    add_number(line, "blocks", 5, "blocks")
    add_number(line, "pairs", 6, "of processes, for the environment")
    add(
        line,
        "precision",
        nargs=None,
        choices=PRECISIONS,
        default="float32",
        help=" ".join(PRECISIONS),
    )
    line.add_argument("--inside", help=argparse.SUPPRESS)  # the framework, in its own process
    line.add_argument("--tuned-alone", action="store_true", help=argparse.SUPPRESS)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0, 1 when a framework failed, 2 for bad input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(arguments)
    return cli.run(partial(_inside_of if options.inside else _gains, options, arguments))


def _inside_of(options: argparse.Namespace, _: list[str]) -> int:
    Channel().send("facts", values=_measure(options))
    return 0


def _gains(options: argparse.Namespace, arguments: list[str]) -> int:
    from benchmarks.micro.provenance import provenance
    from frameworks.spec.architecture import load

    load(options.architecture)  # a misspelt name is told once, and here
    check(
        options.frameworks,
        device=options.device,
        threads=options.threads,
        precisions=[options.precision],
    )
    from benchmarks.micro.ratios import row as interval_row
    from results.stats import intervals

    origin = provenance("benchmarks.micro.gains", arguments)
    rows: list[dict[str, Any]] = []
    seconds: dict[str, Any] = {}
    failed = 0

    def gain(name: str, choice: str, what: str, interval: intervals.Interval, of: str) -> None:
        row = {"framework": name, "choice": choice, "what": what, "gain": interval.value}
        rows.append(row | interval_row(interval) | {of: interval.n})
        told = f"{interval.value:.2f} | {interval.words('.3f')} | {interval.n} {of}"
        say(f"| {name} | {what} | {told} |", flush=True)

    for name in options.frameworks:
        found = _inside(name, arguments, options)
        if found is None:
            failed = 1
            continue
        seconds[name] = found["seconds"]
        for choice, times in found["seconds"].items():
            if choice != "tuned":
                what = found["choices"].get(choice, "all of it: idiomatic over tuned")
                ratios = [a / b for a, b in zip(times, found["seconds"]["tuned"], strict=True)]
                gain(name, choice, what, intervals.median(ratios, independent=False), "blocks")
        if variables := _environment(name, options.device):
            pairs = _pairs(name, arguments, options)
            if pairs is None:
                failed = 1
                continue
            seconds[name][ENVIRONMENT] = pairs
            medians = {tuning: [median(blocks) for blocks in pairs[tuning]] for tuning in pairs}
            ratios = [a / b for a, b in zip(medians["idiomatic"], medians["tuned"], strict=True)]
            gain(name, ENVIRONMENT, variables, intervals.median(ratios), "pairs of processes")
    if options.output:
        content = origin | {"gains": rows, "seconds": seconds}
        write(options.output, json.dumps(content, indent=1) + "\n")
    return failed


def _inside(
    name: str, arguments: list[str], options: argparse.Namespace, tuning: str = "tuned"
) -> dict[str, Any] | None:
    """Result of `_measure` from a process in the environment of a tuning; None where it failed."""
    return run_inside(
        "benchmarks.micro.gains",
        name,
        arguments,
        device=options.device,
        threads=options.threads,
        tuning=tuning,
    )


def _pairs(
    name: str, arguments: list[str], options: argparse.Namespace
) -> dict[str, list[list[float]]] | None:
    """Seconds of the tuned backend's blocks, process by process, in its own environment ("tuned")
    and in the idiomatic one, in turn; None where a process failed."""
    from benchmarks.micro.contest import turned

    found: dict[str, list[list[float]]] = {"tuned": [], "idiomatic": []}
    for pair in range(options.pairs):
        for tuning in turned(list(found), pair):
            one = _inside(name, [*arguments, "--tuned-alone"], options, tuning)
            if one is None:
                return None
            found[tuning].append(one["seconds"]["tuned"])
    return found


def _environment(name: str, device: str) -> str:
    """Environment variables that the tuned backend sets, as NAME=VALUE words; "" for none."""
    from frameworks.backend import framework

    variables = framework(name).tuned_environment if device == "cpu" else {}
    return " ".join(f"{key}={value}" for key, value in variables.items())


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each block by what is left out; "tuned" leaves nothing out."""
    import numpy as np

    from benchmarks.micro.contest import turned
    from benchmarks.micro.process_wide import settings_now
    from datasets.batches import Epoch, split_into_batches
    from frameworks.backend import Runtime, framework
    from frameworks.spec import weights as canonical
    from frameworks.spec.architecture import load
    from frameworks.spec.defaults import fill_architecture, fill_recipe
    from frameworks.spec.network import Network
    from frameworks.spec.recipe import Recipe

    name, batch = options.inside, options.batch_size
    known = framework(name)
    tuned: Any = known.backend("tuned")
    network = Network(
        fill_architecture(load(options.architecture)), (options.size, options.size, 3), 10
    )
    generator = np.random.default_rng(0)
    count = options.steps * batch
    images = generator.integers(0, 256, (count, *network.input_shape), dtype=np.uint8)
    labels = generator.integers(0, 10, count)
    epoch = Epoch(images, labels, split_into_batches(np.arange(count), batch), 1)
    choices = [
        choice
        for choice in tuned.CHOICES
        if choice in HERE.get(name, set(tuned.CHOICES))
        and choice not in (ON_CPU_ALONE if options.device == "cuda" else ON_GPU_ALONE)
    ]
    kinds = {"tuned": tuned}
    if not options.tuned_alone:
        kinds["idiomatic"] = known.backend("idiomatic")
        kinds |= {c: type("Without", (tuned,), {"without": frozenset({c})}) for c in choices}
    weights = canonical.initial(network, 0)
    contestants, settle = {}, {}
    for kind, backend_class in kinds.items():
        tuning: Any = "idiomatic" if kind == "idiomatic" else "tuned"
        runtime = Runtime(
            device=options.device,
            precision=options.precision,
            tuning=tuning,
            native_dropout=True,  # as in the micro benchmarks
            threads=options.threads,
        )
        recipe = fill_recipe(Recipe(batch_size=batch))
        contestants[kind] = backend_class(network, recipe, runtime, weights)
        contestants[kind].stage(images, labels)
        contestants[kind].compile(epoch)
        contestants[kind].train_epoch(epoch)
        settle[kind] = settings_now()  # the next backend sets its own
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    names = list(kinds)
    for block in range(options.blocks):
        for kind in turned(names, block):
            settle[kind]()
            start = time.perf_counter()
            contestants[kind].train_epoch(epoch)
            contestants[kind].synchronize()
            seconds[kind].append(time.perf_counter() - start)
    return {"choices": dict(tuned.CHOICES), "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
