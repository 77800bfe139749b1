"""A table on a terminal of any width.

A terminal too narrow for all columns loses the least important ones, which are named below, before
any figure is cut: rank 0 is the answer and stays. `rich` draws tables too, but folds or cuts every
column alike, as tabulate and prettytable do: none knows which column is the answer.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from results.names import in_line
from results.words import count

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


LOG_WIDTH = 160  # characters of a file or pipe: every column is there
_GAP = "  "
_LEAST = 8  # characters that a name keeps


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: as it is printed; key: as programs read it, by default the name in snake case.
        rank: 0 is never left out; of the others the highest rank goes first.
        right: of numbers.
        prose: sentences, which stand below their row where the line is too short.
    """

    name: str
    rank: int = 0
    right: bool = False
    key: str = ""
    prose: bool = False

    @property
    def field(self) -> str:
        """The column's name for programs."""
        return self.key or self.name.lower().replace(" ", "_").replace(".", "")


@dataclass(frozen=True)
class Cell:
    """Cell of a table: its text, and its value for programs.

    Attributes:
        text: as printed.
        value: for JSON and CSV; by default the text.
        short: replaces the text where the line is too short, without the interval say.
        style: of rich, "red".
    """

    text: str
    value: Any = None
    short: str = ""
    style: str = ""


@dataclass
class Table:
    """Columns and rows; `title` stands above, `common` in every row that programs read.

    A cell that is a string is printed as it is.
    """

    columns: Sequence[Column]
    rows: list[Sequence[Cell | str]] = field(default_factory=list)
    title: str = ""
    common: Mapping[str, Any] = field(default_factory=dict)

    def add(self, *cells: Cell | str) -> None:
        """A row, a cell for each column."""
        if len(cells) != len(self.columns):
            raise ValueError(
                f"{count(len(cells), 'cell')} for {count(len(self.columns), 'column')}"
            )
        self.rows.append(cells)

    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each row; what is not a number is None."""
        names = [column.field for column in self.columns]
        return [
            {**self.common, **dict(zip(names, map(_value, row), strict=True))} for row in self.rows
        ]


def elided(text: str, width: int) -> str:
    """The text in at most so many cells of a terminal, with its middle left out."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    half = max(1, (width - 1) // 2)
    head = set_cell_size(text, max(0, width - 1 - half)).rstrip()
    tail = text
    while cell_len(tail) > half:
        tail = tail[1:]
    return f"{head}…{tail}" if width > 1 else "…"


def lines(table: Table, width: int) -> list[Text]:
    """The table as lines of at most `width` cells each.

    Columns are left out by rank until the rest fits, then cells take their short forms, then names
    are elided. What is left out is named below the table. A table that still does not fit is
    printed as a paragraph for each row.
    """
    rows = [[_cell(one) for one in row] for row in table.rows]
    found = _wrapped(Cell(in_line(table.title), style="bold"), width, indent=0)
    layout = _laid_out(table, rows, width)
    if layout is None:
        return found + _paragraphs(table, rows, width)
    columns = [table.columns[place] for place in layout.shown]
    if any(column.name for column in columns):
        header = [Cell(column.name, style="bold") for column in columns]
        found.append(_line(columns, header, layout))
    for row in rows:
        found.append(_line(columns, [row[place] for place in layout.shown], layout))
        for place in layout.below:
            found += _wrapped(row[place], width, indent=4)
    if layout.left_out:
        names = ", ".join(table.columns[place].name for place in sorted(layout.left_out))
        note = Cell(f"not shown at {count(width, 'column')}: {names}", style="dim")
        found += _wrapped(note, width, indent=0)
    return found


def width_of(stream: IO[str]) -> int:
    """Cells of a line: the terminal's, `COLUMNS` where it is set, else `LOG_WIDTH`."""
    if os.environ.get("COLUMNS", "").isdecimal() and (asked := int(os.environ["COLUMNS"])) > 0:
        return asked
    if stream.isatty():
        import shutil

        return shutil.get_terminal_size().columns
    return LOG_WIDTH


def show(*tables: Table, console: Console | None = None) -> None:
    """Print tables on standard output, or on this console, as wide as it is."""
    from results.terminal import Terminal

    made = console or Terminal(width=width_of(sys.stdout), highlight=False)
    for table in tables:
        made.print(*lines(table, made.width), sep="\n", soft_wrap=True)


