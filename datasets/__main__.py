"""python -m datasets: make a file of galaxies from public pictures and labels."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets.convert.convert import convert
from datasets.convert.recipes import RECIPES


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 after a message that says what is wrong."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m datasets", description="Files of galaxies.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    text = "Make an HDF5 file of galaxies from public pictures and labels."
    made = "; ".join(f"{name} makes {recipe.filename}" for name, recipe in RECIPES.items())
    command = commands.add_parser("convert", help=text, description=text)
    command.add_argument("folder", type=Path, metavar="FOLDER", help="or a zip file of it")
    command.add_argument("--recipe", choices=RECIPES, required=True, help=made)
    command.add_argument(
        "--output", type=Path, metavar="FILE.h5", help="default: the recipe's name, here"
    )
    command.set_defaults(command=_convert)
    return parser


def _convert(options: argparse.Namespace) -> None:
    recipe = RECIPES[options.recipe]
    output = options.output or Path(recipe.filename)
    print(convert(recipe, options.folder, output))


if __name__ == "__main__":
    sys.exit(main())
