"""The limits as a table: each library's best at its best size, with the spread."""

from __future__ import annotations

import sys

from benchmarks.limits.found import COPY, Limits
from results.table import Cell, Column, Table, lines, width_of


def limits_table(limits: Limits) -> Table:
    """A row for each precision and library, the best of each marked."""
    made = Table(
        [
            Column("", key="what"),
            Column("library"),
            Column("best", right=True, key="rate"),
            Column("", key="unit"),
            Column("lowest to highest", rank=1, key="spread"),
            Column("samples", rank=3, right=True),
            Column("at", rank=2, right=True, key="size"),
            Column("", key="limit"),
        ]
    )
    for what in dict.fromkeys(sample.what for sample in limits.samples):
        best = limits.best(what)
        for sample in limits.best_by_library(what):
            low, high = (rate / 1e9 for rate in sample.spread)
            size = f"{sample.size / 2**20:.0f} MiB" if what == COPY else f"{sample.size}"
            made.add(
                what,
                sample.library,
                Cell(f"{sample.rate / 1e9:,.1f}", sample.rate),
                "GB/s" if what == COPY else "GFLOP/s",
                f"{low:,.1f} to {high:,.1f}",
                Cell(str(len(sample.seconds)), len(sample.seconds)),
                Cell(size, sample.size),
                "<- limit" if sample is best else "",
            )
    return made


def table(limits: Limits) -> str:
    """The table as wide as standard output, then who is missing."""
    found = [line.plain for line in lines(limits_table(limits), width_of(sys.stdout))]
    found += [f"{library}: {reason}" for library, reason in limits.missing.items()]
    return "\n".join(found)
