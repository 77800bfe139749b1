"""The options of `python -m benchmarks.fidelity`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import get_args

from benchmarks.config.options import add
from results import cli
from results.cli import natural, positive, share
from results.names import in_line
from results.vocabulary import Device

RUNGS = ("R0-R2", "R3", "R4", "R5a", "R5d", "R5e", "R5b", "R5c")
DEFAULT = RUNGS[:5]  # within 90 seconds on two cores: one network in two frameworks
FULL = RUNGS[:7]
STEPS = {"R3": 50, "R5a": 10, "R5b": 200, "R5c": 50}
FULL_STEPS = STEPS | {"R3": 200, "R5a": 64}
CLASSES = (10, 4)  # heads: the first by default, all in a full climb

EPILOG = """\
The ladder: R0 inputs, R1 forward and loss, R2 gradients, R3 optimizers alone, R4 one whole step,
R5a training in float64 step by step, R5d trainings from their first call to their last, R5e
training on several replicas against one, R5b training without kinks in float32 or below it,
R5c training there beside its own noise. Every
framework is held against a float64 reference written in NumPy, and against each of the others; the
bounds are in benchmarks/fidelity/rungs/bounds.py.

examples:
  python -m benchmarks.fidelity --frameworks keras torch --architectures unam
  python -m benchmarks.fidelity --frameworks keras torch jax --architectures unam c2 --full
  python -m benchmarks.fidelity --frameworks torch --architectures my_network.toml --rungs R0-R2
  python -m benchmarks.fidelity --frameworks keras torch jax --rungs R5a --architectures unam \\
      --size 69 --steps 64 --batch-size 64
  python -m benchmarks.fidelity --outcome --margin 1 --store runs
  python -m benchmarks.fidelity --native keras torch --architectures c2 --pictures my.h5 \\
      --size 40 --batch-size 64 --epochs 5 --seeds 10
