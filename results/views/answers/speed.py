"""Answer to "Which is faster?": a ratio with its interval, or why nothing can be said."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from results.stats.comparison import Comparison
from results.stats.vocabulary import FASTER, SLOWER
from results.views.answers.answer import Answer
from results.views.cells import Bench, Cell
from results.views.numbers import listed, significant, with_interval
from results.views.views import Panel, View

_QUESTION = "Which is faster?"
_NAMED = 5  # frameworks whose times a sentence holds
_QUOTABLE = 2  # processes of one seed below which a speed is not for quoting
_ONE_PROCESS = (
    "one process of each seed is not for quoting (six are: python -m benchmarks.run --suite speed)"
)


def faster(benches: Sequence[Bench], view: View, panel: Panel) -> Answer | None:
    """The frameworks of a panel by their epoch time; None where nothing was timed."""
    mine = set(panel.ok["execution_id"])
    for bench in benches:
        cells = [cell for cell in bench.cells if set(cell.runs["execution_id"]) & mine]
        if cells:
            break
    else:
        return None
    cells.sort(key=lambda cell: cell.epoch_seconds.value)
    times = [f"{significant(cell.epoch_seconds.value)} s ({cell.look.name})" for cell in cells]
    more = f" and {len(times) - _NAMED} more" if len(times) > _NAMED else ""
    took = f"An epoch took {listed(times[:_NAMED])}{more}."
    if len(cells) < 2:
        return Answer("How fast?", "one framework", took, "speed")
    first = cells[0]
    found = [(other, bench.compared(first, other)) for other in cells[1:]]
    quotable = _processes(cells) >= _QUOTABLE
    sure = [(other, one) for other, one in found if one.verdict in (FASTER, SLOWER)]
    if len(sure) == len(found):
        ratios = "; ".join(
            f"{_ratio(one)} of the time of {other.look.name}" for other, one in found
        )
        told = f"{first.look.name}: its epochs take {ratios}. {took}"
        return Answer(_QUESTION, first.look.name, told, "benches")
    if sure:
        slower = listed([other.look.name for other, _ in sure])
        level = listed(
            [first.look.name, *(o.look.name for o, one in found if (o, one) not in sure)]
        )
        told = (
            f"{first.look.name} is faster than {slower}; between {level} nothing is shown. {took}"
        )
        return Answer(_QUESTION, "in part", told, "benches")
    other, nearest = found[-1]
    why = nearest.reason or nearest.verdict if quotable else _ONE_PROCESS
    told = f"No verdict: {why}."
    if not isnan(nearest.ratio.value):
        told += f" {first.look.name} took {_ratio(nearest)} of the time of {other.look.name}."
    return Answer(_QUESTION, nearest.verdict, f"{told} {took}", "speed")


def _ratio(found: Comparison) -> str:
    return with_interval(found.ratio, 2)


def _processes(cells: Sequence[Cell]) -> int:
    """The fewest processes of one seed that a cell has."""
    return min(int(cell.runs.groupby("seed", dropna=False).size().min()) for cell in cells)
