"""Nodes of a kind: how many ran a bench, and how much they differ."""

from math import isnan
from statistics import median

from report.section import Block, Note, Table
from results.stats.nodes import of_times
from results.views.cells import Bench, Cell
from results.views.numbers import NONE, significant
from results.words import count


def nodes(bench: Bench) -> list[Block]:
    """Number of nodes, and a row for each cell that ran on several; empty if one node ran all."""
    names = {name for cell in bench.cells for name in cell.seconds_by_node}
    if len(names) < 2:
        return []
    rows = [_row(cell) for cell in bench.cells if len(cell.seconds_by_node) > 1]
    return [
        Note(
            f"Run on {count(len(names), 'node')} of one kind. Ratios are taken within a block, "
            "whose runs were all made on one node, so that how nodes differ does not enter them; "
            "it does enter every other time and rate here."
        ),
        *([_table(bench, rows)] if rows else []),
    ]


def _table(bench: Bench, rows: list[list[str]]) -> Table:
    return Table(
        [
            *("framework", "tuning", "precision", "batch", "nodes", "processes"),
            *("between nodes, %", "within a node, %", "slowest / fastest"),
        ],
        rows,
        "lllrrrrrl",
        caption=f"{bench.name}: how the epoch time differs between nodes, and between processes on "
        "one node (standard deviations, in per cent of the time: variance components of a one-way "
        "analysis of the logarithms; - where nodes have one process each). Slowest and fastest: "
        "by the median of their processes, with their ratio.",
    )


def _row(cell: Cell) -> list[str]:
    by_node = cell.seconds_by_node
    found = of_times(by_node)
    medians = {name: median(one) for name, one in by_node.items()}
    slowest, fastest = (pick(medians, key=medians.__getitem__) for pick in (max, min))
    return [
        cell.look.name,
        cell.tuning,
        cell.precision,
        str(cell.batch_size),
        str(found.nodes),
        str(found.values),
        NONE if isnan(found.between) else significant(100 * found.between, 2),
        NONE if isnan(found.within) else significant(100 * found.within, 2),
        f"{slowest} / {fastest}: {significant(medians[slowest] / medians[fastest])}",
    ]
