"""The options of the main command, `python -m benchmarks.run`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.config import experiment
from benchmarks.config.artifacts import CHECKPOINT_SECONDS
from benchmarks.config.suite import (
    AUGMENTATIONS,
    DEFAULT,
    DEVICES,
    FEEDS,
    PARITIES,
    PRECISIONS,
    SPLIT_BY,
    TEST_COPIES,
    TUNINGS,
    available,
)
from benchmarks.numeric import natural, positive, seconds
from frameworks.spec.reading import near_miss
from frameworks.spec.recipe import MONITORS

BAD_INPUT = 2  # exit status

_EPILOG = """\
A list makes a matrix: every combination is run, each in a process of its own.
Options override the fields of the suite.

examples:
  python -m benchmarks.run
  python -m benchmarks.run --frameworks keras torch jax --dataset galaxy10 --seeds 0 1 2
  python -m benchmarks.run --dataset my.h5 --architectures c2 my_network.toml --epochs 20
  python -m benchmarks.run --experiments unam phys449_c2_4way --seeds 0 1 2
  python -m benchmarks.run --experiments all --scale 0.01 --dry-run
"""


class _Parser(argparse.ArgumentParser):
    """Short errors, and the near miss of a misspelt option."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {message}\nSee {self.prog} --help\n")

    def parse_args(self, args=None, namespace=None):
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            word = unknown[0].split("=")[0]
            self.error(
                f"unknown option '{word}'{near_miss(word, list(self._option_string_actions))}"
            )
        return options


