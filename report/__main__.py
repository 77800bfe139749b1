# PYTHON_ARGCOMPLETE_OK
"""python -m report: one page, figures and tables from a results store."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from report import feature_maps, figure, serve
from results import cli
from results.output import say
from results.store import Store
from results.words import count

DEFAULT_OUTPUT = Path("report-out")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 after a message that says what is wrong."""
    parser = cli.parser(
        "report",
        "Write the report of a results store: one HTML page with every run in it.",
    )
    cli.add_store(parser)
    parser.add_argument(
        "--output",
        type=cli.output_directory,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="where to write (default: %(default)s)",
    )
    parser.add_argument(
        "--figures",
        action="store_true",
        help="also every figure as PNG and PDF, with caption and data, in DIR/figures",
    )
    parser.add_argument(
        "--columns",
        type=int,
        choices=(1, 2),
        help="with --figures: width in columns of a journal (default: for a screen)",
    )
    parser.add_argument(
        "--gpu",
        type=Path,
        metavar="DIR",
        help="also a section of what python -m benchmarks.gpu measured there",
    )
    parser.set_defaults(draw=_page)
    commands = parser.add_subparsers(title="instead of the page", metavar="COMMAND")
    for one in (figure, feature_maps, serve):
        one.add_command(commands)
    options = parser.parse_args(arguments)
    return cli.run(partial(options.draw, options))


def _page(options: argparse.Namespace) -> None:
    from report import page

    figures = options.figures or options.columns is not None
    written = page.write(
        Store(options.store), options.output, figures, options.columns, options.gpu
    )
    say(f"{written.page}: the report")
    if written.figures:
        say(f"{written.figures[0].parent}: {count(len(written.figures), 'file of figures')}")
    if not written.finished:
        say("No run finished, so there is no figure; the page says what failed and why.")


if __name__ == "__main__":
    sys.exit(main())
