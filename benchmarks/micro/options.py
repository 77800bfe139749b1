"""Options that the commands of this package have in common."""

from __future__ import annotations

from typing import get_args

from benchmarks.config.options import add
from results import cli
from results.vocabulary import Device

FRAMEWORKS = ("torch", "jax", "keras", "keras@torch", "keras@jax")  # `contest.BARE`
USUAL = ("unam", "c2")
ARCHITECTURES = (*USUAL, "resnet18", "efficientnet_like")  # `bare.networks`
OPTIONAL = ("idiomatic", "tutorial", "fit", "best", "again")  # contestants that may be left out
PRECISIONS = ("float32", "tf32", "bfloat16")


def parser(module: str, description: str) -> cli.Parser:
    """A command line with what all take: the size of pictures, threads, the device, a file."""
    line = cli.parser(module, description)
    line.add_argument("--size", type=cli.positive, default=69, metavar="PIXELS")
    add(line, "threads", default=2, help="CPU threads of a process (default 2)")
    add(line, "device", choices=get_args(Device), default="cpu", help="cpu (default) or cuda")
    line.add_argument(
        "--output", type=cli.output, metavar="FILE.json", help="every time and ratio, as data"
    )
    return line


def add_number(line: cli.Parser, name: str, default: int, text: str) -> None:
    """Add the option of a whole number, 1 or more; its help ends with the default."""
    help_ = f"{text} (default {default})"
    line.add_argument(f"--{name}", type=cli.positive, default=default, metavar="N", help=help_)