def _value(cell: Cell | str) -> Any:
    value = cell if isinstance(cell, str) else cell.text if cell.value is None else cell.value
    value = value.item() if hasattr(value, "item") else value  # NumPy's
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---- layout


def _cell(cell: Cell | str) -> Cell:
    made = Cell(cell) if isinstance(cell, str) else cell
    return Cell(in_line(made.text), made.value, in_line(made.short), made.style)


@dataclass(frozen=True)
class _Layout:
    """Layout of a row: columns on its line with widths, columns below it, columns left out."""

    shown: list[int]
    sizes: list[int]
    below: list[int]
    left_out: list[int]
    short: bool


def _laid_out(table: Table, rows: Sequence[Sequence[Cell]], width: int) -> _Layout | None:
    """The first that fits of: all, fewer columns, short cells, elided names; None if none does."""
    places = range(len(table.columns))
    full, brief = (
        [_size(table, rows, place, short) for place in places] for short in (False, True)
    )
    shown = [place for place in places if not rows or any(row[place].text for row in rows)]
    below: list[int] = []
    left_out: list[int] = []
    while _total([full[place] for place in shown]) > width:
        prose = [place for place in shown if table.columns[place].prose]
        removable = [place for place in shown if table.columns[place].rank > 0]
        if prose:
            below += prose
            shown = [place for place in shown if place not in prose]
        elif removable:
            left_out.append(max(removable, key=lambda place: (table.columns[place].rank, place)))
            shown.remove(left_out[-1])
        else:
            break
    sizes = [full[place] for place in shown]
    short = _total(sizes) > width
    if short:
        sizes = [brief[place] for place in shown]
    if _total(sizes) > width:
        sizes = _elided_sizes(table, shown, sizes, width)
    return _Layout(shown, sizes, below, left_out, short) if _total(sizes) <= width else None


def _size(table: Table, rows: Sequence[Sequence[Cell]], place: int, short: bool) -> int:
    from rich.cells import cell_len

    texts = (_text(row[place], short) for row in rows)
    return max(map(cell_len, [table.columns[place].name, *texts]))


def _text(cell: Cell, short: bool) -> str:
    return cell.short if short and cell.short else cell.text


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(_GAP) * max(0, len(sizes) - 1)


def _elided_sizes(
    table: Table, shown: Sequence[int], sizes: Sequence[int], width: int
) -> list[int]:
    """The sizes with the room that figures leave shared by the names; as they are where a name
    would keep too little."""
    names = [at for at, place in enumerate(shown) if not table.columns[place].right]
    room = width - _total(sizes) + sum(sizes[at] for at in names)
    found = list(sizes)
    for left, at in zip(
        range(len(names), 0, -1), sorted(names, key=lambda at: sizes[at]), strict=True
    ):
        found[at] = min(sizes[at], room // left)
        room -= found[at]
    least = [min(sizes[at], max(_LEAST, len(table.columns[shown[at]].name))) for at in names]
    enough = all(found[at] >= floor for at, floor in zip(names, least, strict=True))
    return found if enough else list(sizes)


def _line(columns: Sequence[Column], cells: Sequence[Cell], layout: _Layout) -> Text:
    from rich.cells import cell_len
    from rich.text import Text

    line = Text()
    for number, (column, cell, size) in enumerate(zip(columns, cells, layout.sizes, strict=True)):
        text = elided(_text(cell, layout.short), size)
        blank = " " * (size - cell_len(text))
        last = number == len(columns) - 1
        line.append(_GAP if number else "")
        line.append(blank if column.right else "")
        line.append(text, style=cell.style or None)
        line.append("" if column.right or last else blank)
    line.rstrip()
    return line


def _wrapped(cell: Cell, width: int, indent: int) -> list[Text]:
    """A sentence in lines below its row; none for an empty one."""
    from rich.text import Text

    from results.terminal import Terminal

    if not cell.text:
        return []
    room = max(width - indent, 2)
    found = Text(cell.text, style=cell.style).wrap(Terminal(width=room), room)
    for line in found:
        line.rstrip()
        line.pad_left(indent)
    return list(found)


def _paragraphs(table: Table, rows: Sequence[Sequence[Cell]], width: int) -> list[Text]:
    """Each row by itself, a column a line: nothing is left out."""
    found: list[Text] = []
    for row in rows:
        for number, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
            if cell.text:
                told = Cell(f"{column.name}: {cell.text}" if column.name else cell.text)
                found += _wrapped(Cell(told.text, style=cell.style), width, indent=2 * bool(number))
    return found
