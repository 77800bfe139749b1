"""MATLAB's files before version 7.3, read by SciPy once what their parts say is there.

A part is a tag (type and length) and its content; an array is a part of parts: flags, axes, name,
values (MathWorks, MAT-File Format, version 5). SciPy takes memory for any length that a tag says.
"""

from __future__ import annotations

import io
import zlib
from math import prod
from pathlib import Path
from typing import Any, Literal

from results.door import sizes
from results.door.refusal import content, reading

_HEADER, _TAG = 128, 8  # bytes
_WHOLE_NUMBERS, _ARRAY, _PACKED = 5, 14, 15  # types of parts
_SPARSE = 5  # a class of arrays, whose axes say nothing of their size
_DEEPEST = 50

Order = Literal["big", "little"]


def variables(path: Path, what: str, remedy: str) -> dict[str, Any]:
    """The variables of a file by name, as SciPy gives them.

    Raises:
        FileError: it is damaged, or its parts are or say that they are far larger than the file.
    """
    found = content(path, what, remedy)
    with reading(path, what, remedy):
        if found[126:_HEADER] in (b"MI", b"IM"):  # version 4 packs nothing
            _check(found)
        from scipy.io import loadmat

        # Bytes in memory: of a file Python takes the memory for all that a part says.
        kept = loadmat(io.BytesIO(found))
        return {name: one for name, one in kept.items() if not name.startswith("__")}


def _check(found: bytes) -> None:
    order: Order = "big" if found[126:_HEADER] == b"MI" else "little"
    total = 0
    for kind, part in _parts(memoryview(found)[_HEADER:], order):
        if kind == _PACKED:
            most = max(sizes.FREE, sizes.TIMES * len(found))
            part = memoryview(zlib.decompressobj().decompress(part, most + 1 - total))
            for inner, within in _parts(part, order):
                _check_array(inner, within, order, 0)
        else:
            _check_array(kind, part, order, 0)
        total += len(part)
        sizes.check_whole(total, len(found), "it")


def _parts(found: memoryview, order: Order) -> list[tuple[int, memoryview]]:
    """Type and content of each part; raises ValueError where one says more than there is."""
    parts, place = [], 0
    while place < len(found):
        kind, length = (int.from_bytes(found[place + at : place + at + 4], order) for at in (0, 4))
        start = place + _TAG
        if kind >> 16:  # a short one has its content in its tag
            kind, length, start = kind & 0xFFFF, min(kind >> 16, 4), place + 4
        if start + length > len(found):
            raise ValueError("a part says that it is larger than the file can hold")
        parts.append((kind, found[start : start + length]))
        place = start + length if kind == _PACKED else start + length + -(start + length) % 8
    return parts


def _check_array(kind: int, found: memoryview, order: Order, depth: int) -> None:
    if kind != _ARRAY:
        return
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    parts = _parts(found, order)
    if len(parts) > 2 and parts[1][0] == _WHOLE_NUMBERS and len(parts[0][1]) >= 4:
        flags = int.from_bytes(parts[0][1][:4], order)
        axes = parts[1][1]
        sides = [int.from_bytes(axes[at : at + 4], order) for at in range(0, len(axes), 4)]
        if flags & 0xFF != _SPARSE and prod(sides) > len(found):
            raise ValueError(f"an array has the shape {tuple(sides)}, which its bytes are not")
    for inner, within in parts:
        _check_array(inner, within, order, depth + 1)
