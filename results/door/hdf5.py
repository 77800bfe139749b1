"""HDF5: opened whole, and no dataset is read whose pixels lie elsewhere or whose size is untrue.

The library loops on some damaged files, and crashes on others: a fork walks through a file first.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from results.door import apart, sizes
from results.door.refusal import FileError, instead, reading, regular
from results.words import count

REMEDY = "get it again"
_SMALL = 1 << 20  # bytes that are not worth a doubt
_PARTLY = 16  # chunks that were not written are read as zeros: so many for each that was
_SECONDS = 3  # on the processor for one object
_WALKED = 1 << 24  # bytes of values that a walk reads; of those of more it reads the first
# Filters that survive whatever a chunk has. Of others (scale-offset, n-bit, plugins) that is tried.
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_FILTERS |= {h5py.h5z.FILTER_LZF}
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def opened(path: Path, what: str) -> Iterator[h5py.File]:
    """An HDF5 file, open for reading.

    Raises:
        FileError: it is not there, another kind of file, damaged, or locked by who writes it.
    """
    _check_walk(path, path, what, regular(path, what))
    try:
        file = h5py.File(path, "r")
    except Exception as error:  # whatever HDF5 makes of its bytes
        raise FileError(f"{path}: {_why_not(path, str(error))}") from error
    with file:
        yield file


@contextmanager
def opened_bytes(found: bytes, path: Path) -> Iterator[h5py.File]:
    """An HDF5 file in memory; `path` names it in messages.

    Raises:
        FileError: it is none, or damaged.
    """
    _check_walk(found, path, "an HDF5 file", len(found))
    with reading(path, "an HDF5 file", REMEDY):
        file = h5py.File(io.BytesIO(found), "r")
    with file:
        yield file


def dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset | None:
    """A dataset that lies in this file, with all of its values; None where there is none.

    Raises:
        FileError: a link that leads out of the file or nowhere, values that are kept in other files
            (external or virtual storage), or a size that the file cannot hold.
    """
    with reading(path, "an HDF5 file", REMEDY):
        if name != name.encode("utf-8", "replace").decode():  # HDF5's names are all UTF-8
            return None
        link = file.get(name, getlink=True)
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            to = f"is a link to {link.path!r} in {link.filename}"
            raise FileError(_elsewhere(path, name, to))
        if isinstance(link, h5py.SoftLink) and file.get(name) is None:
            raise FileError(f"{path}: '{name}' is a link to {link.path!r}, which is not there")
        found = file[name]
        if not isinstance(found, h5py.Dataset):
            return None
        number = h5py.h5o.get_info(found.id).fileno
        if number != h5py.h5o.get_info(file.id).fileno:
            raise FileError(_elsewhere(path, name, f"is kept in {found.file.filename}"))
        if found.is_virtual:
            sources = sorted({source.file_name for source in found.virtual_sources()})
            what = f"is a virtual dataset of {', '.join(sources[:3])}"
            raise FileError(_elsewhere(path, name, what))
        if found.external:
            what = f"has its values in {', '.join(str(part[0]) for part in found.external[:3])}"
            raise FileError(_elsewhere(path, name, what))
        _check_size(found, name, path)
        return found


def values(found: h5py.Dataset, path: Path, rows: Any = ()) -> np.ndarray:
    """Values of a dataset.

    Raises:
        FileError: the file is damaged there.
    """
    with reading(path, "an HDF5 file", REMEDY):
        if rows == ():
            check_whole(found, path, found.shape)
        try:
            return np.asarray(found[rows])
        except Exception as error:  # as above; the dataset's name helps
            raise FileError(
                f"{path}: {found.name[1:]!r} cannot be read: the file is damaged or incomplete "
                f"({str(error)[:200]}); {REMEDY}"
            ) from error


def check_whole(found: h5py.Dataset, path: Path, shape: tuple[int, ...]) -> None:
    """Raises FileError where what has this shape is too large to be unpacked at once."""
    size, held = _bytes(found, shape), found.id.get_storage_size()
    with reading(path, "an HDF5 file"):
        sizes.check_whole(size, held, found.name[1:])


def _bytes(found: h5py.Dataset, shape: tuple[int, ...]) -> int:
    return math.prod(map(int, shape)) * found.dtype.itemsize


def attribute(holder: h5py.HLObject, name: str, path: Path) -> Any:
    """An attribute, None where there is none.

    Raises:
        FileError: it cannot be read, or is larger than the file.
    """
    with reading(path, "an HDF5 file", REMEDY):
        if name not in holder.attrs:
            return None
        kept = holder.attrs.get_id(name)
        size = int(np.prod(kept.shape, dtype=np.float64)) * kept.dtype.itemsize if kept.shape else 0
        if size > max(_SMALL, holder.file.id.get_filesize()):
            raise FileError(f"{path}: attribute '{name}' says that it is larger than the file")
        return holder.attrs[name]


def unwritten(found: h5py.Dataset) -> tuple[int, int]:
    """Chunks that were never written, and all that there should be; HDF5 reads them as zeros."""
    if not found.chunks or not found.size:
        return 0, 0
    sides = zip(found.shape, found.chunks, strict=True)
    there_should_be = int(np.prod([-(-side // chunk) for side, chunk in sides]))
    return there_should_be - found.id.get_num_chunks(), there_should_be


def present(file: h5py.File, path: Path) -> dict[str, str]:
    """The datasets of a file, with type and shape, by name; links out of it as such."""
    told: dict[str, str] = {}

    def note(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            told[name] = f"{name} {item.dtype} {item.shape}"

    with reading(path, "an HDF5 file", REMEDY):
        file.visititems(note)
        for name in file:
            link = file.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                told[name] = f"{name} (a link to {link.filename})"
            elif isinstance(link, h5py.SoftLink):
                told[name] = f"{name} (a link to {link.path})"
    return told


# Files walked, by device, number, size and time: "", or what was wrong.
_walks: dict[tuple[int, int, int, int], str] = {}


def _check_walk(source: Path | bytes, path: Path, what: str, size: int) -> None:
    """Raise FileError where the library does not survive a walk; what else is wrong comes later."""
    if apart.is_apart():
        return
    key = None
    if isinstance(source, Path):
        now = source.stat()
        key = now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns
        if key in _walks:
            if _walks[key]:
                raise FileError(_walks[key])
            return

    def walk() -> None:
        opened = io.BytesIO(source) if isinstance(source, bytes) else source
        with _unless_memory(path, what), h5py.File(opened, "r") as file:
            _walk(file, path)

    try:
        apart.done_apart(walk, path, what, size, REMEDY, seconds=_SECONDS)
    except FileError as error:
        if key is not None:
            _walks[key] = str(error)
        raise
    if key is not None:
        _walks[key] = ""


def _walk(file: h5py.File, path: Path) -> None:
    """Go wherever a reader may: to all objects, attributes, small values, and chunks' places."""
    left: list[h5py.HLObject] = [file]
    seen: set[int] = set()
    budget = _WALKED
    while left:
        apart.alive()
        found = left.pop()
        with _unless_memory(path, found.name):
            place = h5py.h5o.get_info(found.id).addr
            if place in seen:
                continue
            seen.add(place)
            for name in found.attrs:
                with _unless_memory(path, found.name):
                    attribute(found, name, path)
            if isinstance(found, h5py.Dataset):
                budget -= _walk_values(file, found, path, budget)
            for name in found if isinstance(found, h5py.Group) else ():
                with _unless_memory(path, found.name):
                    link = found.get(name, getlink=True)
                    if not isinstance(link, h5py.ExternalLink):
                        left.append(found[name])


