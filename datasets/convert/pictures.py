"""Reading the pictures of a folder, or of a zip file of one."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from results.door import folders
from results.door.refusal import reading
from results.words import count

if TYPE_CHECKING:
    import numpy as np

Folder = Path | zipfile.Path
F = TypeVar("F", Path, zipfile.Path)

_NAMED = 5  # of the pictures that a message complains of


@contextmanager
def folder_with(name: str, source: Path, remedy: str) -> Iterator[Folder]:
    """The one folder that holds the file ``name``, at any depth of a folder or zip file.

    Args:
        source: the folder or zip file.
        remedy: where to get it; the end of every message.

    Raises:
        FileNotFoundError: no such source, or no such file in it.
        ValueError: a source that is neither, or that has several such files.
    """
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such folder or zip file; {remedy}")
    if source.is_dir():
        inside = sorted(file.parent for file in source.rglob(name))
        yield _only(inside, name, source, remedy)
        return
    if not folders.is_zip(source):
        raise ValueError(f"{source}: neither a folder nor a zip file; {remedy}")
    with reading(source, "a zip file", remedy):
        archive = zipfile.ZipFile(source)
    with archive:
        files = (file for file in archive.namelist() if PurePosixPath(file).name == name)
        found = [zipfile.Path(archive, file.removesuffix(name)) for file in files]
        yield _only(found, name, source, remedy)


def _only(found: Sequence[F], name: str, source: Path, remedy: str) -> F:
    if not found:
        raise FileNotFoundError(f"{source}: no file {name} in it; {remedy}")
    if len(found) > 1:
        raise ValueError(
            f"{source}: {count(len(found), 'file')} {name} in it ({found[0]}, {found[1]}, ...); "
            "name one of these folders"
        )
    return found[0]


def read_pictures(
    folder: Folder, names: Sequence[str], *, side: int, scaled_to: int, remedy: str
) -> np.ndarray:
    """Colour pictures of square files, scaled down: uint8 (n, scaled_to, scaled_to, 3).

    Pillow's BILINEAR averages over the pixels that a new one covers, with triangular weights.

    Args:
        names: files in the folder, in the order of the result.
        side: pixels that each picture must have, both ways.
        remedy: what to do about a bad picture; the end of the message.

    Raises:
        ValueError: pictures that are missing, cannot be read, or are of another size: how many,
            and the first five of each kind.
    """
    import numpy as np
    from PIL import Image

    broken = (
        *(OSError, SyntaxError, ValueError, EOFError, RuntimeError),
        *(zipfile.BadZipFile, zlib.error, Image.DecompressionBombError),
    )
    pictures = np.empty((len(names), scaled_to, scaled_to, 3), dtype=np.uint8)
    bad: dict[str, list[str]] = {}
    for row, name in enumerate(names):
        file = folder / name
        if not file.is_file():
            bad.setdefault("missing", []).append(name)
            continue
        try:
            with file.open("rb") as content, Image.open(content) as image:
                if image.size != (side, side):
                    bad.setdefault(f"not of {side}x{side} pixels", []).append(name)
                    continue
                scaled = image.convert("RGB").resize((scaled_to,) * 2, Image.Resampling.BILINEAR)
        except broken:
            bad.setdefault("not readable as a picture", []).append(name)
            continue
        pictures[row] = np.asarray(scaled)
    if bad:
        counts = (
            f"{len(files)} {what} ({', '.join(files[:_NAMED])}{', ...' * (len(files) > _NAMED)})"
            for what, files in bad.items()
        )
        raise ValueError(
            f"{folder}: of {count(len(names), 'picture')} {' and '.join(counts)}; {remedy}"
        )
    return pictures
