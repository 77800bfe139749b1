"""Data of a figure: the page draws it in the browser; its caption and CSV come from it."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from results.stats.intervals import Interval
from results.views.numbers import NONE, listed, significant

Kind = Literal["line", "points", "bar"]
Log = Literal["", "x", "y", "xy"]
HEADER = ("panel", "series", "row", "x", "y", "low", "high", "note", "run")
MOST_POINTS = 4000  # of a chart; beyond, a section shows what its points add up to
_MOST_TOLD = 12
_DIGITS = 6


@dataclass(frozen=True)
class Series:
    """Marks of one kind and colour.

    Attributes:
        x, y: places, of equal length; in a panel with rows, y is the row from 0 at the top.
        low, high: ends of an interval, along y, or along x in a panel with rows: a band of a line,
            a whisker of a point, start and end of a bar. Empty where there are none.
        colour: "" is the colour of text.
        faint: raw values behind what is told in words.
        text: what each mark says of itself instead of its numbers.
        runs: execution_id that each mark is of; the page leads there.
        why: what low and high are, as in "95 %".
        second: colour that a line of two colours has besides.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: Kind = "line"
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    colour: str = ""
    marker: str = "o"
    dashed: bool = False
    hollow: bool = False
    faint: bool = False
    width: float = 1.6
    text: Sequence[str] = ()
    runs: Sequence[str] = ()
    why: str = ""
    second: str = ""


@dataclass(frozen=True)
class Rule:
    """A line across a panel at a value of one axis, with a word beside it."""

    axis: Literal["x", "y"]
    value: float
    text: str = ""


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    rows: names along y, from the top. margin: a shaded range of x. ticks: names of places on x.
    """

    title: str
    x: str
    series: Sequence[Series]
    y: str = ""
    rows: Sequence[str] = ()
    log: Log = ""
    zero: bool = False
    margin: tuple[float, float] | None = None
    rules: Sequence[Rule] = ()
    ticks: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """Panels beside and below each other; across: beside each other on a wide figure."""

    panels: Sequence[Panel]
    across: int = 2


@dataclass(frozen=True)
class Grid:
    """One matrix of counts, shown as a table. down, across: what rows and columns are, in words."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    counts: Sequence[Sequence[float]]
    down: str = "labelled as"
    across: str = "predicted as"


@dataclass(frozen=True)
class Grids:
    """Matrices of one figure."""

    grids: Sequence[Grid]
    largest: int = 24  # classes; above, the table is too wide for a page, and the CSV has it


@dataclass(frozen=True)
class Tiles:
    """Small pictures with a name each; `pngs` are the files' bytes."""

    names: Sequence[str]
    pngs: Sequence[bytes] = field(repr=False)
    side: int = 69  # pixels


Shown = Chart | Grids | Tiles


def interval_mark(name: str, found: Interval, place: float, why: str, text: str) -> Series:
    """A value with its interval, at a place of a panel with rows."""
    return Series(
        name,
        [found.value],
        [place],
        "points",
        [found.low],
        [found.high],
        marker="|",
        text=[text],
        why=why,
    )


def as_json(chart: Chart) -> list[dict[str, Any]]:
    """The panels for the page's script: numbers cut to six digits, defaults left out."""
    return [
        _without_empty(
            {
                "title": panel.title,
                "x": panel.x,
                "y": panel.y,
                "rows": list(panel.rows),
                "log": panel.log,
                "zero": panel.zero,
                "margin": list(panel.margin or ()),
                "rules": [
                    {"axis": one.axis, "value": _number(one.value), "text": one.text}
                    for one in panel.rules
                ],
                "series": [_series(one) for one in panel.series],
            }
        )
        for panel in chart.panels
    ]


def _series(one: Series) -> dict[str, Any]:
    numbers = {name: [_number(v) for v in getattr(one, name)] for name in ("x", "y", "low", "high")}
    marks = ("kind", "colour", "second", "marker", "dashed", "hollow", "faint")
    plain = {name: getattr(one, name) for name in ("name", *marks, "why")}
    texts = {"text": list(one.text), "runs": list(one.runs)}
    return _without_empty(plain | {"width": one.width} | numbers | texts)


def _without_empty(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if value not in ("", [], False, None)}


def _number(value: float) -> float | None:
    value = float(value)
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def rows(shown: Shown) -> Iterator[list[Any]]:
    """The figure's data as rows under `HEADER`, for a CSV file."""
    if isinstance(shown, Chart):
        for panel in shown.panels:
            for one in panel.series:
                yield from _rows(panel, one)
    elif isinstance(shown, Grids):
        for grid in shown.grids:
            for name, values in zip(grid.rows, grid.counts, strict=True):
                for column, value in zip(grid.columns, values, strict=True):
                    yield [grid.title, column, name, _cell(value), "", "", "", "", ""]
    else:
        for name in shown.names:
            yield ["", "", name, "", "", "", "", "", ""]


def _rows(panel: Panel, one: Series) -> Iterator[list[Any]]:
    for place, (x, y) in enumerate(zip(one.x, one.y, strict=True)):
        row = panel.rows[_row(y, panel)] if panel.rows else ""
        yield [
            panel.title,
            one.name,
            row,
            _cell(x),
            "" if panel.rows else _cell(y),
            *(_cell(ends[place]) if len(ends) else "" for ends in (one.low, one.high)),
            one.text[place] if len(one.text) else "",
            one.runs[place] if len(one.runs) else "",
        ]


def _row(y: float, panel: Panel) -> int:
    return min(max(round(float(y)), 0), len(panel.rows) - 1)


def _cell(value: float) -> float | str:
    return float(value) if math.isfinite(value) else ""


def seen(shown: Shown) -> str:
    """Description for a reader who cannot see the figure: the values of the first dozen marks."""
    if isinstance(shown, Tiles):
        return f"Pictures of {listed(list(shown.names))}." if shown.names else "No picture."
    if isinstance(shown, Grids):
        found = [f"{grid.title}: {_diagonal(grid)}" for grid in shown.grids]
        return ". ".join(found) + "."
    return " ".join(f"{panel.title}: {_told(panel)}." for panel in shown.panels)


def _diagonal(grid: Grid) -> str:
    total = sum(sum(v for v in row if v == v) for row in grid.counts)
    right = sum(row[place] for place, row in enumerate(grid.counts) if row[place] == row[place])
    return f"{significant(right)} of {significant(total)} on the diagonal"


def _told(panel: Panel) -> str:
    found = [text for one in panel.series if not one.faint for text in _marks(panel, one)]
    more = len(found) - _MOST_TOLD
    return "; ".join([*found[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]) or "empty"


def _marks(panel: Panel, one: Series) -> Iterable[str]:
    known = [
        place
        for place, (x, y) in enumerate(zip(one.x, one.y, strict=True))
        if math.isfinite(x) and math.isfinite(y)
    ]
    if not known:
        return
    if panel.rows:
        for place in known:
            low, high = (ends[place] if len(ends) else math.nan for ends in (one.low, one.high))
            known_ends = math.isfinite(low) and low != high
            interval = f" ({significant(low)} to {significant(high)})" if known_ends else ""
            row = panel.rows[_row(one.y[place], panel)]
            name = row if row == one.name else f"{row}, {one.name}"
            yield f"{name} {significant(float(one.x[place]))}{interval}"
    elif one.kind == "line":
        first, last = (significant(float(one.y[known[end]])) for end in (0, -1))
        yield f"{one.name} from {first or NONE} to {last}"
    else:
        for place in known:
            yield f"{one.name} {significant(float(one.y[place]))} at {one.x[place]:g}"
