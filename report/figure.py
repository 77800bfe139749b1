"""python -m report figure NAME: one figure for a paper."""

from __future__ import annotations

import argparse
from pathlib import Path

from results import cli
from results.output import say
from results.store import Store

DEFAULT_OUTPUT = Path("report-out/figures")


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of `python -m report`."""
    made = commands.add_parser(
        "figure",
        help="one figure as PNG and PDF, with caption and data",
        description="Write figures of a results store as PNG and PDF, each with its data (CSV) and "
        "its caption (text). Without a name: list the names.",
    )
    made.set_defaults(draw=draw)
    made.add_argument("names", nargs="*", metavar="NAME", help="as listed; or its beginning")
    cli.add_store(made)
    made.add_argument(
        "--columns",
        type=int,
        choices=(1, 2),
        help="as wide as one or two columns of a journal, without title (default: for a screen)",
    )
    made.add_argument(
        "--output",
        type=cli.output_directory,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="where to write (default: %(default)s)",
    )


def _beginnings(names: list[str]) -> list[str]:
    """Every name and what stands before each of its dashes: whatever the command takes."""
    parts = (name.split("-") for name in names)
    return ["-".join(words[:end]) for words in parts for end in range(1, len(words) + 1)]


def draw(options: argparse.Namespace) -> None:
    """Write the figures named, or list all.

    Raises:
        ValueError: no figure has that name.
        FileNotFoundError: there is no such store.
        OSError: the figures cannot be written.
    """
    from report import page
    from results.names import in_line
    from results.vocabulary import unknown

    pictures = page.pictures(page.build(page.load(Store(options.store))))
    if not options.names:
        for one in pictures:
            say(in_line(one.name))
        if not pictures:
            say("No run finished, so there is no figure.")
        return
    chosen = []
    for name in options.names:
        found = [one for one in pictures if one.name == name]
        found = found or [one for one in pictures if one.name.startswith(name)]
        if not found:
            known = [one.name for one in pictures]
            raise ValueError(unknown("figure", name, known, near=_beginnings(known)))
        chosen += [one for one in found if one not in chosen]
    from report.figures.writing import write

    for path in write(chosen, options.output, options.columns):
        say(path)
