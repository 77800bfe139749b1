"""The options of `python -m benchmarks.port`."""

from __future__ import annotations

from results import cli
from results.cli import natural, positive

EPILOG = """\
A and B: file.py:name (a model, or a function without arguments that makes one), a .keras file, or a
network in TOML. Beside a model its file may have: loss, optimizer, schedule, clip, preprocess,
epoch_loss (docs/port.md says what each may be); the options below name others.

Each program runs in a process of its own. Exit status: 0 equal, 1 different, 2 bad input, 4 could
not be told.

examples:
  python -m benchmarks.port mine_keras.py:make mine_torch.py:Net
  python -m benchmarks.port trained.keras port.py:Net --input 69 69 3 --details
  python -m benchmarks.port unam port.py:Net --input 69 69 3 --page answer.html
  python -m benchmarks.port mine_keras.py:make mine_torch.py:Net mine_flax.py:Net
"""
# What stands beside a model and has an option that names another.
CONVERTED = ("torch", "keras", "flax")
PARTS = ("loss", "optimizer", "schedule", "clip", "preprocess")


def parser() -> cli.Parser:
    """The command line."""
    line = cli.parser(
        "benchmarks.port",
        "Two programs of your own: do they train the same, and if not, why?",
        epilog=EPILOG,
    )
    line.add_argument("a", metavar="A", help="the first program")
    line.add_argument("b", metavar="B", nargs="?", help="the second one, a port of it")
    line.add_argument("c", metavar="C", nargs="?", help="a third one, also compared with the first")
    line.add_argument(
        "--input",
        nargs="+",
        type=positive,
        default=[],
        metavar="N",
        help="a picture's height, width and channels, or a spectrum's length and channels "
        "(default: as a Keras model says)",
    )
    line.add_argument(
        "--frameworks",
        nargs="+",
        default=[],
        metavar="F",
        help="framework of each program: keras keras@torch keras@jax torch jax (default: what its "
        "file imports)",
    )
    for part in PARTS:
        line.add_argument(
            f"--{part}",
            nargs="+",
            metavar="P",
            help=f"file.py:name of the {part} of each program; - for what its file or model has",
        )
    line.add_argument(
        "--python",
        nargs="+",
        default=[],
        metavar="PY",
        help="the interpreter of each program; - for this one",
    )
    line.add_argument(
        "--steps", type=natural, default=8, metavar="K", help="whole training steps (default 8)"
    )
    line.add_argument(
        "--batch-size",
        type=positive,
        default=6,
        metavar="N",
        help="pictures of a batch, also in training (default 6)",
    )
    line.add_argument(
        "--dataset",
        metavar="NAME|FILE",
        default="",
        help="galaxies in place of generated pictures: demo, galaxy10, or a file",
    )
    line.add_argument(
        "--channels",
        default="rgb",
        metavar="C",
        help="channels of the galaxies: rgb, grey, mean, 0, 1 or 2 (default rgb)",
    )
    line.add_argument(
        "--train",
        type=natural,
        default=0,
        metavar="EPOCHS",
        help="also train all in the harness by their own steps, and compare how they end (default "
        "0: no)",
    )
    line.add_argument(
        "--seeds",
        nargs="+",
        type=natural,
        default=[0, 1, 2, 3, 4],
        metavar="N",
        help="of these trainings, one each (default 0 1 2 3 4)",
    )
    cli.add_store(line)
    line.add_argument(
        "--seed",
        type=natural,
        default=0,
        metavar="N",
        help="seed of pictures and weights (default 0)",
    )
    line.add_argument(
        "--seen",
        choices=("training", "outputs"),
        default="training",
        help="what differs: trainings (default), or outputs of a bare call of the models",
    )
    line.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="where the programs run: cuda counts settings that only a GPU shows; all is computed "
        "on the CPU",
    )
    line.add_argument(
        "--given-weights",
        action="store_true",
        help="the programs load weights: do not compare those that they draw",
    )
    line.add_argument(
        "--details", action="store_true", help="every layer side by side, and the weights' mapping"
    )
    line.add_argument(
        "--write",
        type=cli.output,
        metavar="FILE.toml",
        help="write network and recipe of each program as data (FILE.a.toml, FILE.b.toml), and "
        "both as frameworks of benchmarks.run (FILE_programs.py)",
    )
    line.add_argument(
        "--convert",
        choices=CONVERTED,
        metavar="FRAMEWORK",
        help="write A's network as plain code of torch, keras or flax, with a test beside it, and "
        "compare it with A (give no B)",
    )
    line.add_argument(
        "--page",
        type=cli.output,
        metavar="FILE.html",
        help="write all of it as one page, with the layers side by side",
    )
    line.add_argument("--json", action="store_true", help="all of it as JSON")
    line.add_argument(
        "--timeout",
        type=cli.seconds,
        default=600.0,
        metavar="SECONDS",
        help="longest time for one answer of a program (default 600)",
    )
    return line