def _walk_values(file: h5py.File, found: h5py.Dataset, path: Path, budget: int) -> int:
    """Read a dataset, or its first rows if it is large; returns the bytes read."""
    checked = dataset(file, found.name, path)
    if checked is None:
        return 0
    size = _bytes(checked, checked.shape)
    if size <= budget:
        values(checked, path)
        return size
    rows = checked.chunks[0] if checked.chunks else 1
    filters = checked.id.get_create_plist()
    odd = {filters.get_filter(at)[0] for at in range(filters.get_nfilters())} - _FILTERS
    for start in range(0, len(checked) if odd else 1, rows):
        apart.alive()
        values(checked, path, slice(start, start + rows))
    return 0


@contextmanager
def _unless_memory(path: Path, what: str) -> Iterator[None]:
    """Pass over what a reader will say; but of a lack of memory it may say nothing any more."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError) or "alloc" in str(cause):
                told = "it asks for more memory than there is"
                raise FileError(f"{path}: damaged: {what}: {told}; {REMEDY}") from None
            cause = cause.__cause__


def _check_size(found: h5py.Dataset, name: str, path: Path) -> None:
    size = _bytes(found, found.shape)
    kept = found.id.get_storage_size()
    if size and not kept:
        raise FileError(f"{path}: '{name}' was never written: it has a shape and no values")
    most = kept
    if found.chunks is not None:
        filters = found.id.get_create_plist().get_nfilters()
        known = found.compression in ("gzip", "lzf") or not filters
        most *= (sizes.DEFLATE if known else sizes.OTHER) if filters else 1
        if unwritten(found)[0]:
            most *= _PARTLY
        if filters and size > _WALKED:
            _check_chunks(found, name, path)
    if size > max(_SMALL, most) or kept > found.file.id.get_filesize():
        raise FileError(
            f"{path}: '{name}' has the shape {found.shape}, which is {count(size, 'byte')}, and "
            f"the file holds {kept:,} of it: damaged; {REMEDY}"
        )
    if found.chunks is not None and size:  # it is read in blocks of whole chunks, of a row at least
        check_whole(found, path, found.chunks)
    if found.ndim:
        check_whole(found, path, found.shape[1:])


def _check_chunks(found: h5py.Dataset, name: str, path: Path) -> None:
    """Raise FileError where a chunk is larger packed than it can be: it is more than it says."""
    most = 2 * _bytes(found, found.chunks) + _SMALL

    def see(chunk: h5py.h5d.StoreInfo) -> None:
        if chunk.size > most:
            raise FileError(
                f"{path}: '{name}' has a chunk of {count(chunk.size, 'byte')}; {REMEDY}"
            )

    found.id.chunk_iter(see)


def begins(path: Path) -> bool:
    """True if a file begins as HDF5.

    Raises:
        FileError: it is no regular file.
    """
    regular(path, "an HDF5 file")
    with reading(path, "an HDF5 file"), path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def _elsewhere(path: Path, name: str, what: str) -> str:
    return (
        f"{path}: '{name}' {what}: values outside of the file can change without it; copy them "
        "into one file, as in h5py: file['copy'] = dataset[()]"
    )


def _why_not(path: Path, text: str) -> str:
    """Why a file does not open as HDF5, by its first bytes where they tell."""
    with reading(path, "an HDF5 file"), path.open("rb") as file:
        start = file.read(512)
    if found := instead(path, "get it again"):
        return f"not an HDF5 file{found}"
    if "truncated" in text:
        return "truncated: its end is missing; get it again"
    if start.startswith(_SIGNATURE):
        if "lock" in text:
            return (
                "is locked: another process has it open for writing; wait for it, or on a file "
                "system without locks set HDF5_USE_FILE_LOCKING=FALSE"
            )
        return f"damaged: HDF5 cannot open it ({text[:200]}); {REMEDY}"
    if isinstance(text, str) and "signature not found" in text:
        return "not an HDF5 file; give one with 'images' and 'ans', or name its datasets"
    return f"cannot be opened ({text[:200]})"
