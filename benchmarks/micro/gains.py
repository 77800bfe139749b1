"""What each choice of a tuned backend gains: `python -m benchmarks.micro.gains`.

The tuned backend as it is, and once without each of its choices, in interleaved blocks of one
process per framework. A gain is the time without the choice over the time with it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.micro.inside import run_inside

FRAMEWORKS = ("torch", "jax", "keras", "keras@torch", "keras@jax")
HERE = {  # choices that do nothing on this device or engine are left out
    "keras": {"staged", "many_steps"},
    "keras@torch": {"staged"},
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    line = argparse.ArgumentParser(
        prog="python -m benchmarks.micro.gains",
        description="What each choice of the tuned backends gains, in interleaved blocks.",
    )
    line.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS[:3])
    line.add_argument("--architecture", default="unam", metavar="NAME")
    line.add_argument("--size", type=int, default=69, metavar="PIXELS")
    line.add_argument("--batch-size", type=int, default=64, metavar="N")
    line.add_argument("--steps", type=int, default=3, help="steps of a block (default 3)")
    line.add_argument("--blocks", type=int, default=5, help="blocks (default 5)")
    line.add_argument("--threads", type=int, default=2)
    line.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    line.add_argument("--output", metavar="FILE.json", help="every time and gain, as data")
    line.add_argument("--inside", help=argparse.SUPPRESS)  # the framework, in its own process
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0, 1 when a framework failed, 2 for bad input."""
    options = parser().parse_args(arguments)
    try:
        if options.inside:
            Path(options.output).write_text(json.dumps(_measure(options)), encoding="utf-8")
            return 0
        return _gains(options, list(arguments if arguments is not None else sys.argv[1:]))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _gains(options: argparse.Namespace, arguments: list[str]) -> int:
    from benchmarks import machine
    from benchmarks.micro.ratios import median_with_interval
    from frameworks.architecture import load

    load(options.architecture)  # a misspelt name is told once, and here
    rows, seconds, failed = [], {}, 0
    for name in options.frameworks:
        found = run_inside(
            "benchmarks.micro.gains",
            name,
            arguments,
            device=options.device,
            threads=options.threads,
        )
        if found is None:
            failed = 1
            continue
        seconds[name] = found["seconds"]
        whole = found["seconds"]["tuned"]
        for choice, times in found["seconds"].items():
            if choice == "tuned":
                continue
            gain, low, high = median_with_interval(
                [without / full for without, full in zip(times, whole, strict=True)]
            )
            what = found["choices"].get(choice, "all of it: idiomatic over tuned")
            rows.append(
                {"framework": name, "choice": choice, "what": what}
                | {"gain": gain, "low": low, "high": high, "blocks": len(times)}
            )
            print(f"| {name} | {what} | {gain:.2f} | {low:.2f}-{high:.2f} |", flush=True)
    if options.output:
        content = {
            "command": " ".join(["python", "-m", "benchmarks.micro.gains", *arguments]),
            "machine": machine.describe(),
            "versions": machine.versions(),
            "gains": rows,
            "seconds": seconds,
        }
        Path(options.output).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return failed


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each block by what is left out; "tuned" leaves nothing out."""
    import numpy as np

    from datasets.batches import Epoch, MaskSpec, split_into_batches
    from frameworks import weights as canonical
    from frameworks.architecture import load
    from frameworks.backend import Runtime, framework
    from frameworks.defaults import fill_architecture, fill_recipe
    from frameworks.network import Network
    from frameworks.recipe import Recipe

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
    masks = (
        MaskSpec(network.dropout_shapes, network.dropout_rates, 0)
        if network.dropout_shapes
        else None
    )
    epoch = Epoch(images, labels, split_into_batches(np.arange(count), batch), 1, masks)
    choices = [
        choice
        for choice in tuned.CHOICES
        if choice in HERE.get(name, set(tuned.CHOICES))
        and (options.device == "cuda") >= (choice == "compiled")
    ]
    kinds = {"tuned": tuned, "idiomatic": known.backend("idiomatic")}
    kinds |= {c: type("Without", (tuned,), {"without": frozenset({c})}) for c in choices}
    weights = canonical.initial(network, 0)
    contestants = {}
    for kind, backend_class in kinds.items():
        tuning: Any = "idiomatic" if kind == "idiomatic" else "tuned"
        runtime = Runtime(device=options.device, tuning=tuning, threads=options.threads)
        recipe = fill_recipe(Recipe(batch_size=batch))
        contestants[kind] = backend_class(network, recipe, runtime, weights)
        contestants[kind].stage(images, labels)
        contestants[kind].compile(epoch)
        contestants[kind].train_epoch(epoch)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    names = list(kinds)
    for block in range(options.blocks):
        turn = block % len(names)
        order = [*names[turn:], *names[:turn]]
        for kind in reversed(order) if block % 2 else order:
            start = time.perf_counter()
            contestants[kind].train_epoch(epoch)
            contestants[kind].synchronize()
            seconds[kind].append(time.perf_counter() - start)
    return {"choices": dict(tuned.CHOICES), "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
