# PYTHON_ARGCOMPLETE_OK
"""python -m report: figures, tables and one page from a results store."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from report import feature_maps
from results import cli
from results.store import DEFAULT_STORE, Store

DEFAULT_OUTPUT = Path("report-out")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 after a message that says what is wrong."""
    parser = cli.parser(
        "report",
        "Draw the report of a results store: one HTML page, figures as PNG and PDF.",
    )
    parser.add_argument(
        "--store",
        type=Path,
        default=DEFAULT_STORE,
        metavar="DIR",
        help="directory of the results (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="where to write (default: %(default)s)",
    )
    parser.set_defaults(draw=_page)
    feature_maps.add_command(parser.add_subparsers(title="instead of the page", metavar="COMMAND"))
    options = parser.parse_args(arguments)
    return cli.run(partial(options.draw, options))


def _page(options: argparse.Namespace) -> None:
    from report import page

    written = page.write(Store(options.store), options.output)
    print(f"{written.page}: the report, with {len(written.figures) // 2} figures")
    if not written.figures:
        print("No run finished, so there is no figure; the page says what failed and why.")


if __name__ == "__main__":
    sys.exit(main())
