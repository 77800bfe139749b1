"""python -m report: figures, tables and one page from a results store."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from results.store import DEFAULT_STORE, Store

DEFAULT_OUTPUT = Path("report-out")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 after a message that says what is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["feature-maps"]:
        from report import feature_maps

        return feature_maps.main(given[1:])
    parser = argparse.ArgumentParser(
        prog="python -m report",
        description="Draw the report of a results store: one HTML page, figures as PNG and PDF.",
        epilog="python -m report feature-maps --help: the maps of saved networks for one galaxy",
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
    options = parser.parse_args(given)

    from results.parquet.files import damage_on_stderr

    try:
        with damage_on_stderr():
            from report import page

            written = page.write(Store(options.store), options.output)
    except (OSError, ValueError) as error:
        print(f"error: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 2
    print(f"{written.page}: the report, with {len(written.figures) // 2} figures")
    if not written.figures:
        print("No run finished, so there is no figure; the page says what failed and why.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
