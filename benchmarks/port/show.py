"""What is printed of a comparison, and its JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from benchmarks.port.compare import Found
from benchmarks.port.difference import Difference, words
from benchmarks.port.operation import Operation

_WIDTH = 34


def text(found: Found, sources: tuple[str, str], details: bool) -> str:
    """The verdict first, then the differences, then what was measured."""
    return "\n".join(_lines(found, sources, details))


def _lines(found: Found, sources: tuple[str, str], details: bool) -> Iterator[str]:
    yield found.verdict
    yield ""
    for name, label, listing in zip("AB", sources, found.listings, strict=True):
        yield f"{name}: {label} ({listing.framework}, {len(listing.operations)} operations)"
    if found.differences:
        yield ""
        yield "Different, what shows first at the top, the largest effect first:"
        for number, one in enumerate(found.differences, start=1):
            yield from _difference(number, one)
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
    if details:
        yield ""
        yield from _side_by_side(found)
        yield ""
        yield "Weights of A and of B that correspond:"
        yield from (f"  {one}  {other}" for one, other in found.mapping.items())


def _difference(number: int, one: Difference) -> Iterator[str]:
    effect = "" if one.effect == float("inf") else f", {one.effect:.2g} apart"
    yield f"  {number}. {one} [{one.stage}{effect}]"
    if one.shown:
        yield f"     {one.shown}"
    if one.stated and one.stated != "both":
        left = {"neither": "both leave it", "A": "B leaves it", "B": "A leaves it"}[one.stated]
        yield f"     {left} to the framework's default"
    for line in one.align:
        yield f"     {line}"


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


def as_json(found: Found, sources: tuple[str, str]) -> bytes:
    """All of it, for programs."""
    table: dict[str, Any] = msgspec.to_builtins(found)
    table["programs"] = dict(zip("ab", sources, strict=True))
    return msgspec.json.format(msgspec.json.encode(_finite(table)))


def _finite(value: Any) -> Any:
    """JSON has no infinity: what cannot be compared is null."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and abs(value) == float("inf"):
        return None
    return value
