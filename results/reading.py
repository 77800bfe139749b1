"""Columns of many Parquet files, as one Arrow table of distinct executions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results.record import FILE_SCHEMA
from results.schema import KEYS, SCHEMA_VERSION


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of one file; nothing else of it is decoded.

    Args:
        path: a Parquet file of the store.
        columns: names of `FILE_SCHEMA`, or `list.element.field` paths into its list columns. One
            that the file lacks is null.

    Raises:
        ValueError: not a whole Parquet file, not of this store, or of a newer schema.
        OSError: the file cannot be read.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        schema = file.schema_arrow
        if any(name not in schema.names for name in KEYS):
            raise ValueError(f"not a file of a results store (no {' and '.join(KEYS)})")
        version = int((schema.metadata or {}).get(b"schema_version", b"1"))
        if version > SCHEMA_VERSION:
            raise ValueError(
                f"written with schema {version}, newer than this code's {SCHEMA_VERSION}; "
                "update the checkout"
            )
        table = file.read(columns=list(columns), use_threads=False)
    return _as_now(table, columns)


def _as_now(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The table with null columns where the file has none, in the order asked for."""
    names = list(dict.fromkeys(column.partition(".")[0] for column in columns))
    if table.num_columns == len(names):
        return table
    for name in names:
        if name not in table.column_names:
            field = FILE_SCHEMA.field(name)
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(names)


def combined(tables: Sequence[pa.Table], columns: Sequence[str], latest: bool) -> pa.Table:
    """The tables one after another, each execution once, oldest first.

    Args:
        tables: with the columns execution_id, run_id and started_at among others.
        columns: what was asked of `read_columns`, for the case of no tables.
        latest: only the latest execution of each run_id.
    """
    if not tables:
        names = dict.fromkeys(column.partition(".")[0] for column in columns)
        return pa.schema([FILE_SCHEMA.field(name) for name in names]).empty_table()
    table = pa.concat_tables(tables)
    started = pc.fill_null(table["started_at"].cast(pa.int64()), 0).to_numpy()
    order = np.argsort(started, kind="stable")
    _, first = np.unique(_codes(table["execution_id"])[order], return_index=True)
    order = order[np.sort(first)]
    if latest:
        newest_first = _codes(table["run_id"])[order][::-1]
        _, last = np.unique(newest_first, return_index=True)
        order = order[np.sort(len(order) - 1 - last)]
    if len(order) == table.num_rows and (np.diff(order) == 1).all():
        return table
    return table.take(order)


def _codes(strings: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    return pc.dictionary_encode(strings.combine_chunks()).indices.to_numpy(zero_copy_only=False)
