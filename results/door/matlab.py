"""MATLAB's files before version 7.3, read by SciPy once their parts are known to be small."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import IO, Any, Literal

from results.door import sizes
from results.door.refusal import reading, regular

_HEADER, _TAG, _PACKED = 128, 8, 15  # bytes, bytes, and the type of a packed part
_BLOCK_BYTES = 1 << 20


def variables(path: Path, what: str, remedy: str) -> dict[str, Any]:
    """The variables of a file by name, as SciPy gives them.

    Raises:
        FileError: it is damaged, or its parts would unpack to far more than it holds.
    """
    size = regular(path, what)
    with reading(path, what, remedy):
        with path.open("rb") as file:
            sizes.check_whole(_unpacked(file, size), size, "it")
        from scipy.io import loadmat

        return {name: one for name, one in loadmat(path).items() if not name.startswith("__")}


def _unpacked(file: IO[bytes], size: int) -> int:
    """Bytes of all parts, each unpacked block by block; those of version 4 are not packed."""
    head = file.read(_HEADER)
    order: Literal["big", "little"] = "big" if head.endswith(b"MI") else "little"
    if not head.endswith((b"MI", b"IM")):
        return size
    total, place = 0, _HEADER
    while place < size:
        file.seek(place)
        tag = file.read(_TAG)
        kind, length = (int.from_bytes(tag[at : at + 4], order) for at in (0, 4))
        place += _TAG + length
        total += _length(file, length) if kind == _PACKED else length
    return total


def _length(file: IO[bytes], packed: int) -> int:
    """Bytes that a packed part has unpacked."""
    unpacker, length = zlib.decompressobj(), 0
    while packed and (block := file.read(min(packed, _BLOCK_BYTES))):
        packed -= len(block)
        while block:
            length += len(unpacker.decompress(block, _BLOCK_BYTES))
            block = unpacker.unconsumed_tail
    return length
