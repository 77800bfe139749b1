"""Arrow tables of stored runs, turned into tidy pandas frames."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from results.reading import LATEST_BY
from results.record import EPOCHS, PREDICTIONS, arrow_type
from results.schema import (
    DERIVED_COLUMNS,
    EPOCH_COLUMNS,
    KEYS,
    PREDICTION_COLUMNS,
    RUN_COLUMNS,
    Column,
)

# What each frame needs from the files; the rest of a file is not decoded.
EPOCH_SECONDS = f"{EPOCHS}.list.element.epoch_seconds"
ORDER = ("execution_id", *LATEST_BY)


def runs_frame(table: pa.Table, columns: Iterable[str] | None) -> pd.DataFrame:
    """A row per execution; the derived columns are computed from the raw epoch times.

    Integers and flags are pandas' nullable types, so that a missing value does not turn a count
    into a float; `class_names` and `class_counts` are tuples.
    """
    wanted = run_columns(columns)
    data: dict[str, object] = {}
    if EPOCHS in table.column_names:
        median = _epoch_seconds_median(table[EPOCHS])
        data["epoch_seconds_median"] = median
        if "train_images" in table.column_names:
            images = table["train_images"].cast(pa.float64(), safe=False).to_numpy()
            data["images_per_second"] = images / median
            if "flops_per_image" in table.column_names:
                flops = table["flops_per_image"].to_numpy()
                data["achieved_flops"] = images / median * flops
    for column in RUN_COLUMNS:
        if column.name in wanted:
            data[column.name] = _series(table[column.name], column)
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
    names = dict.fromkeys(name for name in wanted if name not in derived)
    if derived.intersection(wanted):
        names.update(dict.fromkeys((EPOCH_SECONDS, "train_images", "flops_per_image")))
    return list(names)


def epochs_frame(table: pa.Table) -> pd.DataFrame:
    """A row per execution, epoch and split."""
    return _exploded(table, EPOCHS, EPOCH_COLUMNS)


def prediction_parts(probabilities: bool) -> list[str]:
    """The file columns that `predictions_frame` needs."""
    if probabilities:
        return [PREDICTIONS]
    fields = [column.name for column in PREDICTION_COLUMNS if column.name != "probabilities"]
    return [f"{PREDICTIONS}.list.element.{name}" for name in fields]


def predictions_frame(table: pa.Table, probabilities: bool) -> pd.DataFrame:
    """A row per execution and test image; `probabilities` is a float32 array by class."""
    columns = [c for c in PREDICTION_COLUMNS if probabilities or c.name != "probabilities"]
    return _exploded(table, PREDICTIONS, columns)


def _exploded(table: pa.Table, name: str, columns: Iterable[Column]) -> pd.DataFrame:
    """A row per item of the lists; their integers are never null, so plain int64."""
    lists = table[name].combine_chunks()
    if isinstance(lists, pa.ChunkedArray):  # no rows at all
        lists = pa.array([], type=table.schema.field(name).type)
    parent = pc.list_parent_indices(lists)
    rows = pc.list_flatten(lists)
    data: dict[str, object] = {
        key: table[key].take(parent).to_pandas().astype("str") for key in KEYS
    }
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


def _epoch_seconds_median(lists: pa.ChunkedArray) -> np.ndarray:
    """Median per list, (n,) float64, NaN where a run has no timed epoch; one sort for all runs."""
    array = lists.combine_chunks()
    medians = np.full(len(lists), np.nan)
    if len(lists) == 0:
        return medians
    parent = pc.list_parent_indices(array).to_numpy()
    rows = pc.list_flatten(array)
    seconds = pc.struct_field(rows, "epoch_seconds").to_numpy(zero_copy_only=False)
    timed = ~np.isnan(seconds)
    parent, seconds = parent[timed], seconds[timed]
    order = np.lexsort((seconds, parent))
    parent, seconds = parent[order], seconds[order]
    which, first, count = np.unique(parent, return_index=True, return_counts=True)
    lower, upper = first + (count - 1) // 2, first + count // 2
    medians[which] = (seconds[lower] + seconds[upper]) / 2
    return medians
