"""Values that a stored row may have: what anything else is said to be, no statistic can be of."""

from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from results.door.documents import check_json
from results.door.refusal import FileError
from results.parquet.record import EPOCHS, PREDICTIONS
from results.schema import EPOCH_COLUMNS, PREDICTION_COLUMNS, REQUIRED, RUN_COLUMNS, Column
from results.words import count

_ROWS = {EPOCHS: ("epochs", EPOCH_COLUMNS), PREDICTIONS: ("predictions", PREDICTION_COLUMNS)}
_MOST = 1e24  # seconds, bytes, operations
_CLASSES = 10**6
_UNITS = ("_seconds", "_bytes", "_joules", "_per_image", "_per_second")


def check(table: pa.Table, path: Path) -> None:
    """Raise FileError where a column of a store's file has a value that none can have: null where
    one is needed, text that is no JSON, a number out of range. The message names the column."""
    for column in RUN_COLUMNS:
        if column.name not in table.column_names:
            continue
        values = table[column.name]
        where = f"{path}: column '{column.name}'"
        _check(values, column, "runs", where)
        if column.json:
            for text in pc.unique(values).drop_null().to_pylist():
                check_json(text, where)
    for name, (kind, columns) in _ROWS.items():
        if name not in table.column_names:
            continue
        rows = pa.chunked_array([pc.list_flatten(chunk) for chunk in table[name].chunks])
        known = {field.name for field in rows.type}
        for column in columns:
            if column.name in known:
                where = f"{path}: column '{name}': field '{column.name}'"
                _check(pc.struct_field(rows, column.name), column, kind, where)


def _check(values: pa.ChunkedArray, column: Column, table: str, where: str) -> None:
    if values.null_count and column.name in REQUIRED[table]:
        raise FileError(f"{where} is null in {count(values.null_count, 'row')}")
    if (possible := limits(column)) is None:
        return
    found = pc.min_max(pc.list_flatten(values) if column.type.startswith("list") else values)
    least, most = found["min"].as_py(), found["max"].as_py()
    if least is not None and (least < possible[0] or most > possible[1]):
        beyond = least if least < possible[0] else most
        raise FileError(
            f"{where} holds {beyond:g}; from {possible[0]:g} to {possible[1]:g} is possible"
        )


@cache
def limits(column: Column) -> tuple[float, float] | None:
    """The least and the most that a column may hold; None where that is any number of its type."""
    name = column.name
    if name in ("label", "predicted"):
        return -1, _CLASSES
    if "int64" in column.type:
        return 0, 2**63 - 1 if name in ("seed", "index") else 2**53
    if column.type != "double":
        return None
    if "accuracy" in name or name.endswith(("auc", "share")) or name in ("fraction", "scale"):
        return 0, 1
    return (0, _MOST) if name.endswith(_UNITS) else None
