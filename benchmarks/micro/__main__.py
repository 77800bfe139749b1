"""The yardstick: `python -m benchmarks.micro`. Each framework in processes of its own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.numeric import positive, seconds

FRAMEWORKS = ("torch", "jax", "keras", "keras@torch", "keras@jax")  # `contest.BARE`
ARCHITECTURES = ("unam", "c2")
PRECISIONS = ("float32", "tf32", "bfloat16")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    line = argparse.ArgumentParser(
        prog="python -m benchmarks.micro",
        description="Bare hand-written loops beside the harness's backends, in processes of their "
        "own, which take turns.",
    )
    line.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS[:3])
    line.add_argument(
        "--architectures", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES)
    )
    line.add_argument("--size", type=positive, default=69, metavar="PIXELS")
    line.add_argument("--batch-size", type=positive, default=64, metavar="N")
    line.add_argument("--steps", type=positive, default=3, help="steps of a block (default 3)")
    line.add_argument("--blocks", type=positive, default=2, help="blocks of a process (default 2)")
    line.add_argument(
        "--processes",
        type=positive,
        default=6,
        metavar="N",
        help="of each framework and network (default 6; with fewer there is no 95 %% interval)",
    )
    line.add_argument("--threads", type=positive, default=2)
    line.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    line.add_argument("--precision", choices=PRECISIONS, default="float32")
    line.add_argument(
        "--epoch-images",
        type=positive,
        default=0,
        metavar="N",
        help="images of the timed epoch (default twice the steps and half a batch)",
    )
    line.add_argument(
        "--quick", action="store_true", help="3 processes of a block of 2 steps of 16 images"
    )
    line.add_argument(
        "--timeout", type=seconds, default=1800.0, metavar="SECONDS", help="of one process"
    )
    line.add_argument("--output", metavar="FILE.json", help="every time and ratio, as data")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0, 1 when a contest failed, 2 for bad input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(arguments)
    try:
        return _contests(options, arguments)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _contests(options: argparse.Namespace, arguments: list[str]) -> int:
    from benchmarks.micro.inside import check
    from benchmarks.micro.provenance import provenance
    from benchmarks.micro.ratios import left_out, peaks, ratios

    _check_numbers(options)
    check(
        options.frameworks,
        device=options.device,
        threads=options.threads,
        precision=options.precision,
    )
    origin = provenance("benchmarks.micro", arguments)
    done: list[dict[str, Any]] = []
    failed: dict[tuple[str, str], str] = {}
    for turn in range(options.processes):
        for architecture in options.architectures:
            for name in _turned(options.frameworks, turn):
                if (architecture, name) in failed:
                    continue
                told = f"process {turn + 1} of {options.processes}: {architecture} {name}"
                print(told, file=sys.stderr, flush=True)
                result, reason = _contest(name, architecture, turn, options)
                if result is None:
                    failed[architecture, name] = reason
                else:
                    done.append(result)
                if options.output:  # after each: what is cut short leaves what it had
                    content = origin | {
                        "ratios": [ratio.row() for ratio in ratios(done)] if done else [],
                        "left_out": left_out(done),
                        "peaks": peaks(done),
                        "contests": done,
                        "failed": [f"{' '.join(who)}: {why}" for who, why in failed.items()],
                    }
                    text = json.dumps(content, indent=1) + "\n"
                    Path(options.output).write_text(text, encoding="utf-8")
    for ratio in ratios(done) if done else []:
        of = "processes" if ratio.processes > 1 else "process, its blocks"
        print(
            f"{ratio.architecture:6} {ratio.framework:11} {ratio.quantity:27} "
            f"{ratio.interval.median:6.3f}  {ratio.interval.words()}  {ratio.processes} {of}"
        )
    for name, (low, median, high) in peaks(done).items():
        print(
            f"{name}: its own matrix product reached {median / 1e9:.0f} GFLOP/s "
            f"(processes: {low / 1e9:.0f} to {high / 1e9:.0f})"
        )
    for row in left_out(done):
        print(f"{row['architecture']:6} {row['framework']:11} {row['quantity']:27} {row['reason']}")
    for who, why in failed.items():
        print(f"failed: {' '.join(who)}: {why}", file=sys.stderr)
    return int(bool(failed))


def _check_numbers(options: argparse.Namespace) -> None:
    if options.quick:
        options.steps, options.blocks, options.batch_size, options.processes = 2, 1, 16, 3
    for name, least in (("steps", 2), ("batch_size", 2)):
        if getattr(options, name) < least:
            raise ValueError(
                f"--{name.replace('_', '-')} is {getattr(options, name)}; must be at least {least}."
            )
    if options.epoch_images and options.epoch_images < options.batch_size:
        raise ValueError(
            f"--epoch-images is {options.epoch_images}; must be at least a batch of "
            f"{options.batch_size}."
        )


def _turned(names: Sequence[str], turn: int) -> list[str]:
    """The frameworks from another one on, and every other time backwards."""
    from benchmarks.micro.contest import turned

    return turned(list(names), turn)


def _contest(
    name: str, architecture: str, turn: int, options: argparse.Namespace
) -> tuple[dict[str, Any] | None, str]:
    """What one process found, or None and the reason."""
    from benchmarks.micro.inside import run_child

    settings = {
        "framework": name,
        "architecture": architecture,
        "size": options.size,
        "batch_size": options.batch_size,
        "steps": options.steps,
        "blocks": options.blocks,
        "threads": options.threads,
        "device": options.device,
        "precision": options.precision,
        "epoch_images": options.epoch_images,
        "turn": turn,
    }
    return run_child(
        ["benchmarks.micro.contest", json.dumps(settings)],
        name,
        device=options.device,
        threads=options.threads,
        timeout=options.timeout,
    )


if __name__ == "__main__":
    sys.exit(main())
