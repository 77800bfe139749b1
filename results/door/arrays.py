"""Arrays of NumPy (`.npz`, `.npy`): nothing is unpickled, and no size is believed unchecked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from results import words
from results.door import sizes
from results.door.refusal import reading, regular

_BLOCK_BYTES = 1 << 22
_TURNED = 1 << 30  # bytes of an array by columns, which is read whole


def archive(path: Path, what: str, remedy: str = "") -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file by name.

    Args:
        what: the file is to be, with its article.

    Raises:
        FileError: it cannot be read, or an array is larger than what the file holds of it.
    """
    size = regular(path, what)
    with reading(path, what, remedy), path.open("rb") as file:
        return _arrays(file, size)


def archive_bytes(found: bytes, path: object, what: str, remedy: str = "") -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file's bytes, by name; `path` names them in the message.

    Raises:
        FileError: they are damaged, or an array is larger than what they hold of it.
    """
    with reading(str(path), what, remedy):
        return _arrays(io.BytesIO(found), len(found))


def array(found: bytes, path: object, what: str) -> np.ndarray:
    """The array that the bytes of a `.npy` file are; `path` names them in the message.

    Raises:
        FileError: they are none, or of another length than they say.
    """
    with reading(str(path), what):
        return _array(io.BytesIO(found), len(found), "it")


def header(
    opened: Callable[[], IO[bytes]], path: object, what: str
) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and type that the first bytes of a `.npy` file say, not checked against the rest.

    Raises:
        FileError: they say none.
    """
    with reading(str(path), what), opened() as stream:
        shape, _, dtype = _header(stream, "it")
        return shape, dtype


def _arrays(file: IO[bytes], size: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(file) as members:
        sizes.check_members(members, size)
        for member in members.infolist():
            name = member.filename.removesuffix(".npy")
            with members.open(member) as stream:
                found[name] = _array(stream, member.file_size, name)
    return found


@dataclass(frozen=True)
class Stored:
    """An array in a file, of which no more than a block is in memory at once.

    path: of the file. member: of an archive, "" of a `.npy`. size: bytes that it has unpacked;
    held: packed.
    """

    path: Path
    member: str
    size: int
    held: int
    shape: tuple[int, ...]
    dtype: np.dtype
    by_column: bool

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The first row of each block, and its values.

        Raises:
            FileError: the file is damaged; or an array by columns is too large to be turned.
        """
        name = self.member or self.path.name
        if self.by_column and len(self.shape) > 1:
            with reading(self.path, "an array", "save it by rows: np.ascontiguousarray(x)"):
                if self.size > _TURNED:
                    raise ValueError(
                        f"'{name}' lies by columns, and has {words.count(self.size, 'byte')}"
                    )
                sizes.check_whole(self.size, self.held, name)
                with self._opened() as stream:
                    yield 0, _array(stream, self.size, name)
            return
        row = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        rows = max(1, _BLOCK_BYTES // max(1, row))
        with reading(self.path, "an array"), self._opened() as stream:
            sizes.check_whole(row, self.held, name)
            _header(stream, name)
            for start in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - start)
                values = _filled(stream, count * int(np.prod(self.shape[1:])), self.dtype, name)
                yield start, values.reshape(count, *self.shape[1:])

    def values(self) -> np.ndarray:
        """All of it.

        Raises:
            FileError: the file is damaged.
        """
        name = self.member or self.path.name
        with reading(self.path, "an array"), self._opened() as stream:
            sizes.check_whole(self.size, self.held, name)
            return _array(stream, self.size, name)

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        if not self.member:
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as members, members.open(self.member) as stream:
            yield stream


def stored(path: Path, what: str) -> dict[str, Stored]:
    """The arrays of a `.npz` or `.npy` file by name, none of them read.

    Args:
        what: the file is to be, with its article.

    Raises:
        FileError: it cannot be read, or an array is not of the size that the file says.
    """
    size = regular(path, what)
    with reading(path, what):
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                return {path.stem: _stored(file, path, "", size, size)}
        found: dict[str, Stored] = {}
        with zipfile.ZipFile(path) as members:
            for member in members.infolist():
                sizes.check_member(member, size)
                with members.open(member) as stream:
                    name = member.filename.removesuffix(".npy")
                    unpacked, held = member.file_size, member.compress_size
                    found[name] = _stored(stream, path, member.filename, unpacked, held)
        return found


def _stored(stream: IO[bytes], path: Path, member: str, size: int, held: int) -> Stored:
    shape, by_column, dtype = _header(stream, member or path.name)
    _size(shape, dtype, size - stream.tell(), member or path.name)
    return Stored(path, member, size, held, shape, dtype, by_column)


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        found = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        found = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"'{name}' is of an unknown format {version}")
    if found[2].hasobject:
        raise ValueError(
            f"'{name}' holds Python objects, not numbers; save names by np.array(names, dtype=str)"
        )
    return found


def _size(shape: tuple[int, ...], dtype: np.dtype, left: int, name: str) -> int:
    """Return the number of values of an array of this shape.

    Args:
        left: bytes of the file after the header; they must be exactly these values.

    Raises:
        ValueError: a negative side, or another number of bytes.
    """
    count = 1
    for side in shape:
        if side < 0:
            raise ValueError(f"'{name}' has the shape {shape}")
        count *= side
    if count * dtype.itemsize != left:
        raise ValueError(
            f"'{name}' has the shape {shape}, which its {words.count(left, 'byte')} are not"
        )
    return count


def _filled(stream: IO[bytes], count: int, dtype: np.dtype, name: str) -> np.ndarray:
    values = np.empty(count, dtype=dtype)
    rest = values.view(np.uint8) if values.nbytes else np.empty(0, np.uint8)
    while rest.size:
        if not (read := stream.readinto(rest)):  # type: ignore[attr-defined]
            raise ValueError(f"'{name}' ends too early")
        rest = rest[read:]
    return values


def _array(stream: IO[bytes], size: int, name: str) -> np.ndarray:
    shape, by_column, dtype = _header(stream, name)
    count = _size(shape, dtype, size - stream.tell(), name)
    values = _filled(stream, count, dtype, name)
    if stream.read(1):
        raise ValueError(f"'{name}' goes on after its end")
    return values.reshape(shape, order="F" if by_column else "C")
