"""The printed text of a comparison, and its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from benchmarks.port.answer import Answer
from benchmarks.port.compare import Found
from benchmarks.port.difference import Difference, grouped, words
from benchmarks.port.operation import Operation
from benchmarks.port.trained import Trained
from results.words import count

_WIDTH = 34
_EPOCHS = 20  # at most about so many lines of a curve
_PLACES = 6  # further layers with the same difference, by name


def text(answers: Sequence[Answer], details: bool) -> str:
    """The verdict first, then the differences, then what was measured; of several pairs all
    verdicts first."""
    return "\n".join(_all_lines(answers, details))


def _all_lines(answers: Sequence[Answer], details: bool) -> Iterator[str]:
    if len(answers) > 1:
        yield from (f"{one.labels[1]} against {one.labels[0]}: {one.verdict}" for one in answers)
    for one in answers:
        if len(answers) > 1:
            yield ""
            yield f"--- {one.labels[1]} against {one.labels[0]}"
        if one.found is not None:
            yield one.verdict
            yield from _lines(one.found, one.labels, details)
        elif len(answers) > 1:
            yield one.verdict


def _lines(found: Found, sources: tuple[str, str], details: bool) -> Iterator[str]:
    yield ""
    for name, label, listing in zip("AB", sources, found.listings, strict=True):
        yield (
            f"{name}: {label} ({listing.framework}, {count(len(listing.operations), 'operation')})"
        )
    if found.differences:
        yield ""
        yield "Different, what shows first at the top, the largest effect first:"
        for number, (one, places) in enumerate(grouped(found.differences), start=1):
            yield from _difference(number, one, places)
    if found.without:
        yield ""
        yield "Written differently, and nothing that was measured shows it:"
        yield from (f"  {one}" for one in found.without)
    if found.unread:
        yield ""
        yield "Not read, only run: " + "; ".join(found.unread)
    if found.stopped:
        yield ""
        yield f"Stopped: {found.stopped}"
    if found.notes:
        yield ""
        yield from (f"Note: {note}" for note in found.notes)
    yield ""
    yield "Measured in float64, norm-wise, the same weights, pictures and dropout masks in both:"
    yield from (f"  {name}: {value:.1e}" for name, value in found.measured.items())
    if found.trained is not None:
        yield ""
        yield from _trained(found.trained)
    if details:
        yield ""
        yield from _side_by_side(found)
        yield ""
        yield "Weights of A and of B that correspond:"
        yield from (f"  {one}  {other}" for one, other in found.mapping.items())


def _trained(one: Trained) -> Iterator[str]:
    yield f"Trained in the harness, means over the seeds ({one.command}):"
    yield "  ".join(["  epoch", *(f"{name:13}" for name in CURVES[1:])]).rstrip()
    rows = curves(one)
    every = max(1, len(rows) // _EPOCHS)
    for number, *cells in rows[every - 1 :: every]:
        yield "  ".join([f"  {number:>5}", *(f"{cell:13}" for cell in cells)]).rstrip()
    yield from (f"  {line}" for line in ends(one))


CURVES = ("epoch", "loss of A", "loss of B", "validation A", "validation B")


def curves(one: Trained) -> list[list[str]]:
    """Cells of a table with the columns CURVES, a row for each epoch."""
    a, b = one.curves
    found = zip_longest(a.losses, b.losses, a.accuracies, b.accuracies)
    forms = ("{:.6g}", "{:.6g}", "{:.1%}", "{:.1%}")
    return [
        [str(number), *("" if v is None else f.format(v) for f, v in zip(forms, row, strict=True))]
        for number, row in enumerate(found, start=1)
    ]


def ends(one: Trained) -> list[str]:
    """Sentences on speed, R6 and the runs that failed."""
    a, b = (curve.seconds for curve in one.curves)
    return [f"an epoch takes A {a:.3g} s and B {b:.3g} s (median)", *one.outcome, *one.failed]


def _difference(number: int, one: Difference, places: list[str]) -> Iterator[str]:
    effect = "" if one.effect == float("inf") else f", {one.effect:.2g} apart"
    yield f"  {number}. {one} [{one.stage}{effect}]"
    for line in filter(None, [also(places), one.shown, left_to(one.stated), *one.align]):
        yield f"     {line}"


def also(places: list[str]) -> str:
    """The further layers with the same difference; "" of none."""
    if not places:
        return ""
    shown = ", ".join(places[:_PLACES])
    more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    return f"the same in {shown}{more}"


def left_to(stated: str) -> str:
    """The programs that leave a constant to the framework's default, in words; "" if none does."""
    left = {"neither": "both leave it", "A": "B leaves it", "B": "A leaves it"}.get(stated)
    return f"{left} to the framework's default" if left else ""


def figure(value: float | None) -> str:
    """A distance in two digits; "" where nothing was measured."""
    if value is None:
        return ""
    return "not comparable" if value == float("inf") else f"{value:.1e}"


def _side_by_side(found: Found) -> Iterator[str]:
    yield f"{'A':{_WIDTH}}  {'B':{_WIDTH}}  outputs  by itself"
    for row in found.rows:
        cells = [_cell(one) for one in (row.pair.a, row.pair.b)]
        figures = [("" if v is None else f"{v:.0e}") for v in (row.through, row.alone)]
        yield f"{cells[0]:{_WIDTH}}  {cells[1]:{_WIDTH}}  {figures[0]:7}  {figures[1]}".rstrip()


def _cell(one: Operation | None) -> str:
    if one is None:
        return "-"
    kind = one.constants.get("function") or one.kind
    return f"{one.name} {kind} {words(one.shape)}"[:_WIDTH]


def as_json(answers: Sequence[Answer]) -> bytes:
    """All of it, for programs; of several pairs a list of them."""
    pairs = [_table(one) for one in answers]
    found = pairs[0] if len(pairs) == 1 else {"pairs": pairs}
    return msgspec.json.format(msgspec.json.encode(_finite(found)))


def _table(one: Answer) -> dict[str, Any]:
    programs = dict(zip("ab", one.labels, strict=True))
    if one.found is None:
        return {"status": one.status, "verdict": one.verdict, "programs": programs}
    told = {"status": one.status, "verdict": one.verdict, "programs": programs}
    return {**msgspec.to_builtins(one.found), **told}


def _finite(value: Any) -> Any:
    """JSON has no infinity: what cannot be compared is null."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and abs(value) == float("inf"):
        return None
    return value
