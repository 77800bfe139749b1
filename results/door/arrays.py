"""Arrays of a NumPy archive (`.npz`): nothing is unpickled, and no size is believed unchecked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from results.door.refusal import reading, regular

_DEFLATE = 1032  # times its size at the most is what deflate unpacks to (zlib's technical details)


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
    """The same of bytes that are read already; `path` names them in the message."""
    with reading(str(path), what, remedy):
        return _arrays(io.BytesIO(found), len(found))


def _arrays(file: IO[bytes], size: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(file) as members:
        for member in members.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_size > size or member.file_size > _DEFLATE * member.compress_size:
                raise ValueError(f"'{name}' says that it is larger than the file can hold")
            with members.open(member) as stream:
                found[name] = _array(stream, member.file_size, name)
    return found


def _array(stream: IO[bytes], size: int, name: str) -> np.ndarray:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, by_column, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"'{name}' is of an unknown format {version}")
    if dtype.hasobject:
        raise ValueError(f"'{name}' holds Python objects, not numbers")
    count = 1
    for side in shape:
        if side < 0:
            raise ValueError(f"'{name}' has the shape {shape}")
        count *= side
    header = stream.tell()
    if count * dtype.itemsize != size - header:
        raise ValueError(f"'{name}' has the shape {shape}, which its {size - header} bytes are not")
    values = np.empty(count, dtype=dtype)
    rest = values.view(np.uint8) if values.nbytes else np.empty(0, np.uint8)
    while rest.size:
        if not (read := stream.readinto(rest)):  # type: ignore[attr-defined]
            raise ValueError(f"'{name}' ends too early")
        rest = rest[read:]
    if stream.read(1):
        raise ValueError(f"'{name}' goes on after its end")
    return values.reshape(shape, order="F" if by_column else "C")