"""


def markdown_file(text: str) -> str:
    """A file for tables: its name ends in .md, so that no word is taken for one; or "-"."""
    if text != "-" and not text.endswith(".md"):
        raise argparse.ArgumentTypeError(
            f"'{in_line(text)}' is no Markdown file; give a name that ends in .md, or none"
        )
    return text


def parser() -> cli.Parser:
    """The command line."""
    line = cli.parser(
        "benchmarks.fidelity",
        "Do the frameworks train the same network? Measured, rung by rung.",
        epilog=EPILOG,
    )
    add(line, "frameworks", default=["keras", "torch", "jax"])
    add(line, "architectures", default=["unam", "c2"])
    line.add_argument(
        "--rungs",
        nargs="+",
        choices=RUNGS,
        metavar="R",
        help=f"which to climb: {' '.join(RUNGS)} (default the first five; R5a and R5e are "
        "of float64, R5b and R5c of all below it)",
    )
    line.add_argument(
        "--full",
        action="store_true",
        help="both tunings, heads of 10 and of 4 classes, R5e and R5b too, schedules and clipping "
        "in every precision, and longer trainings (200 steps in R3, 64 in R5a): minutes, not "
        "seconds",
    )
    line.add_argument(
        "--dry-run", action="store_true", help="what would be asked and about how long it takes"
    )
    line.add_argument("--json", action="store_true", help="the verdict and every finding as JSON")
    line.add_argument(
        "--output",
        type=cli.output,
        metavar="FILE.json",
        help="the same in a file, anew after each network; with --outcome, what R6 found",
    )
    line.add_argument(
        "--details",
        action="store_true",
        help="a table of the figures, and every failure; with --explain the lines of every layer",
    )
    line.add_argument(
        "--optimizers",
        nargs="+",
        metavar="NAME",
        help="for R4 and R5 of the networks (default adam): "
        "adam adamw adadelta adagrad sgd momentum nesterov rmsprop",
    )
    add(
        line,
        "precision",
        default=["float64", "float32"],
        help="float64 float32 tf32 float16 bfloat16 (default the first two); tf32 is a GPU's",
    )
    add(line, "device", choices=get_args(Device), default="cpu", help="cpu (default) or cuda")
    line.add_argument(
        "--size",
        type=natural,
        default=0,
        metavar="PIXELS",
        help="side of the square pictures (default: the smallest that fit)",
    )
    line.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help="training steps (default "
        + ", ".join(f"{steps} in {rung}" for rung, steps in STEPS.items())
        + "; R5d and R5e have lengths of their own)",
    )
    line.add_argument(
        "--adam-epsilon",
        type=float,
        default=2**-13,  # ladder.STEADY_EPSILON, which must not be imported for --help
        metavar="E",
        help="epsilon of Adam and AdamW in R5a (default 2^-13); a smaller one amplifies rounding",
    )
    line.add_argument(
        "--rate",
        type=share,
        metavar="SHARE",
        help="learning rate of R4, R5a and R5b, as a share of R3's (default in R4: 16 for "
        "Nesterov, else 1; in R5: 1/16 with batch norm, else 1 for SGD and 1/4 for the others); "
        "at a larger one rounding grows from step to step, at a smaller one it counts for more "
        "in each",
    )
    add(line, "batch_size", nargs=None, default=8)
    line.add_argument(
        "--classes",
        nargs="+",
        type=positive,
        metavar="N",
        help="outputs of the network (default 10; full 10 4)",
    )
    line.add_argument(
        "--pictures", metavar="FILE.h5", help="galaxies to compute on (default: demo galaxies)"
    )
    add(
        line,
        "tuning",
        nargs=None,
        default=None,
        help="which backends climb: idiomatic (default), or tuned; the reference is the same",
    )
    add(line, "threads", default=1, help="CPU threads of a process (default 1)")
    line.add_argument(
        "--parallel",
        type=positive,
        default=min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1),
        metavar="N",
        help="processes at a time, each of --threads (default: one a core, at most 4)",
    )
    cli.add_store(line)
    add(
        line,
        "timeout",
        default=3600.0,
        help="kill a process that finishes no case for so long (default 3600)",
    )
    other = line.add_argument_group("instead of the ladder")
    other.add_argument(
        "--coverage",
        action="store_true",
        help="how many cases of the climb reach each value of each field, of layers, recipes, "
        "runtimes and pictures",
    )
    other.add_argument(
        "--mutants",
        nargs="?",
        const="-",
        type=markdown_file,
        metavar="FILE.md",
        help="R8: deliberate faults in the frameworks named and the rung that kills each, some "
        "through R5b and R5c too; the tables, or a file of them; --dry-run says how long it takes",
    )
    other.add_argument(
        "--defaults",
        action="store_true",
        help="every default that differs, read live from the installed frameworks",
    )
    other.add_argument(
        "--explain",
        metavar="NAME|FILE.toml",
        help="what the frameworks do differently with this network (and its [recipe], if it has "
        "one), how much, and the lines that align them; with --frameworks, --optimizers, "
        "--learning-rate, --batch-size, --size, --image-channels, --classes, --pictures, --device",
    )
    other.add_argument(
        "--seen",
        choices=("training", "outputs", "loss", "memory"),
        default="training",
        help="with --explain: what differs. Scores of networks trained anew (default), outputs "
        "with the same weights, the reported loss, or the memory taken",
    )
    other.add_argument("--learning-rate", type=float, metavar="RATE", help="with --explain")
    other.add_argument(
        "--image-channels", type=positive, default=3, metavar="N", help="with --explain (default 3)"
    )
    other.add_argument(
        "--compare",
        nargs=2,
        metavar=("RUN_A", "RUN_B"),
        help="in which fields two runs of the store differ, and from which epoch on",
    )
    other.add_argument(
        "--outcome",
        action="store_true",
        help="R6: did the finished trainings of the store come to the same, over paired seeds?",
    )
    other.add_argument(
        "--margin",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="with --outcome: differences of test accuracy below this count as none (default 1)",
    )
    other.add_argument(
        "--native",
        nargs=2,
        metavar=("FROM", "TO"),
        help="R7: what each default is worth that differs between two frameworks, or between "
        "matched and a framework; with --architectures, --optimizers, --pictures, --size",
    )
    other.add_argument(
        "--inside",
        default="torch",
        metavar="NAME",
        help="with --native: the framework in which defaults are switched (default torch)",
    )
    other.add_argument(
        "--seeds", type=positive, default=10, metavar="N", help="with --native (default 10)"
    )
    other.add_argument(
        "--epochs", type=positive, default=5, metavar="N", help="with --native (default 5)"
    )
    line.add_argument("--verbose", action="store_true", help="as --details, case by case")
    return line


def stated(arguments: Sequence[str] | None) -> frozenset[str]:
    """The options that a command line states, by their names; all others have their defaults."""
    line = parser()
    for action in line._actions:
        action.default = argparse.SUPPRESS
    return frozenset(vars(line.parse_args(arguments)))
