"""Tables for programs: --json and --csv, the data alone on standard output."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from math import isfinite
from typing import IO, Any

from results.output import for_programs
from results.table import Table, show


def add_forms(parser: argparse._ActionsContainer) -> None:
    """Add --json and --csv: the table alone on standard output, all else on the error output."""
    forms = parser.add_mutually_exclusive_group()
    for form in ("json", "csv"):
        forms.add_argument(
            f"--{form}",
            dest="form",
            action="store_const",
            const=form,
            default="",
            help=f"print the table as {form.upper()}, alone on standard output",
        )


@contextmanager
def data_alone(form: str) -> Iterator[IO[str]]:
    """Inside, what is printed goes to the error output if a form was asked for.

    Yields:
        Standard output, for the data.
    """
    out = sys.stdout
    if not form:
        yield out
        return
    with redirect_stdout(sys.stderr):
        yield for_programs(out)


def write_rows(tables: Sequence[Table], form: str, out: IO[str]) -> None:
    """Write the rows of all tables: a JSON list of objects, or CSV with one header."""
    rows = [row for table in tables for row in table.records()]
    if form == "json":
        out.write(json.dumps(rows, indent=1, default=str, ensure_ascii=False) + "\n")
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not rows:
        names = [column.field for table in tables[:1] for column in table.columns]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def tell(tables: Sequence[Table], form: str, out: IO[str]) -> None:
    """Tables for people, or for programs where a form was asked for."""
    if form:
        write_rows(tables, form, out)
    else:
        show(*tables)


def finite(value: Any) -> Any:
    """A value for JSON, with None for what it has no number for."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
