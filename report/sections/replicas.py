"""Scaling of training with the number of data-parallel replicas."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from report.section import Table
from results.stats.comparison import paired_ratio
from results.views.cells import Bench, Cell
from results.views.numbers import significant, with_interval

_HEADER = ["framework", "tuning", "precision", "batch", "replicas", "processes", "images/s"]
_HEADER += ["images/s per replica", "of one replica, %", "sums over replicas, %"]


def scaling(benches: Iterable[Bench]) -> Iterator[Table]:
    """A table for each network that was trained on several replicas, and on one in the same blocks:
    a row for each cell and number of replicas."""
    alike: dict[tuple[str, ...], list[Bench]] = defaultdict(list)
    for bench in benches:
        alike[bench.others].append(bench)
    for found in alike.values():
        found.sort(key=lambda bench: bench.replicas)
        if len(found) > 1 and found[0].replicas == 1:
            yield _table(found)


def _table(found: list[Bench]) -> Table:
    rows = [
        _row(bench.replicas, cell, alone)
        for alone in found[0].cells
        for bench in found
        for cell in bench.cells
        if (cell.framework, cell.settings) == (alone.framework, alone.settings)
    ]
    shared = ""
    if found[0].view.first["device"] == "cpu":
        shared = (
            "All replicas compute on the CPUs of one machine, and have together the threads that "
            "one replica has: 100 % is no loss, and more is no gain of devices. "
        )
    return Table(
        _HEADER,
        rows,
        "lllr" + "r" * 6,
        caption=f"{found[0].name}: scaling with the number of replicas. {found[0].conditions}. "
        f"{shared}The batch is the same, dealt among the replicas. Of one replica: its epoch time "
        "over that of the replicas, the median over blocks that hold both, with its interval or "
        "range. Sums over replicas: share of the time in which one was under way, in a trace of "
        "some steps; waits for a slower replica count, and so does what overlaps with computation.",
        grouped=True,
    )


def _row(replicas: int, cell: Cell, alone: Cell) -> list[str]:
    return [
        cell.look.name,
        cell.tuning,
        cell.precision,
        str(cell.batch_size),
        str(replicas),
        str(len(cell.runs)),
        with_interval(cell.images_per_second),
        significant(cell.images_per_second.value / replicas),
        with_interval(paired_ratio(alone.seconds, cell.seconds).through(lambda one: 100 * one)),
        significant(100 * cell.median("communication_share"), 2),
    ]
