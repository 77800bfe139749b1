"""python -m tests.survey: what of 49 public networks and their trainings can be stated today.

Each network is built from its layer list and its parameters are counted; its training is read as a
suite's fields are. Nothing is trained and no framework is needed.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections import Counter
from collections.abc import Sequence

from results.table import Column, Table, show
from results.writer import write
from tests.survey.judge import JUDGED, Judged, judged, rows

_COLUMNS = [
    Column("", key="number", right=True),
    Column("repository"),
    Column("fw", key="framework", rank=3),
    Column("network"),
    Column("parameters", rank=2, right=True),
    Column("net", key="exact"),
    Column("train", key="training"),
    Column("aug", key="augmentation"),
    Column("files"),
    Column("what cannot be stated", key="reasons", prose=True),
]


def table(found: Sequence[Judged]) -> Table:
    """A row for each repository; "yes" for what can be stated."""
    made = Table(_COLUMNS)
    for one in found:
        row = one.row
        parts = one.network, one.training, one.augmentation, one.files
        count = f"{one.parameters:,}" if one.parameters else ""
        made.add(
            *(str(row.number), row.repository, row.framework, row.network, count),
            *("" if reasons else "yes" for reasons in parts),
            "; ".join(reason for reasons in parts for reason in reasons),
        )
    return made


def summary(found: Sequence[Judged]) -> str:
    """The counts, a line each."""
    total = len(found)
    exact = sum(not one.network for one in found)
    checked = sum(one.printed for one in found)
    recipes, whole = (sum(getattr(one, kind) for one in found) for kind in ("recipe", "whole"))
    return (
        f"Networks exact: {exact} of {total}; of {checked} the source or its library prints the "
        "parameters, and they agree.\n"
        f"Trainings but for augmentation and files: {recipes} of {total}.\n"
        f"Whole trainings: {whole} of {total}."
    )


def lacking(found: Sequence[Judged]) -> Table:
    """What stands in the way, by the number of repositories."""
    reasons = Counter(
        reason
        for one in found
        for reason in {*one.network, *one.training, *one.augmentation, *one.files}
    )
    made = Table([Column("repositories", right=True), Column("what cannot be stated", prose=True)])
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        made.add(str(count), reason)
    return made


def as_csv(found: Sequence[Judged]) -> str:
    """The table as CSV, as docs/evidence/data/survey.csv has it."""
    out = io.StringIO()
    line = csv.DictWriter(
        out,
        [
            *("number", "repository", "framework", "architecture", "parameters", "printed"),
            *("exact", "training", "augmentation", "files", "whole", "reasons"),
        ],
        lineterminator="\n",
    )
    line.writeheader()
    for one in found:
        row = one.row
        parts = one.network, one.training, one.augmentation, one.files
        line.writerow(
            {
                **{"number": row.number, "repository": row.repository, "framework": row.framework},
                **{"architecture": row.architecture, "parameters": one.parameters or ""},
                **{"printed": int(one.printed), "exact": int(not one.network)},
                **{"training": int(not one.training), "files": int(not one.files)},
                **{"augmentation": int(not one.augmentation), "whole": int(one.whole)},
                "reasons": "; ".join(reason for reasons in parts for reason in reasons),
            }
        )
    return out.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where the table of docs/evidence is no longer what is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.survey", description=__doc__)
    parser.add_argument("--csv", action="store_true", help="the table as CSV")
    parser.add_argument("--write", action="store_true", help=f"write {JUDGED.name}")
    options = parser.parse_args(arguments)
    found = [judged(row) for row in rows()]
    if options.csv:
        print(as_csv(found), end="")
        return 0
    if options.write:
        write(JUDGED, as_csv(found))
    show(table(found), lacking(found))
    print(summary(found))
    stale = not JUDGED.exists() or JUDGED.read_text(encoding="utf-8") != as_csv(found)
    if stale:
        print(f"{JUDGED.name} says otherwise: --write writes it anew.", file=sys.stderr)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
