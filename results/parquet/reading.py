"""Columns of many Parquet files, as one Arrow table of distinct executions."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from results.door import tables as parquet
from results.door.refusal import FileError
from results.parquet.arrow import codes, indices, integers
from results.parquet.record import FILE_SCHEMA
from results.parquet.values import check
from results.schema import KEYS, REQUIRED, SCHEMA_VERSION
from results.version import check_format
from results.words import count

# What `latest_rows` decides by.
LATEST_BY = ["run_id", "machine_id", "status", "started_at", "experiment"]


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of one file, of the types of `FILE_SCHEMA`; nothing else of it is decoded.

    Args:
        path: a Parquet file of the store.
        columns: names of `FILE_SCHEMA`, or `list.element.field` paths into its list columns. One
            that the file lacks is null.

    Raises:
        FileError: not a whole Parquet file, not of this store, or with columns of types that
            cannot be taken for ours; the message names the file and the column.
        NewerVersionError: of a newer schema.
    """
    with parquet.opened(path, "a file of a results store") as file:
        schema = file.schema_arrow
        if any(name not in schema.names for name in KEYS):
            raise FileError(f"{path}: not a file of a results store (no {' and '.join(KEYS)})")
        version = int((schema.metadata or {}).get(b"schema_version", b"1"))
        check_format(version, SCHEMA_VERSION, path)
        wanted = list(dict.fromkeys([*columns, *REQUIRED["runs"]]))
        table = parquet.columns(file, _wanted(tuple(wanted)), path)
    for name in REQUIRED["runs"]:
        if table[name].null_count:
            raise FileError(
                f"{path}: column '{name}' is null in {count(table[name].null_count, 'row')}"
            )
    return table.select(_names(columns))


def sound(
    tables: list[tuple[Path, pa.Table]],
) -> tuple[list[tuple[Path, pa.Table]], list[FileError]]:
    """The tables of files without those that have a value which none can have, and why not."""
    if not tables:
        return [], []
    try:
        check(pa.concat_tables([table for _, table in tables]), Path())  # much quicker than each
        return tables, []
    except FileError:
        found: list[tuple[Path, pa.Table]] = []
        refused = []
        for path, table in tables:
            try:
                check(table, path)
                found.append((path, table))
            except FileError as error:
                refused.append(error)
        return found, refused


def _names(columns: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(column.partition(".")[0] for column in columns))


@lru_cache(maxsize=64)  # a store has many files, and all are asked for the same
def _wanted(columns: tuple[str, ...]) -> list[tuple[str, pa.Field]]:
    """Each column with the type it is to have: of a list of rows, with the fields asked for."""
    parts: dict[str, list[str]] = {}
    for column in columns:
        name, _, inside = column.partition(".")
        parts.setdefault(name, []).append(inside.removeprefix("list.element."))
    found = []
    for column in columns:
        name = column.partition(".")[0]
        field = FILE_SCHEMA.field(name)
        if "" not in parts[name]:
            item = field.type.value_field
            rows = pa.struct([one for one in item.type if one.name in parts[name]])
            field = field.with_type(pa.list_(item.with_type(rows)))
        found.append((column, field))
    return found


def combined(tables: Sequence[pa.Table], columns: Sequence[str], latest: bool) -> pa.Table:
    """The tables one after another, each execution once, oldest first.

    Args:
        tables: with the columns execution_id and `LATEST_BY` among others.
        columns: what was asked of `read_columns`, for the case of no tables.
        latest: only the execution that counts of each run and machine, see `latest_rows`.
    """
    if not tables:
        names = dict.fromkeys(column.partition(".")[0] for column in columns)
        return pa.schema([FILE_SCHEMA.field(name) for name in names]).empty_table()
    table = pa.concat_tables(tables)
    order = np.argsort(_started(table), kind="stable")
    _, first = np.unique(codes(table["execution_id"])[0][order], return_index=True)
    order = order[np.sort(first)]
    if latest:
        order = order[latest_rows(table.select(LATEST_BY).take(indices(order)))]
    if len(order) == table.num_rows and (np.diff(order) == 1).all():
        return table
    return table.take(indices(order))


def latest_part(table: pa.Table) -> pa.Table:
    """The rows of the table that count, see `latest_rows`."""
    rows = latest_rows(table.select(LATEST_BY))
    return table if len(rows) == table.num_rows else table.take(indices(rows))


def latest_rows(table: pa.Table) -> npt.NDArray[np.int64]:
    """The rows that count: one for each run_id, machine_id and experiment, in the table's order.

    That is the latest that ended ok, and where none did, the latest: a rerun that fails does not
    hide what was measured before it, nor one machine's run another's. One that was lost has no
    machine: it counts only where the run was never made.

    Args:
        table: with the columns `LATEST_BY`.
    """
    statuses, names = codes(table["status"])
    ok = statuses == (names.index("ok") if "ok" in names else -1)
    ascending = np.lexsort((_started(table), ok))  # stable: of equals the last of the table counts
    runs, _ = codes(table["run_id"])
    machines, _ = codes(table["machine_id"])
    experiments, _ = codes(table["experiment"])
    keys = runs * (machines.max(initial=0) + 1) + machines
    keys = keys * (experiments.max(initial=0) + 1) + experiments
    lost = statuses == (names.index("lost") if "lost" in names else -1)
    if lost.any():
        anywhere = runs * (experiments.max(initial=0) + 1) + experiments
        made = np.isin(anywhere, anywhere[~lost])
        ascending = ascending[~(lost & made)[ascending]]
    _, best = np.unique(keys[ascending][::-1], return_index=True)
    return np.sort(ascending[::-1][best])


def _started(table: pa.Table) -> npt.NDArray[np.int64]:
    return integers(table["started_at"])
