"""Packing many one-run files into few large ones."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results.door.refusal import FileError
from results.parquet.files import whole_file
from results.parquet.reading import read_columns
from results.parquet.record import FILE_SCHEMA

PACK_BYTES = 256 * 2**20
ROW_GROUP_BYTES = 32 * 2**20
ROW_GROUP_ROWS = 20_000


def pack(store: Path, paths: list[Path], pack_bytes: int = PACK_BYTES) -> int:
    """Pack these files of the store, in order, each execution once; returns how many were packed.

    A file that cannot be read is left as it is. Each packed file is on disk before those that it
    replaces are removed.

    Raises:
        StoreError: the store cannot be written; what was not packed stays as it is.
    """
    taken: list[Path] = []
    packed = 0
    groups = _row_groups(paths, taken)
    for group in groups:
        path = store / f"packed-{uuid.uuid4().hex}.parquet"
        options = {"compression": "zstd", "write_page_checksum": True}
        with (
            whole_file(path, store) as target,
            pq.ParquetWriter(target, FILE_SCHEMA, **options) as writer,
        ):
            writer.write_table(group)
            while target.tell() < pack_bytes and (more := next(groups, None)) is not None:
                writer.write_table(more)
        for path in taken:  # the packed file and its name are on the disk by now
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        packed += len(taken)
        taken.clear()
    return packed


def _row_groups(paths: list[Path], taken: list[Path]) -> Iterator[pa.Table]:
    """Tables of a row group's size; `taken` grows by the files that they came from."""
    tables: list[pa.Table] = []
    rows = size = 0
    seen: set[str] = set()
    for path in paths:
        try:
            table = read_columns(path, FILE_SCHEMA.names)
        except FileError:
            continue  # damaged, or packed by someone else meanwhile
        executions = table["execution_id"].to_pylist()
        if seen.intersection(executions):
            table = table.filter(pc.invert(pc.is_in(table["execution_id"], pa.array(seen))))
        seen.update(executions)
        taken.append(path)
        tables.append(table)
        rows += table.num_rows
        size += table.nbytes
        if rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield pa.concat_tables(tables)
            tables, rows, size = [], 0, 0
    if tables:
        yield pa.concat_tables(tables)