def parser() -> argparse.ArgumentParser:
    """The command line. What is not given there comes from the suite."""
    made = _Parser(
        prog="python -m benchmarks.run",
        description="Train one architecture in several frameworks on the same galaxies.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = made.add_argument_group("what to run")
    what.add_argument(
        "--suite",
        metavar="NAME|FILE",
        help=f"a named matrix: {', '.join(available())}; or a .toml file (default: {DEFAULT} for "
        "the demo galaxies; for others none, that is 10 epochs of batches of 64)",
    )
    what.add_argument(
        "--experiments",
        nargs="+",
        metavar="NAME|FILE",
        help="published trainings, with what was reported beside what comes out: "
        f"{', '.join(experiment.available())}; or all, or .toml files (docs/experiments.md)",
    )
    what.add_argument(
        "--scale",
        type=float,
        metavar="S",
        help="run experiments with this share of their galaxies and epochs, labelled as scaled",
    )
    what.add_argument(
        "--frameworks", nargs="+", metavar="NAME", help="keras torch jax keras@torch keras@jax"
    )
    what.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="the interpreter of a framework, or of a version of it beside the others, as in "
        "--frameworks torch torch@2.12 --python torch@2.12=old/bin/python",
    )
    what.add_argument(
        "--architectures", nargs="+", metavar="NAME|FILE", help="shipped names, or .toml files"
    )
    what.add_argument("--seeds", nargs="+", type=natural, metavar="N")
    what.add_argument(
        "--processes", type=positive, metavar="N", help="repeat each run in N processes"
    )
    what.add_argument(
        "--nudge-repeats",
        action="store_true",
        default=None,
        help="repeats start with every weight moved to a neighbouring float32, up or down at "
        "random: how far does rounding alone lead?",
    )
    what.add_argument(
        "--parity",
        nargs="+",
        type=_one_of(PARITIES),
        metavar="P",
        help="matched: same weights, masks and formulas; native: each framework's own defaults",
    )
    what.add_argument(
        "--tuning",
        nargs="+",
        type=_one_of(TUNINGS),
        metavar="T",
        help="idiomatic: as the framework's tutorial has it; tuned: the best known for the machine",
    )
    what.add_argument(
        "--precision",
        nargs="+",
        type=_one_of(PRECISIONS),
        metavar="P",
        help=" ".join(PRECISIONS) + " (float32 never uses TF32)",
    )

    data = made.add_argument_group("galaxies")
    data.add_argument(
        "--dataset", metavar="NAME|FILE", help="demo, galaxy10, galaxy10-decals, or an HDF5 file"
    )
    data.add_argument("--labels", metavar="VIEW", help="native, 4way, 3way or hubble")
    data.add_argument("--channels", metavar="C", help="rgb, or one of 0 1 2")
    data.add_argument("--image-size", type=positive, metavar="PIXELS", help="resize to a square")
    data.add_argument("--image-key", metavar="KEY", help="HDF5 dataset of the pictures")
    data.add_argument("--label-key", metavar="KEY", help="HDF5 dataset of the labels")
    data.add_argument("--demo-images", type=positive, metavar="N", help="galaxies to generate")
    data.add_argument(
        "--fraction", type=float, metavar="F", help="a part of the galaxies, by class"
    )
    data.add_argument(
        "--augmentation",
        type=_one_of(AUGMENTATIONS),
        metavar="A",
        help="none; crops40: 5 crops x 4 rotations x transpose; dihedral: 8 flips and rotations",
    )
    data.add_argument(
        "--crop-size",
        type=positive,
        metavar="PIXELS",
        help="of crops40 (default: 100 of 110)",
    )
    data.add_argument(
        "--split-by",
        type=_one_of(SPLIT_BY),
        metavar="UNIT",
        help="galaxy (default), or copy: the copies of one galaxy are trained and tested on (leak)",
    )
    data.add_argument(
        "--test-copies",
        type=_one_of(TEST_COPIES),
        metavar="C",
        help="centre (default): validate and test on the picture as it is; all: on every copy",
    )
    data.add_argument("--split-seed", type=natural, metavar="N")
    data.add_argument("--test-fraction", type=float, metavar="F", help="of all galaxies")
    data.add_argument("--validation-fraction", type=float, metavar="F", help="of what is left")

    training = made.add_argument_group("training")
    training.add_argument("--epochs", type=natural, metavar="N")
    training.add_argument("--batch-size", nargs="+", type=positive, metavar="N")
    training.add_argument(
        "--optimizer", metavar="NAME[,FIELD=VALUE...]", help="as in sgd,momentum=0.9,nesterov=true"
    )
    training.add_argument("--learning-rate", type=float, metavar="RATE")
    training.add_argument(
        "--class-weights",
        nargs="+",
        metavar="W",
        help="a number for each class, or balanced: n / (classes * n of the class) in training",
    )
    training.add_argument(
        "--early-stopping",
        metavar="PATIENCE|FIELD=VALUE,...",
        help="stop after so many epochs without a better validation_loss; fields: monitor "
        "patience min_delta restore_best, as in patience=4,min_delta=1e-4,restore_best=true",
    )
    training.add_argument(
        "--reduce-on-plateau",
        nargs="?",
        const="",
        metavar="FIELD=VALUE,...",
        help="lower the learning rate instead, as in factor=0.5,patience=5; fields: monitor "
        "factor patience min_delta cooldown min_learning_rate",
    )
    training.add_argument(
        "--keep-best",
        nargs="?",
        const="",
        metavar="MONITOR",
        help=f"test with the weights of the best epoch, by {' '.join(MONITORS)} (default the "
        "first); none takes away what a suite says, here and in the three above",
    )

    how = made.add_argument_group("how to run")
    how.add_argument("--device", type=_one_of(DEVICES), metavar="D", help=" ".join(DEVICES))
    how.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default all)")
    how.add_argument(
        "--feed",
        type=_one_of(FEEDS),
        metavar="F",
        help="of tuned runs: staged (the data set on the device), streamed (each batch sent "
        "there), auto (default: staged where it fits)",
    )
    how.add_argument(
        "--warmup-epochs",
        type=natural,
        metavar="N",
        help="time nothing of the first N epochs",
    )
    how.add_argument(
        "--deterministic",
        action="store_true",
        default=None,
        help="set the frameworks' deterministic flags: the same bits every time on a GPU as well, "
        "at a cost (docs/method.md)",
    )
    how.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="kill a run after so long; 0 is never (default: 20 times its estimate, at least "
        "1800; the quick suite has 600)",
    )
    how.add_argument(
        "--resume",
        action="store_true",
        help="leave out what the store holds of this machine with status ok, and go on with what "
        "was broken off from its last checkpoint",
    )
    how.add_argument(
        "--checkpoint-every",
        type=seconds,
        default=CHECKPOINT_SECONDS,
        metavar="SECONDS",
        help="keep the state of a training at the end of an epoch when so long has passed since "
        "the last; 0 is every epoch (default: %(default)g)",
    )
    how.add_argument(
        "--dry-run", action="store_true", help="print the matrix and an estimate; run nothing"
    )

    where = made.add_argument_group("results")
    where.add_argument("--store", type=Path, default=Path("runs"), metavar="DIR")
    where.add_argument("--report", type=Path, default=Path("report-out"), metavar="DIR")
    where.add_argument(
        "--save-models",
        nargs="?",
        const="",
        metavar="DIR",
        help="keep the trained networks, in each framework's own format and as weights that every "
        "framework loads (default directory: models in the store)",
    )
    where.add_argument("--no-report", action="store_true", help="write no report page")
    return made


def _one_of(known: Sequence[str]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(
                f"unknown value '{text}'{near_miss(text, list(known))}; one of {', '.join(known)}"
            )
        return text

    return convert
