"""CSV as people have it: any delimiter, a byte-order mark, quotes; every value as text."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

from results.door.apart import alive
from results.door.refusal import FileError, reading
from results.words import count as counted

MOST = 1 << 30  # bytes of a table that is held whole
_DELIMITERS = (",", ";", "\t", "|")
_OF_EXCEL = re.compile(r"\Asep=[,;\t|]\r?\n")  # a line of its own ahead of the names
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Delimited:
    """A table of text.

    columns: the values, n of each, by name. words: what was found out, as "with semicolons".
    """

    columns: dict[str, list[str]]
    words: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))


def delimited(found: bytes, path: object) -> Delimited:
    """The table that bytes hold; its first line names the columns.

    Args:
        path: what messages call it.

    Raises:
        FileError: no text, no table, or lines of another number of fields; the message has the
            line.
    """
    with reading(str(path), "a CSV table", "save it as CSV in UTF-8"):
        if found.startswith((b"\xff\xfe", b"\xfe\xff")):
            text, mark = found.decode("utf-16"), ", UTF-16"
        else:
            marked = found.startswith(b"\xef\xbb\xbf")
            text, mark = found.decode("utf-8-sig"), ", a byte-order mark" * marked
        if "\0" in text:
            raise ValueError("it is no text")
    text = _OF_EXCEL.sub("", text, count=1)
    first = text.partition("\n")[0].rstrip("\r")
    if not first.strip():
        raise FileError(f"{path}: its first line is empty; it names the columns")
    counts = Counter({one: len(next(csv.reader([first], delimiter=one))) for one in _DELIMITERS})
    delimiter, fields = max(counts.items(), key=lambda item: item[1])
    if fields == 1:
        raise FileError(
            f"{path}: its first line is one name, '{first[:60]}'; separate columns by "
            f"{', '.join(list(_NAMES.values())[:-1])} or {_NAMES['|']}"
        )
    with reading(str(path), "a CSV table", "save it as CSV again"):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = [name.strip() for name in next(reader)]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"two columns are named '{twice[0]}'")
        rows = []
        for row in reader:
            alive()
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(names):
                raise ValueError(
                    f"line {reader.line_num} has {counted(len(row), 'field')}, and the "
                    f"first {len(names)}"
                )
            rows.append(row)
    told = f"with {_NAMES[delimiter]}{mark}"
    columns = {name: [row[place].strip() for row in rows] for place, name in enumerate(names)}
    return Delimited(columns, told)


def numbers(column: list[str]) -> list[float]:
    """Values as floats, NaN for what is none; a decimal comma is read as a point."""
    return [_number(value) for value in column]


_DECIMAL = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?")


def _number(value: str) -> float:
    return float(value.replace(",", ".")) if _DECIMAL.fullmatch(value) else float("nan")
