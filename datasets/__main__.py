# PYTHON_ARGCOMPLETE_OK
"""python -m datasets: make, check and show files of galaxies."""

import argparse
import sys
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.convert.recipes import RECIPES, recipe_of
from results import cli
from results.output import say

if TYPE_CHECKING:
    from datasets.convert.form import Asked

_FORMS = """\
sources:
  FILE.h5, FILE.npz, FILE.npy    arrays under any names: pictures of any layout (channels first,
                                 grey, floats, 16 bits) and labels (numbers, names, one-hot)
  FILE.parquet, or a folder      encoded pictures and labels, as hubs of data sets have them
  FOLDER, FOLDER.zip             a folder for each class (below train/, test/: a published split);
                                 or pictures and a .csv of their labels or votes (Galaxy Zoo);
                                 or a .npy file in place of each picture
  TABLE.csv, TABLE.sqlite        the same, with the pictures beside or below it
  FITS cut-outs                  in such folders, with --stretch (needs astropy)
  FILE.tfrecord, or a folder     encoded pictures (needs TensorFlow)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 after a message that says what is wrong."""
    options = parser().parse_args(arguments)
    return cli.run(partial(options.command, options))


def parser() -> cli.Parser:
    """The command line."""
    made = cli.parser("datasets", "Files of galaxies: make, check and show them.")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    text = "Make an HDF5 file of galaxies of pictures and labels in another form."
    names = "; ".join(f"{name} makes {recipe.filename}" for name, recipe in RECIPES.items())
    command = commands.add_parser("convert", help=text, description=text, epilog=_FORMS)
    command.add_argument("source", type=Path, metavar="SOURCE", help="see below")
    command.add_argument("made", type=cli.output, nargs="?", metavar="OUT.h5", help="as --output")
    command.add_argument(
        "--recipe",
        choices=RECIPES,
        metavar="NAME",
        help=f"make the file of a well-known folder: {names}",
    )
    command.add_argument(
        "--output", type=cli.output, metavar="FILE.h5", help="default: the recipe's name, here"
    )
    _add_asked(command)
    command.set_defaults(command=_convert)
    text = "Say all that is wrong with a file of galaxies, or a source of another form."
    command = commands.add_parser("check", help=text, description=text, epilog=_FORMS)
    command.add_argument("source", type=Path, metavar="FILE", help="a file, or a source; see below")
    _add_asked(command)
    command.set_defaults(command=_check)
    text = "Draw some galaxies of each class: a PNG, or in the terminal."
    command = commands.add_parser("show", help=text, description=text)
    command.add_argument(
        "source", metavar="FILE", help="as --dataset: demo, galaxy10, galaxy10-decals, or a file"
    )
    command.add_argument(
        "--output", type=cli.output, metavar="FILE.png", help="default: the file's name, here"
    )
    command.add_argument("--text", action="store_true", help="in the terminal, in its colours")
    command.add_argument("--per-class", type=cli.positive, default=8, metavar="N")
    command.add_argument("--seed", type=cli.natural, default=0, metavar="N", help="draws which")
    _add_asked(command, ("image_key", "label_key", "group_key", "skip_bad"))
    command.set_defaults(command=_show)
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


def _add_asked(command: argparse.ArgumentParser, some: Collection[str] = ()) -> None:
    """The options that say what a source means, or some of them."""

    def add(name: str, *names: str, **settings: Any) -> None:
        if not some or name[2:].replace("-", "_") in some:
            command.add_argument(name, *names, **settings)

    add(
        "--image-key", "--images-key", default="", metavar="KEY", help="array or column of pictures"
    )
    add("--label-key", default="", metavar="KEY", help="array or column of labels")
    add(
        "--group-key",
        default="",
        metavar="KEY",
        help="array or column of galaxies, as numbers or "
        "names: pictures of one stay in one part of a split",
    )
    add("--id-key", default="", metavar="KEY", help="column of a table with the pictures' names")
    add(
        "--vote-keys",
        nargs="+",
        default=[],
        metavar="KEY",
        help="columns of votes: the label is "
        "what most chose of the first question (columns named alike up to the last dot)",
    )
    add(
        "--split-from",
        default="",
        metavar="KEY",
        help="array or column of the published split: train, validation, test",
    )
    add(
        "--class-names",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names by label; of labels that are names, their order",
    )
    add("--table", default="", metavar="FILE.csv", help="which table of a folder has the labels")
    add("--crop", type=cli.positive, metavar="PIXELS", help="cut so many a side out of the middle")
    add("--size", type=cli.positive, metavar="PIXELS", help="scale to so many a side (bilinear)")
    add(
        "--stretch",
        choices=("asinh", "linear"),
        default="",
        metavar="S",
        help="brightness of FITS cut-outs: asinh or linear, between each picture's 0.5th and "
        "99.5th percentile",
    )
    add(
        "--skip-bad",
        type=cli.natural,
        default=0,
        metavar="N",
        help="leave out up to N pictures "
        "that cannot be taken; the file says which kinds and how many",
    )


def _augment(options: argparse.Namespace) -> None:
    from datasets.drawn.sheet import sheet
    from datasets.drawn.text import from_text

    try:
        settings = from_text(options.augment)
        if settings.by != "harness":
            raise ValueError("by: a framework's own draws are seen in its training alone")
    except ValueError as error:
        raise ValueError(f"--augment: {error}") from error
    say(
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
    output = options.output or options.made
    if options.recipe is None and options.source.exists():
        known = recipe_of(options.source)
        options.recipe = known.name if known else None
    if options.recipe is not None:
        from datasets.convert.convert import convert

        recipe = RECIPES[options.recipe]
        say(convert(recipe, options.source, output or Path(recipe.filename)))
        return
    if output is None:
        raise ValueError("name the file to write: SOURCE OUT.h5; or a --recipe of a folder")
    from datasets.convert.stream import convert_source

    say(convert_source(options.source, output, _asked(options)).words())


def _check(options: argparse.Namespace) -> int:
    from datasets.check import check

    report = check(options.source, _asked(options))
    say("\n".join(report.lines(str(options.source))))
    return cli.BAD_INPUT if report.wrong else cli.OK


def _show(options: argparse.Namespace) -> None:
    from datasets import catalog, show
    from results.names import beneath
    from results.terminal import Terminal

    load = partial(
        catalog.load,
        options.source,
        image_key=options.image_key or "images",
        label_key=options.label_key or "ans",
        group_key=options.group_key or None,
        skip_bad=options.skip_bad,
    )
    try:
        data = load()
    except ValueError as error:
        if "use channels '0'" not in str(error):
            raise
        data = load(channels="0")
    if not options.text:
        output = options.output or beneath(Path(), data.name, ending=".png")
        say(show.draw(data, output, options.per_class, options.seed))
        return
    terminal = Terminal(soft_wrap=True)
    coloured = terminal.color_system is not None
    shown = show.text(data, options.per_class, terminal.width, options.seed, coloured)
    for line in shown:
        terminal.print(line, soft_wrap=True)


def _asked(options: argparse.Namespace) -> "Asked":
    import dataclasses

    from datasets.convert.form import Asked

    given: dict[str, Any] = {}
    for field in dataclasses.fields(Asked):
        value = getattr(options, field.name)
        given[field.name] = tuple(value) if isinstance(value, list) else value
    return Asked(**given)


if __name__ == "__main__":
    sys.exit(main())
