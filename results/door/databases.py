"""The one table of an SQLite file; every value as text, as of a CSV table."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from results.door.delimited import Delimited
from results.door.refusal import reading
from results.words import count

ENDINGS = (".sqlite", ".sqlite3")
_SHORTEST = 1 << 20  # bytes; a table may say how its values are made, and so of any length
_REMEDY = "save the table that is meant as CSV"


def database(found: bytes, path: object) -> Delimited:
    """The table that an SQLite file holds; null is "".

    Args:
        found: all its bytes. path: what messages call it.

    Raises:
        FileError: no SQLite file, or one of several tables.
    """
    with (
        reading(str(path), "an SQLite file", _REMEDY),
        closing(sqlite3.connect(":memory:")) as base,
    ):
        if not found.startswith(b"SQLite format 3\0"):
            raise ValueError("it does not begin as one")
        base.deserialize(found)
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(_SHORTEST, len(found)))  # of a value
        asked = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
        tables = [name for (name,) in base.execute(asked)]
        if len(tables) != 1:
            raise ValueError(
                f"it has {count(len(tables), 'table')} ({', '.join(tables[:5])}), not one"
            )
        rows = base.execute('select * from "{}"'.format(tables[0].replace('"', '""')))
        names = [str(column[0]) for column in rows.description]
        lines = [["" if value is None else str(value).strip() for value in row] for row in rows]
    columns = {name: [line[place] for line in lines] for place, name in enumerate(names)}
    return Delimited(columns, f"in its table '{tables[0]}'")
