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
    text = "Make an HDF5 file of galaxies from public pictures and labels."
    names = "; ".join(f"{name} makes {recipe.filename}" for name, recipe in RECIPES.items())
    command = commands.add_parser("convert", help=text, description=text)
    command.add_argument("folder", type=Path, metavar="FOLDER", help="or a zip file of it")
    command.add_argument(
        "--recipe", choices=RECIPES, required=True, metavar="NAME", help=f"what it holds: {names}"
    )
    command.add_argument(
        "--output", type=Path, metavar="FILE.h5", help="default: the recipe's name, here"
    )
    command.set_defaults(command=_convert)
    return made


def _convert(options: argparse.Namespace) -> None:
    from datasets.convert.convert import convert

    recipe = RECIPES[options.recipe]
    print(convert(recipe, options.folder, options.output or Path(recipe.filename)))


if __name__ == "__main__":
    sys.exit(main())
