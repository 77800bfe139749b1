"""Parquet: columns as the types they should have, whatever types the file has them in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from results.door import sizes
from results.door.apart import is_apart
from results.door.refusal import FileError, reading, regular

_LARGEST = 8  # bytes of a number; a file holds equal ones in no room


@contextmanager
def opened(path: Path, what: str, buffer: int = 0) -> Iterator[pq.ParquetFile]:
    """A Parquet file, open for reading, whose footer agrees with the file.

    Args:
        what: the file is to be, with its article.
        buffer: bytes of a column that are read at once; 0 reads all of a group of rows.

    Raises:
        FileError: whatever is wrong with it, here and inside the block.
    """
    size = regular(path, what)
    settings = {"page_checksum_verification": True, "buffer_size": buffer, "pre_buffer": not buffer}
    with reading(path, what), pq.ParquetFile(path, **settings) as file:
        _check_footer(file.metadata, size)
        yield file


def columns(file: pq.ParquetFile, wanted: Sequence[tuple[str, pa.Field]], path: Path) -> pa.Table:
    """Columns of an open file, in the order and of the types asked for.

    Another type is converted where nothing is lost: `large_string`, dictionaries, whole numbers
    written as text or as floats, lists of another kind. A column or a field that is absent is null.

    Args:
        wanted: of each column a field of it that is asked for, a name or a
            `list.element.field` path, and the column as it is to be.

    Raises:
        FileError: a column that cannot be converted; the message names it.
    """
    schema = file.schema_arrow
    names = list(dict.fromkeys(field.name for _, field in wanted))
    fields = {field.name: field for _, field in wanted}
    known = Counter(schema.names)  # once: Arrow makes the list anew each time it is asked
    for name in names:
        if known[name] > 1:
            raise FileError(f"{path}: column '{name}' is there twice")
    there = {name: schema.field(name).type for name in names if name in known}
    # Of a list of rows a part is decoded, where it is a list as we write them.
    ours = {name for name, found in there.items() if _as_ours(found, fields[name].type)}
    paths = [part for part, field in wanted if field.name in ours]
    paths += [name for name in there if name not in ours]
    check_columns(file, {part.partition(".")[0] for part in paths}, path)
    table = file.read(columns=paths, use_threads=False)
    arrays, held = [], set(table.column_names)
    for name in names:
        kind = fields[name].type
        if name not in held:  # it, or the one field of it that was asked for
            arrays.append(pa.chunked_array([pa.nulls(table.num_rows, kind)]))
            continue
        try:
            arrays.append(_converted(table[name], kind))
        except (pa.ArrowException, ValueError, TypeError) as error:
            found = schema.field(name).type
            raise FileError(
                f"{path}: column '{name}' is {found}, and no {kind} can be made of it "
                f"({str(error)[:100]})"
            ) from error
    made = pa.Table.from_arrays(arrays, schema=pa.schema([fields[name] for name in names]))
    made.validate(full=True)  # a file may call bytes text
    return made


def _as_ours(found: pa.DataType, wanted: pa.DataType) -> bool:
    """True if the file nests its lists as this project does: then column paths into them hold."""
    return not pa.types.is_nested(wanted) or (
        pa.types.is_list(found) and found.value_field.name == "element"
    )


def _converted(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if values.type == kind:
        return values
    return pa.chunked_array([_array(chunk, kind) for chunk in values.chunks], type=kind)


def _array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if pa.types.is_dictionary(array.type):
        return _array(array.dictionary_decode(), kind)
    if pa.types.is_list(kind):
        if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
            if not pa.types.is_fixed_size_list(array.type):
                raise TypeError("it is no list")
            array = array.cast(pa.list_(array.type.value_type))
        ends = pa.array(array.offsets.to_numpy(), pa.int32())
        items = _array(array.values, kind.value_type)
        return pa.ListArray.from_arrays(ends, items, type=kind, mask=array.is_null())
    if pa.types.is_struct(kind):
        if not pa.types.is_struct(array.type):
            raise TypeError("it has no fields")
        parts = []
        for field in kind:
            at = array.type.get_field_index(field.name)
            part = pa.nulls(len(array), field.type) if at < 0 else array.field(at)
            parts.append(_array(part, field.type))
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=array.is_null())
    if pa.types.is_boolean(kind) != pa.types.is_boolean(array.type):
        raise TypeError("a flag is no number")
    return array.cast(kind, safe=True)


def check_columns(file: pq.ParquetFile, names: Collection[str], path: Path) -> None:
    """Check the columns that are to be read.

    A row may be a list of any length, which the footer of its column counts. That is asked in a
    fork alone (`apart`): Arrow ends the process where it is damaged.

    Raises:
        FileError: they would take more memory than the file can have values for.
    """
    held, size = regular(path, "a Parquet file"), 0
    with reading(path, "a Parquet file"):
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            values = group.num_rows * len(names)
            if is_apart():
                values = max(values, _values(group, names))
            size += max(group.total_byte_size, _LARGEST * values)
        sizes.check_whole(size, held, f"its rows of {', '.join(sorted(names)[:3])}")


def _values(group: pq.RowGroupMetaData, names: Collection[str]) -> int:
    """The number of values in columns of these names, and in those inside of them."""
    columns = map(group.column, range(group.num_columns))
    return sum(one.num_values for one in columns if one.path_in_schema.partition(".")[0] in names)


def _check_footer(footer: pq.FileMetaData, size: int) -> None:
    """Raise ValueError where the footer says of the file what it cannot hold."""
    rows = 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        if group.num_rows < 0 or not 0 <= group.total_byte_size <= sizes.OTHER * size:
            raise ValueError("its footer is damaged: it counts more than the file can hold")
        rows += group.num_rows
    if rows != footer.num_rows:
        raise ValueError("its footer is damaged: it counts other rows than it has")
