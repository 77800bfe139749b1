"""One execution, checked and built into a one-row Arrow table."""

import datetime
import json
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from results.schema import (
    EPOCH_COLUMNS,
    KEYS,
    PREDICTION_COLUMNS,
    REQUIRED,
    RUN_COLUMNS,
    SCHEMA_VERSION,
    STATUSES,
    Column,
)
from results.vocabulary import near_miss

_SCALARS: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "float": pa.float32(),
    "bool": pa.bool_(),
    "timestamp[us, UTC]": pa.timestamp("us", tz="UTC"),
}
# The two list columns; not "epochs", which is the run's column of how many were asked for.
EPOCHS, PREDICTIONS = "epoch_rows", "prediction_rows"


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a schema type's name, as in "int64" or "list<string>"."""
    if name.startswith("list<"):
        return _list(_SCALARS[name[5:-1]])
    return _SCALARS[name]


def _list(item: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", item))  # Parquet's name, so that files read back equal


def _struct(columns: Sequence[Column]) -> pa.DataType:
    return pa.struct([(column.name, arrow_type(column.type)) for column in columns])


FILE_SCHEMA = pa.schema(
    [(column.name, arrow_type(column.type)) for column in RUN_COLUMNS]
    + [(EPOCHS, _list(_struct(EPOCH_COLUMNS)))]
    + [(PREDICTIONS, _list(_struct(PREDICTION_COLUMNS)))],
    metadata={"schema_version": str(SCHEMA_VERSION)},
)


def record(
    run: Mapping[str, Any],
    epochs: Iterable[Mapping[str, Any]],
    predictions: Iterable[Mapping[str, Any]],
) -> pa.Table:
    """One row of `FILE_SCHEMA` from a run, its epochs and its predictions.

    Raises:
        ValueError: an unknown or missing column, or a value of the wrong type; the message names
            the table, the row and the column.
    """
    checked = checked_row(run, RUN_COLUMNS, "runs")
    _complete(checked, "runs", "runs")
    if checked["status"] not in STATUSES:
        raise ValueError(
            f"runs: status is {checked['status']!r}, expected one of {', '.join(STATUSES)}"
        )
    if checked["schema_version"] is None:
        checked["schema_version"] = SCHEMA_VERSION
    elif checked["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"runs: schema_version is {checked['schema_version']}, this code writes "
            f"{SCHEMA_VERSION}; leave the column out"
        )
    keys = {name: checked[name] for name in KEYS}
    row: dict[str, Any] = dict(checked)
    row[EPOCHS] = _rows(epochs, EPOCH_COLUMNS, "epochs", keys)
    row[PREDICTIONS] = _rows(predictions, PREDICTION_COLUMNS, "predictions", keys)
    arrays = [pa.array([row[field.name]], type=field.type) for field in FILE_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=FILE_SCHEMA)


def _rows(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[Column],
    table: str,
    keys: Mapping[str, Any],
) -> list[dict[str, Any]]:
    checked = []
    for number, row in enumerate(rows):
        where = f"{table} row {number}"
        for name, value in keys.items():
            if row.get(name, value) != value:
                raise ValueError(f"{where}: {name} is {row[name]!r}, its run's is {value!r}")
        own = {name: value for name, value in row.items() if name not in keys}
        checked.append(checked_row(own, columns, where))
        _complete(checked[-1], table, where)
    return checked


def _complete(row: Mapping[str, Any], table: str, where: str) -> None:
    for name in REQUIRED[table]:
        if row[name] in (None, ""):
            raise ValueError(f"{where}: column {name!r} is missing; it may not be null")


def checked_row(values: Mapping[str, Any], columns: Sequence[Column], where: str) -> dict[str, Any]:
    """The values of all columns, null where there is none; raises ValueError as `record` does."""
    known = {column.name for column in columns}
    for name in values:
        if name not in known:
            hint = near_miss(str(name), known)
            raise ValueError(f"{where}: unknown column '{name}'{hint}; see results/schema.py")
    return {
        column.name: _value(values.get(column.name), column, f"{where}: column {column.name!r}")
        for column in columns
    }


def _value(value: Any, column: Column, where: str) -> Any:
    if value is None:
        return None
    if column.json:
        return _json(value, where)
    if column.type.startswith("list<"):
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise ValueError(f"{where}: expected {column.type}, got {value!r}")
        return [_scalar(item, column.type[5:-1], where) for item in value]
    return _scalar(value, column.type, where)


def _scalar(value: Any, kind: str, where: str) -> Any:
    """The value as plain Python; Arrow's own conversion would cut 1.5 to 1 without a word."""
    is_flag = isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")
    match kind:
        case "string" if isinstance(value, str):
            return value.encode("utf-8", "replace").decode("utf-8")  # lone surrogates from logs
        case "bool" if is_flag:
            return bool(value)
        case "int64" if isinstance(value, numbers.Integral) and not is_flag:
            if -(2**63) <= int(value) < 2**63:
                return int(value)
        case "double" | "float" if isinstance(value, numbers.Real) and not is_flag:
            return float(value)
        case "timestamp[us, UTC]" if isinstance(value, datetime.datetime):
            if value.tzinfo is None:
                raise ValueError(f"{where}: {value!r} has no time zone; give it in UTC")
            return value.astimezone(datetime.UTC)
    raise ValueError(f"{where}: expected {kind}, got {value!r} ({type(value).__name__})")


def _json(value: Any, where: str) -> str:
    try:
        if isinstance(value, str):
            json.loads(value)
            return value
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: not JSON: {error}") from error
