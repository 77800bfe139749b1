"""The yardstick: `python -m benchmarks.micro`. Each framework in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FRAMEWORKS = ("torch", "jax", "keras")  # `contest.BARE`: --help must not import it
ARCHITECTURES = ("unam", "c2")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    line = argparse.ArgumentParser(
        prog="python -m benchmarks.micro",
        description="Bare hand-written loops beside the harness's backends, in interleaved blocks.",
    )
    line.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS))
    line.add_argument(
        "--architectures", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES)
    )
    line.add_argument("--size", type=int, default=69, metavar="PIXELS")
    line.add_argument("--batch-size", type=int, default=64, metavar="N")
    line.add_argument("--steps", type=int, default=4, help="steps of a block (default 4)")
    line.add_argument("--blocks", type=int, default=7, help="blocks (default 7)")
    line.add_argument("--threads", type=int, default=2)
    line.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    line.add_argument("--quick", action="store_true", help="3 blocks of 2 steps of 16 images")
    line.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS")
    line.add_argument("--output", metavar="FILE.json", help="every time and ratio, as data")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0, 1 when a contest failed, 2 for bad input."""
    options = parser().parse_args(arguments)
    try:
        return _contests(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _contests(options: argparse.Namespace) -> int:
    from benchmarks.micro.ratios import ratios

    if options.quick:
        options.steps, options.blocks, options.batch_size = 2, 3, 16
    for name in ("steps", "blocks", "threads", "size"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} is {getattr(options, name)}; must be at least 1.")
    if options.batch_size < 2:
        raise ValueError(f"--batch-size is {options.batch_size}; must be at least 2.")
    done: list[dict[str, Any]] = []
    failed: list[str] = []
    for architecture in options.architectures:
        for name in options.frameworks:
            print(f"{architecture} {name} ...", file=sys.stderr, flush=True)
            result, reason = _contest(name, architecture, options)
            if result is None:
                failed.append(f"{architecture} {name}: {reason}")
            else:
                done.append(result)
            if options.output:  # after each: what is cut short leaves what it had
                _write(options.output, done, failed)
    for ratio in ratios(done) if done else []:
        print(
            f"{ratio.architecture:6} {ratio.framework:6} {ratio.quantity:28} "
            f"{ratio.median:6.3f}  [{ratio.low:.3f}, {ratio.high:.3f}]  {ratio.blocks} blocks"
        )
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return int(bool(failed))


def _write(target: str, done: list[dict[str, Any]], failed: list[str]) -> None:
    """Every time and ratio so far, with the command and the machine."""
    from benchmarks import machine
    from benchmarks.micro.ratios import ratios

    content = {
        "command": " ".join(["python", "-m", "benchmarks.micro", *sys.argv[1:]]),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "ratios": [ratio.row() for ratio in ratios(done)] if done else [],
        "contests": done,
        "failed": failed,
    }
    Path(target).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _contest(
    name: str, architecture: str, options: argparse.Namespace
) -> tuple[dict[str, Any] | None, str]:
    """What one process found, or None and the reason."""
    from benchmarks import launch, machine

    settings = {
        "framework": name,
        "architecture": architecture,
        "size": options.size,
        "batch_size": options.batch_size,
        "steps": options.steps,
        "blocks": options.blocks,
        "threads": options.threads,
        "device": options.device,
    }
    with tempfile.TemporaryDirectory(prefix="micro-") as scratch:
        source, target = Path(scratch) / "settings.json", Path(scratch) / "output.json"
        source.write_text(json.dumps(settings), encoding="utf-8")
        variables = launch.environment(
            name, device=options.device, threads=options.threads, scratch=Path(scratch)
        )
        command = [sys.executable, "-m", "benchmarks.micro.contest", str(source), str(target)]
        try:
            ended = subprocess.run(
                command,
                env=variables,
                cwd=machine.ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=options.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, f"not done after {options.timeout:.0f} s"
        if ended.returncode or not target.exists():
            last = ended.stderr.strip().splitlines()[-1:] or ["no output"]
            return None, last[0]
        return json.loads(target.read_text(encoding="utf-8")), ""


if __name__ == "__main__":
    sys.exit(main())
