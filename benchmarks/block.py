# PYTHON_ARGCOMPLETE_OK
"""The command that a scheduler runs on a node: `python -m benchmarks.block BLOCK.json`.

A block holds all frameworks of one seed or repeat, which run one after another on this machine and
are stored as they end. `python -m benchmarks.run --write-blocks DIR` writes the files.

Exit status: 0 all well, 1 a run failed (its row says why), 2 it cannot be run here, 130
interrupted, 143 asked to end (SIGTERM).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from results import cli
from results.output import say

_EPILOG = """\
Each run is appended to the store that the file names, with the names of node, engine, job and
block. A block that is stored whole is left alone; one that was broken off is run again from its
start.

examples:
  python -m benchmarks.run --frameworks torch jax --seeds 0 1 2 --write-blocks blocks
  python -m benchmarks.block blocks/00001.json
"""
RUN_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = cli.parser(
        "benchmarks.block", "Run one block of a planned session on this machine.", epilog=_EPILOG
    )
    parser.add_argument("block", type=Path, metavar="BLOCK.json", help="of --write-blocks")
    options = parser.parse_args(arguments)
    return cli.run(partial(_main, options), "what was finished is kept")


def _main(options: argparse.Namespace) -> int:
    from benchmarks.runner.block import load, run_block

    failed = run_block(load(options.block), lambda text: say(text, flush=True)).failed()
    for row in failed:
        say(f"{row['framework']} seed {row['seed']}: {row['status']}", error=True)
    return RUN_FAILED if failed else cli.OK


if __name__ == "__main__":
    sys.exit(main())
