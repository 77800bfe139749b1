"""Arrow tables of stored runs, turned into tidy pandas frames."""

from collections.abc import Iterable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from results import task
from results.parquet.derived import Derived, needs
from results.parquet.reading import LATEST_BY
from results.parquet.record import EPOCHS, PREDICTIONS, arrow_type
from results.schema import (
    DERIVED_COLUMNS,
    EPOCH_COLUMNS,
    KEYS,
    PREDICTION_COLUMNS,
    RUN_COLUMNS,
    Column,
)

# What every frame needs of the files besides its columns; the rest of a file is not decoded.
ORDER = ("execution_id", *LATEST_BY)


def runs_frame(table: pa.Table, columns: Iterable[str] | None) -> pd.DataFrame:
    """A row per execution; the derived columns are computed from the raw epoch times.

    Integers and flags are pandas' nullable types, so that a missing value does not turn a count
    into a float; `class_names` and `class_counts` are tuples, the names None where there are not as
    many as classes.
    """
    wanted = run_columns(columns)
    derived = Derived(table)
    data: dict[str, object] = {
        column.name: derived[column.name] for column in DERIVED_COLUMNS if column.name in wanted
    }
    for column in RUN_COLUMNS:
        if column.name in wanted:
            values = table[column.name]
            if column.name == "task_id":
                values = _tasks(table)
            elif column.name == "class_names":
                fits = pc.equal(pc.list_value_length(values), table["classes"])
                values = pc.if_else(pc.fill_null(fits, True), values, None)
            data[column.name] = _series(values, column)
    return pd.DataFrame({name: data[name] for name in wanted})


def run_columns(columns: Iterable[str] | None) -> list[str]:
    """The run columns asked for, in the order asked for; all of them by default."""
    known = [column.name for column in RUN_COLUMNS + DERIVED_COLUMNS]
    if columns is None:
        return known
    wanted = list(columns)
    for name in wanted:
        if name not in known:
            raise ValueError(f"runs has no column {name!r}; it has {', '.join(known)}")
    return wanted


def stored_columns(wanted: Iterable[str]) -> list[str]:
    """The file columns that these run columns are made from."""
    derived = {column.name for column in DERIVED_COLUMNS}
    wanted = list(wanted)
    names = dict.fromkeys(name for name in wanted if name not in derived)
    names |= dict.fromkeys(needs(name for name in wanted if name in derived))
    if "task_id" in names:
        names |= dict.fromkeys(task.OF_STORED)
    if "class_names" in names:
        names["classes"] = None
    return list(names)


def _tasks(table: pa.Table) -> pa.ChunkedArray:
    """The column `task_id`, computed where an older run has none."""
    found = table["task_id"]
    if not found.null_count:
        return found
    rows = zip(found, *(table[name] for name in task.OF_STORED), strict=True)
    filled = [
        task.task_id(task.stored(*(value.as_py() for value in of))) if known is None else known
        for known, *of in ((one.as_py(), *of) for one, *of in rows)
    ]
    return pa.chunked_array([pa.array(filled, type=found.type)])


def epochs_frame(table: pa.Table, coded: bool = False) -> pd.DataFrame:
    """A row per execution, epoch and split; `coded`: with categorical keys."""
    return _exploded(table, EPOCHS, EPOCH_COLUMNS, coded)


_LISTS = ("probabilities", "votes")  # of the predictions: most of their bytes


def prediction_parts(probabilities: bool) -> list[str]:
    """The file columns that `predictions_frame` needs."""
    if probabilities:
        return [PREDICTIONS]
    fields = [column.name for column in PREDICTION_COLUMNS if column.name not in _LISTS]
    return [f"{PREDICTIONS}.list.element.{name}" for name in fields]


def predictions_frame(table: pa.Table, probabilities: bool, coded: bool = False) -> pd.DataFrame:
    """A row per execution and test image; with `probabilities` these and the votes, float32
    arrays; `coded`: with categorical keys."""
    columns = [c for c in PREDICTION_COLUMNS if probabilities or c.name not in _LISTS]
    return _exploded(table, PREDICTIONS, columns, coded)


def _exploded(table: pa.Table, name: str, columns: Iterable[Column], coded: bool) -> pd.DataFrame:
    """A row per item of the lists; their integers are never null, so plain int64."""
    lists = table[name].combine_chunks()
    if isinstance(lists, pa.ChunkedArray):  # no rows at all
        lists = pa.array([], type=table.schema.field(name).type)
    parent = pc.list_parent_indices(lists)
    rows = pc.list_flatten(lists)
    data: dict[str, object] = {key: _repeated(table[key], parent, coded) for key in KEYS}
    for column in columns:
        field = rows.type.get_field_index(column.name)
        values = (
            pc.struct_field(rows, [field])
            if field >= 0
            else pa.nulls(len(rows), arrow_type(column.type))
        )
        series = _series(pa.chunked_array([values]), column)
        data[column.name] = series.astype("int64") if column.type == "int64" else series
    return pd.DataFrame(data)


def _repeated(values: pa.ChunkedArray, parent: pa.Array, coded: bool) -> pd.Series:
    """A key for each item of the lists."""
    if not coded:
        return values.take(parent).to_pandas().astype("str")
    found = values.to_pandas().astype("str").astype("category")
    return pd.Series(found.array.take(parent.to_numpy(zero_copy_only=False)))


def _series(values: pa.ChunkedArray, column: Column) -> pd.Series:
    match column.type:
        case "int64":
            return values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        case "bool":
            return values.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
        case "double":
            return values.to_pandas().astype("float64")
        case "list<string>" | "list<int64>":
            items = [None if row is None else tuple(row) for row in values.to_pylist()]
            return pd.Series(items, dtype=object)
        case "string":
            return values.to_pandas().astype("str")
    return values.to_pandas()
