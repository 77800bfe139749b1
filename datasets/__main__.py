# PYTHON_ARGCOMPLETE_OK
"""python -m datasets: make a file of galaxies from public pictures and labels."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from datasets.convert.recipes import RECIPES
from results import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 after a message that says what is wrong."""
    options = parser().parse_args(arguments)
    return cli.run(partial(options.command, options))


def parser() -> cli.Parser:
    """The command line."""
    made = cli.parser("datasets", "Files of galaxies.")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    text = "Make an HDF5 file of galaxies from public pictures and labels, or of another HDF5 file "
    text += "whose pictures or labels are of another form."
    names = "; ".join(f"{name} makes {recipe.filename}" for name, recipe in RECIPES.items())
    command = commands.add_parser("convert", help=text, description=text)
    command.add_argument(
        "source", type=Path, metavar="SOURCE", help="a folder or a zip file of one; or FILE.h5"
    )
    command.add_argument("made", type=Path, nargs="?", metavar="OUT.h5", help="as --output")
    command.add_argument("--recipe", choices=RECIPES, metavar="NAME", help=f"of a folder: {names}")
    command.add_argument(
        "--output", type=Path, metavar="FILE.h5", help="default: the recipe's name, here"
    )
    command.add_argument("--image-key", default="images", metavar="KEY", help="of FILE.h5")
    command.add_argument("--label-key", default="ans", metavar="KEY", help="of FILE.h5")
    command.set_defaults(command=_convert)

    text = "Draw a sheet of galaxies as a training with --augment sees them: a galaxy a row, an "
    text += "epoch a column; at the left as validation and test see them."
    command = commands.add_parser("augment", help=text, description=text)
    command.add_argument("source", metavar="NAME|FILE", help="as --dataset of benchmarks.run")
    command.add_argument("made", type=Path, metavar="OUT.png")
    command.add_argument(
        "--augment",
        required=True,
        metavar="FIELD=VALUE,...",
        help="as of benchmarks.run, such as flip,rotation=180,shift=0.1,zoom=0.9:1.1",
    )
    command.add_argument("--galaxies", type=cli.positive, default=6, metavar="N")
    command.add_argument("--epochs", type=cli.positive, default=8, metavar="N")
    command.add_argument("--seed", type=cli.natural, default=0, metavar="N", help="of the run")
    command.add_argument("--image-size", type=cli.positive, metavar="PIXELS")
    command.set_defaults(command=_augment)
    return made


def _augment(options: argparse.Namespace) -> None:
    from datasets.drawn.sheet import sheet
    from datasets.drawn.text import from_text

    try:
        settings = from_text(options.augment)
    except ValueError as error:
        raise ValueError(f"--augment: {error}") from error
    print(
        sheet(
            options.source,
            options.made,
            settings,
            galaxies=options.galaxies,
            epochs=options.epochs,
            seed=options.seed,
            image_size=options.image_size,
        )
    )


def _convert(options: argparse.Namespace) -> None:
    from datasets.convert.convert import convert
    from datasets.convert.other_forms import converted

    output = options.output or options.made
    if options.recipe is None:
        if output is None:
            raise ValueError("name the file to write: SOURCE.h5 OUT.h5; or a --recipe of a folder")
        print(converted(options.source, output, options.image_key, options.label_key))
        return
    recipe = RECIPES[options.recipe]
    print(convert(recipe, options.source, output or Path(recipe.filename)))


if __name__ == "__main__":
    sys.exit(main())
