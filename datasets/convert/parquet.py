"""Parquet with encoded pictures, as hubs of data sets have them: a file, or a folder of shards."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.convert.bad import Bad
from datasets.convert.classes import natural
from datasets.convert.encoded import EncodedPictures
from datasets.convert.fitting import Fit
from datasets.convert.form import Asked, Form, Rows, keep_parts_of_shards, parts_of
from results.door import tables
from results.door.apart import alive
from results.door.refusal import reading
from results.vocabulary import near_miss

ENDING = ".parquet"
_WHAT = "a Parquet file of pictures"
_BUFFER = 1 << 20  # bytes of a column that are read at once
_BATCH = 64  # pictures whose bytes are in memory at once
_PICTURES = ("image", "images", "img", "picture", "image_crop", "bytes")
_LABELS = ("label", "labels", "ans", "class", "target", "category", "type")


def open_parquet(path: Path, asked: Asked) -> Form:
    """The form of a Parquet file, or of all those in a folder, in the order of their names.

    Raises:
        ValueError, OSError: a file that is damaged, or columns that cannot be told apart.
    """
    files = sorted(path.rglob(f"*{ENDING}"), key=lambda file: natural(str(file)))
    files = files if path.is_dir() else [path]
    where = str(path)
    with tables.opened(files[0], _WHAT) as first:
        schema = first.schema_arrow
    picture, label = _columns(schema, asked, where)
    names = _class_names(schema, label)
    wanted = [name for name in (label, asked.group_key, asked.split_from) if name]
    bad = Bad()
    table, counts = _read(files, wanted, where)
    told = [f"row {row}" for row in range(sum(counts))]
    if len(files) > 1:
        told = [
            f"{file.name} row {row}"
            for file, count in zip(files, counts, strict=True)
            for row in range(count)
        ]
    rows = Rows(told, _labels(table[label]), names)
    rows.done.append(f"pictures in column '{picture}', labels in '{label}'")
    if asked.group_key:
        texts = ["" if one is None else str(one) for one in table[asked.group_key].to_pylist()]
        rows.columns["groups"] = np.array([text.encode() for text in texts])
    if asked.split_from:
        words: Sequence[Any] = table[asked.split_from].to_pylist()
        rows.parts = parts_of([str(word) for word in words], told, bad)
        rows.done.append(f"the published split of '{asked.split_from}' kept as 'split'")
    else:
        keep_parts_of_shards(rows, files, path, counts, bad)
    fit = Fit(asked.crop, asked.size)
    return Form(where, rows, EncodedPictures(_contents(files, picture, told), fit), bad)


def _read(files: Sequence[Path], wanted: Sequence[str], where: str) -> tuple[pa.Table, list[int]]:
    """Columns of all files, one after the other, and the rows of each."""
    found, counts = [], []
    for file in files:
        alive()
        with tables.opened(file, _WHAT) as opened:
            known = opened.schema_arrow.names
        for name in wanted:
            _check_there(name, known, "label-key", str(file))
        with tables.opened(file, _WHAT) as opened:
            tables.check_columns(opened, wanted, file)
            found.append(opened.read(columns=list(wanted), use_threads=False))
            counts.append(opened.metadata.num_rows)
    with reading(where, _WHAT, "its files must have columns of one type"):
        return pa.concat_tables(found, promote_options="permissive"), counts


def _contents(
    files: Sequence[Path], column: str, told: Sequence[str]
) -> Callable[[], Iterator[tuple[int, str, Callable[[], IO[bytes]] | None]]]:
    def contents() -> Iterator[tuple[int, str, Callable[[], IO[bytes]] | None]]:
        row = 0
        for file in files:
            with tables.opened(file, _WHAT, buffer=_BUFFER) as opened:
                for batch in _batches(opened, column, file):
                    for found in _bytes(batch):
                        yield row, told[row], _opener(found)
                        row += 1

    return contents


def _batches(opened: pq.ParquetFile, column: str, file: Path) -> Iterator[pa.Array]:
    tables.check_columns(opened, [column], file)
    batches = opened.iter_batches(_BATCH, columns=[column], use_threads=False)
    while True:
        with reading(file, _WHAT, "get it again"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch.column(0)


def _bytes(column: pa.Array) -> Iterator[bytes | None]:
    if pa.types.is_struct(column.type):
        flat = column.field("bytes")
        known = column.is_valid().to_pylist()
        yield from (
            one if there else None for one, there in zip(flat.to_pylist(), known, strict=True)
        )
        return
    yield from column.to_pylist()


def _opener(found: bytes | None) -> Callable[[], IO[bytes]] | None:
    return partial(io.BytesIO, found) if found else None


def _columns(schema: pa.Schema, asked: Asked, where: str) -> tuple[str, str]:
    """The columns of pictures and of labels."""
    pictures = [field.name for field in schema if _may_be_pictures(field.type)]
    usual = [name for name in pictures if name.lower() in _PICTURES]
    if asked.image_key:
        _check_there(asked.image_key, schema.names, "image-key", where)
        if asked.image_key not in pictures:
            kind = schema.field(asked.image_key).type
            raise ValueError(f"{where}: column '{asked.image_key}' is {kind}; {_FORM}")
        usual = [asked.image_key]
    picture = _one(usual or pictures, "pictures", "image-key", schema, where)
    if asked.label_key:
        _check_there(asked.label_key, schema.names, "label-key", where)
        return picture, asked.label_key
    labels = [field.name for field in schema if _may_be_labels(field.type)]
    usual = [name for name in labels if name.lower() in _LABELS][:1]
    return picture, _one(usual or labels, "labels", "label-key", schema, where)


_FORM = "pictures are bytes (PNG, JPEG), or a struct of 'bytes' and 'path'"


def _one(found: Sequence[str], what: str, option: str, schema: pa.Schema, where: str) -> str:
    if len(found) == 1:
        return found[0]
    shown = ", ".join(f"{field.name} {field.type}" for field in schema)[:300]
    which = f"which of {', '.join(found)} has the {what}" if found else f"no column of {what}"
    form = f"; {_FORM}" if what == "pictures" else ""
    raise ValueError(f"{where}: {which}: name it with --{option}; it has {shown}{form}")


def _may_be_pictures(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _binary(kind.field(place).type)
    return _binary(kind)


def _binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _may_be_labels(kind: pa.DataType) -> bool:
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    counted = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return texts or counted or pa.types.is_dictionary(kind)


def _labels(column: pa.ChunkedArray) -> np.ndarray:
    """Labels as NumPy has them; null is NaN, or None among texts."""
    if pa.types.is_integer(column.type) and column.null_count:
        return np.array([np.nan if one is None else float(one) for one in column.to_pylist()])
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return column.to_numpy()
    if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        lists = column.to_pylist()
        if len({len(one) if one is not None else -1 for one in lists}) == 1 and lists[0]:
            return np.array(lists)
    return np.array(column.to_pylist(), dtype=object)


def _class_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """The names of a ClassLabel, which hubs keep in the schema's metadata."""
    kept = (schema.metadata or {}).get(b"huggingface")
    try:
        feature = json.JSONDecoder().decode((kept or b"").decode())["info"]["features"][label]
        names = feature["names"]
    except (KeyError, TypeError, ValueError):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names) or None


def _check_there(name: str, known: Sequence[str], option: str, where: str) -> None:
    if name not in known:
        hint = near_miss(name, known)
        has = ", ".join(known)[:300]
        raise ValueError(f"{where}: no column '{name}' (--{option}){hint}; it has {has}")
