"""What the fidelity ladder found, kept beside the runs: one Parquet file per climb."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from results.files import whole_file

_FOLDER = "fidelity"
SCHEMA_VERSION = 1
COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "climb_id": (pa.string(), "one call of the ladder"),
    "started_at": (pa.timestamp("us", tz="UTC"), "when it began"),
    "rung": (pa.string(), "R0 to R5b"),
    "case": (pa.string(), "network, optimizer, classes and precision"),
    "architecture": (pa.string(), "the network"),
    "framework": (pa.string(), "what was measured"),
    "against": (pa.string(), "another framework, or numpy: the float64 reference"),
    "precision": (pa.string(), "of the framework; the reference is always float64"),
    "metric": (pa.string(), "what is compared, and in which norm"),
    "value": (pa.float64(), "the largest error; a share, without unit"),
    "bound": (pa.float64(), "set beforehand"),
    "status": (pa.string(), "passed, failed or not run"),
    "where": (pa.string(), "first place beyond the bound, or of the largest error"),
    "cause": (pa.string(), "the likely cause of a failure, or why it was not run"),
    "flips": (pa.int64(), "ReLUs and max-pools that changed side"),
    "machine": (pa.string(), "JSON fingerprint"),
    "versions": (pa.string(), "JSON of installed distributions"),
    "command": (pa.string(), "that was given"),
    "schema_version": (pa.int64(), "of this table"),
}
_SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])


def append(
    store: str | os.PathLike[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    started_at: datetime,
    **shared: str,
) -> Path:
    """Keep the findings of one climb, whole or not at all.

    Args:
        rows: dictionaries with the columns above that differ between findings.
        shared: `machine`, `versions` and `command`, the same for all.

    Raises:
        StoreError: the store cannot be written.
    """
    climb = uuid.uuid4().hex
    common = {
        "climb_id": climb,
        "started_at": started_at,
        "schema_version": SCHEMA_VERSION,
        **shared,
    }
    table = pa.Table.from_pylist([{**row, **common} for row in rows], schema=_SCHEMA)
    path = Path(store) / _FOLDER / f"{started_at:%Y%m%dT%H%M%S}-{climb[:8]}.parquet"
    with whole_file(path, Path(store)) as file:
        pq.write_table(table, file)
    return path


def read(store: str | os.PathLike[str]) -> pd.DataFrame:
    """All findings of a store, oldest climb first; empty, with the columns, when there are none."""
    paths = sorted((Path(store) / _FOLDER).glob("*.parquet"))
    tables = [pq.read_table(path, schema=_SCHEMA) for path in paths]
    return pa.concat_tables(tables or [_SCHEMA.empty_table()]).to_pandas()
