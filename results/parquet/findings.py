"""Results of the fidelity ladder, beside the runs: a Parquet file for each part of a climb."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results.door import tables as parquet
from results.door.documents import check_json
from results.door.refusal import FileError
from results.parquet.files import DamagedFileWarning, whole_file
from results.version import check_format

_FOLDER = "fidelity"
SCHEMA_VERSION = 1
COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "climb_id": (pa.string(), "one call of the ladder"),
    "started_at": (pa.timestamp("us", tz="UTC"), "when it began"),
    "rung": (pa.string(), "R0 to R5e"),
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

_CURVES = "fidelity-curves"
CURVE_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "climb_id": (pa.string(), "as in the findings"),
    "case": (pa.string(), "network, optimizer, classes and precision"),
    "architecture": (pa.string(), "the network"),
    "kind": (pa.string(), "cross: between two frameworks; control: within one"),
    "framework": (pa.string(), "whose training it is"),
    "label": (pa.string(), "the other framework, or what was changed"),
    "difference": (pa.list_(pa.float64()), "of the training loss at each step, as a share of it"),
}
_CURVE_SCHEMA = pa.schema([(name, kind) for name, (kind, _) in CURVE_COLUMNS.items()])

_TRAININGS = "fidelity-attribution"
TRAINING_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "climb_id": (pa.string(), "one call of the command"),
    "started_at": (pa.timestamp("us", tz="UTC"), "when it began"),
    "architecture": (pa.string(), "the network"),
    "optimizer": (pa.string(), "of the recipe"),
    "epochs": (pa.int64(), "trained"),
    "batch_size": (pa.int64(), "images in a step"),
    "dataset": (pa.string(), "the galaxies"),
    "image_height": (pa.int64(), "pixels"),
    "train_images": (pa.int64(), "trained on"),
    "test_images": (pa.int64(), "tested on"),
    "origin": (pa.string(), "whose defaults come first"),
    "target": (pa.string(), "whose defaults come second"),
    "inside": (pa.string(), "the framework in which defaults were switched"),
    "factor": (pa.string(), "the default switched; empty: none"),
    "direction": (pa.string(), "origin, target, on, off, or own: a framework's native run"),
    "framework": (pa.string(), "that trained"),
    "seed": (pa.int64(), "of weights, order and masks"),
    "status": (pa.string(), "ok, diverged or not run"),
    "reason": (pa.string(), "why it is not ok"),
    "accuracy": (pa.float64(), "of the test set, 0 to 1"),
    "cross_entropy": (pa.float64(), "of the test set, nats"),
    "early_difference": (pa.float64(), "mean relative change of the loss on the first steps"),
    "machine": (pa.string(), "JSON fingerprint"),
    "versions": (pa.string(), "JSON of installed distributions"),
    "command": (pa.string(), "that was given"),
}
_TRAINING_SCHEMA = pa.schema([(name, kind) for name, (kind, _) in TRAINING_COLUMNS.items()])


def append(
    store: str | os.PathLike[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    climb_id: str,
    started_at: datetime,
    curves: Sequence[Mapping[str, Any]] = (),
    **shared: str,
) -> Path:
    """Keep findings of one climb, all of it or a part, whole or not at all.

    Args:
        rows: dictionaries with the columns above that differ between findings.
        curves: dictionaries with the columns of the curves, without `climb_id`.
        climb_id, started_at: the same for all parts of a climb.
        shared: `machine`, `versions` and `command`, the same for all.

    Raises:
        StoreError: the store cannot be written.
    """
    common = {
        "climb_id": climb_id,
        "started_at": started_at,
        "schema_version": SCHEMA_VERSION,
        **shared,
    }
    table = pa.Table.from_pylist([{**row, **common} for row in rows], schema=_SCHEMA)
    name = f"{started_at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}.parquet"
    if curves:
        drawn = [{**curve, "climb_id": climb_id} for curve in curves]
        with whole_file(Path(store) / _CURVES / name, Path(store)) as file:
            pq.write_table(pa.Table.from_pylist(drawn, schema=_CURVE_SCHEMA), file)
    path = Path(store) / _FOLDER / name
    with whole_file(path, Path(store)) as file:
        pq.write_table(table, file)
    return path


def append_trainings(
    store: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]], *, started_at: datetime
) -> Path:
    """Keep the trainings of an attribution (columns of `TRAINING_COLUMNS`), whole or not at all.

    Raises:
        StoreError: the store cannot be written.
    """
    climb = uuid.uuid4().hex
    common = {"climb_id": climb, "started_at": started_at}
    path = Path(store) / _TRAININGS / f"{started_at:%Y%m%dT%H%M%S}-{climb[:8]}.parquet"
    with whole_file(path, Path(store)) as file:
        table = pa.Table.from_pylist([{**row, **common} for row in rows], schema=_TRAINING_SCHEMA)
        pq.write_table(table, file)
    return path


def read(store: str | os.PathLike[str]) -> pd.DataFrame:
    """All findings of a store, oldest climb first; empty, with the columns, when there are none."""
    return _read(Path(store) / _FOLDER, _SCHEMA)


def read_curves(store: str | os.PathLike[str]) -> pd.DataFrame:
    """The divergence curves of a store; empty, with the columns, when there are none."""
    return _read(Path(store) / _CURVES, _CURVE_SCHEMA)


def read_trainings(store: str | os.PathLike[str]) -> pd.DataFrame:
    """The attributions' trainings of a store; empty, with the columns, when there are none."""
    return _read(Path(store) / _TRAININGS, _TRAINING_SCHEMA)


def files(store: Path) -> list[Path]:
    """Every file of what the ladder found in a store."""
    folders = (store / folder for folder in (_FOLDER, _CURVES, _TRAININGS))
    return [path for folder in folders for path in sorted(folder.glob("*.parquet"))]


def merge(source: Path, store: Path) -> None:
    """Take over what the ladder found in another store; names tell the climbs apart.

    Raises:
        StoreError: the store cannot be written.
    """
    for path in files(source):
        target = store / path.relative_to(source)
        if not target.exists():
            with whole_file(target, store) as file:
                file.write(path.read_bytes())


def _read(directory: Path, schema: pa.Schema) -> pd.DataFrame:
    """Every file that can be read; the others are warned of (DamagedFileWarning)."""
    tables = [schema.empty_table()]
    for path in sorted(directory.glob("*.parquet")):
        try:
            with parquet.opened(path, "what the ladder found") as file:
                table = parquet.columns(file, [(field.name, field) for field in schema], path)
            if "schema_version" in schema.names:
                versions = table["schema_version"].drop_null().to_pylist()
                check_format(max(versions, default=1), SCHEMA_VERSION, path)
            for name in {"machine", "versions"}.intersection(schema.names):
                for text in pc.unique(table[name]).drop_null().to_pylist():
                    check_json(text, f"{path}: column '{name}'")
            tables.append(table)
        except FileError as error:
            warnings.warn(f"skipped {error}", DamagedFileWarning, stacklevel=3)
    return pa.concat_tables(tables).to_pandas()
