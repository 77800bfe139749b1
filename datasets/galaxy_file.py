"""Reading a file of galaxies: HDF5 with pictures and labels, checked before use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from datasets.resize import box_downscale
from results.vocabulary import near_miss, unknown

CHANNELS = ("rgb", "0", "1", "2")

_BLOCK_BYTES = 1 << 24


@dataclass(frozen=True)
class Picking:
    """Which channels of a picture, and in what size: the same for every picture of a run."""

    channels: str = "rgb"
    image_size: int | None = None

    def check(self, shape: tuple[int, ...], where: str) -> None:
        """Raises ValueError if pictures of this shape (n, h, w, c) cannot serve."""
        height, width, depth = shape[1:]
        if self.channels not in CHANNELS:
            raise ValueError(f"channels: {unknown('channel', self.channels, CHANNELS)}")
        wanted = 3 if self.channels == "rgb" else int(self.channels) + 1
        if wanted > depth:
            raise ValueError(
                f"{where}: channels {self.channels!r} of one-channel pictures; use channels '0'"
            )
        size = self.image_size
        if size is None:
            return
        if height != width:
            raise ValueError(
                f"{where}: image_size resizes square pictures, and these are {height}x{width}"
            )
        if not 1 <= size <= height:
            raise ValueError(
                f"{where}: image_size {size} is not in 1..{height}: pictures of {height}x{width} "
                f"are scaled down, never up"
            )

    def apply(self, images: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w, c) to what was asked for, contiguous."""
        if self.channels != "rgb":
            channel = int(self.channels)
            images = images[..., channel : channel + 1]
        if self.image_size is not None:
            images = box_downscale(images, self.image_size)
        return np.ascontiguousarray(images)


def content_sha256(images: np.ndarray, labels: np.ndarray) -> str:
    """SHA-256 of galaxies as loaded: the bytes of the pictures, then the labels as int64.

    Args:
        images: uint8 (n, height, width, channels). labels: integers (n,).
    """
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()


class GalaxyFile:
    """An open file of galaxies. All methods raise ValueError or OSError naming the file."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file

    def labels(self, key: str) -> np.ndarray:
        """Labels as int64 (n,): whole numbers of 0 or more, of two classes at least."""
        dataset = self._dataset(key, "label_key")
        if dataset.ndim != 1:
            raise self._wrong(
                key,
                f"has shape {dataset.shape}, not (n,); give one class number per picture"
                + (" (the argmax of one-hot rows)" if dataset.ndim == 2 else ""),
            )
        if dataset.dtype.kind not in "uif":
            raise self._wrong(key, f"is {dataset.dtype}; labels are class numbers from 0 on")
        values = self._read(dataset, slice(None))
        if values.dtype.kind == "f":
            odd = np.flatnonzero(values != np.round(values))  # NaN differs from itself
            if len(odd):
                raise self._wrong(key, f"has {values[odd[0]]} in row {odd[0]}, not a whole number")
        labels = values.astype(np.int64)
        if not len(labels):
            raise self._wrong(key, "is empty")
        if labels.min() < 0:
            row = int(labels.argmin())
            raise self._wrong(key, f"has {labels[row]} in row {row}; classes count from 0")
        if labels.min() == labels.max():
            raise self._wrong(
                key, f"has the one class {labels[0]} only: there is nothing to tell apart"
            )
        return labels

    def class_names(self, label_key: str, labels: np.ndarray) -> tuple[str, ...]:
        """Names by label: the file's own (a dataset or attribute ``class_names``), or numbers."""
        names = self._own_class_names(label_key)
        if names is None:
            present = np.unique(labels)
            absent = np.setdiff1d(np.arange(present[-1] + 1), present)
            if len(absent):
                raise self._wrong(
                    label_key,
                    f"has {len(present)} different labels from {present[0]} to {present[-1]}, and "
                    f"none is {absent[0]}; number the classes 0..{len(present) - 1}, or give the "
                    f"file all the names in 'class_names' if a class is absent on purpose",
                )
            return tuple(f"class {number}" for number in range(int(present[-1]) + 1))
        return self.check_names(names, label_key, labels)

    def check_names(
        self, names: tuple[str, ...], label_key: str, labels: np.ndarray
    ) -> tuple[str, ...]:
        """The names, if there is a different one for each label."""
        if labels.max() >= len(names):
            row = int(labels.argmax())
            raise self._wrong(
                label_key,
                f"has {labels[row]} in row {row}, out of range: there are {len(names)} class "
                f"names, so labels are 0..{len(names) - 1}",
            )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{self.path}: two classes are named {twice!r}")
        return tuple(names)

    def integers(self, key: str, rows: int) -> np.ndarray | None:
        """A dataset of whole numbers (rows,), or None where the file does not have it."""
        if key not in self._file:
            return None
        dataset = self._dataset(key, key)
        if dataset.shape != (rows,) or dataset.dtype.kind not in "ui":
            raise self._wrong(
                key, f"is {dataset.dtype} {dataset.shape}; it must be whole numbers ({rows},)"
            )
        return self._read(dataset, slice(None)).astype(np.int64)

    def groups(self, key: str | None, rows: int) -> np.ndarray | None:
        """Group numbers int64 (rows,) of a dataset of numbers or strings; by default ``groups``."""
        if key is None and "groups" not in self._file:
            return None
        dataset = self._dataset(key or "groups", "group_key")
        if dataset.shape != (rows,) or dataset.dtype.kind not in "uiSO":
            raise self._wrong(
                key or "groups",
                f"is {dataset.dtype} {dataset.shape}; it must be numbers or strings ({rows},)",
            )
        _, numbers = np.unique(self._read(dataset, slice(None)), return_inverse=True)
        return numbers.astype(np.int64)

    def images(self, key: str, keep: np.ndarray, picking: Picking) -> np.ndarray:
        """Pictures of the rows where ``keep`` (bool (n,)) holds: uint8 (kept, h, w, c).

        Read in blocks, so that what is picked is all that is held at once.
        """
        dataset = self._dataset(key, "image_key")
        shape = dataset.shape if dataset.ndim == 4 else (*dataset.shape, 1)
        if len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape:
            raise self._wrong(
                key,
                f"has shape {dataset.shape}; pictures are (n, h, w, 3), (n, h, w, 1) or "
                f"(n, h, w)" + self._transposed(dataset.shape),
            )
        if shape[0] != len(keep):
            raise self._wrong(key, f"has {shape[0]} pictures, but there are {len(keep)} labels")
        if dataset.dtype != np.uint8:
            raise self._wrong(
                key,
                f"is {dataset.dtype}, not uint8 (0..255)"
                + (
                    "; store round(255 * x) of values from 0 to 1, as uint8"
                    if dataset.dtype.kind == "f"
                    else "; store the values as uint8"
                ),
            )
        picking.check(shape, str(self.path))
        rows_of_chunk = dataset.chunks[0] if dataset.chunks else 1
        rows = max(_BLOCK_BYTES // int(np.prod(shape[1:])) // rows_of_chunk, 1) * rows_of_chunk
        picked: np.ndarray | None = None
        filled = 0
        for start in range(0, shape[0], rows):
            stop = min(start + rows, shape[0])
            block = self._read(dataset, slice(start, stop)).reshape(stop - start, *shape[1:])
            part = picking.apply(block[keep[start:stop]])
            if picked is None:
                picked = np.empty((int(keep.sum()), *part.shape[1:]), dtype=np.uint8)
            picked[filled : filled + len(part)] = part
            filled += len(part)
        assert picked is not None
        return picked

    def source(self) -> str | None:
        """The file's own word on where it comes from (attribute ``source`` or ``citation``)."""
        for name in ("source", "citation"):
            if isinstance(text := self._file.attrs.get(name), str):
                return text
        return None

    def _own_class_names(self, label_key: str) -> tuple[str, ...] | None:
        values = self._file[label_key].attrs.get("class_names")
        if values is None:
            values = self._file.attrs.get("class_names")
        if values is None and "class_names" in self._file:
            values = self._dataset("class_names", "class_names")[()]
        if values is None:
            return None
        values = np.asarray(values)
        if values.ndim != 1 or not all(isinstance(value, bytes | str) for value in values):
            raise self._wrong("class_names", "is not a list of names")
        return tuple(
            value.decode() if isinstance(value, bytes) else str(value) for value in values.tolist()
        )

    def _dataset(self, key: str, argument: str) -> h5py.Dataset:
        found = self._file.get(key)
        if isinstance(found, h5py.Dataset):
            return found
        present: dict[str, str] = {}

        def note(name: str, item: h5py.HLObject) -> None:
            if isinstance(item, h5py.Dataset):
                present[name] = f"{name} {item.dtype} {item.shape}"

        self._file.visititems(note)
        raise ValueError(
            f"{self.path}: no dataset {key!r} ({argument}){near_miss(key, present)}; it has "
            f"{', '.join(present.values()) or 'none at all'}"
        )

    def _read(self, dataset: h5py.Dataset, rows: slice) -> np.ndarray:
        try:
            return dataset[rows]
        except OSError as error:
            raise OSError(
                f"{self.path}: {dataset.name[1:]!r} cannot be read: the file is damaged or "
                f"incomplete ({error}); get it again"
            ) from error

    def _wrong(self, key: str, what: str) -> ValueError:
        return ValueError(f"{self.path}: {key!r} {what}")

    @staticmethod
    def _transposed(shape: tuple[int, ...]) -> str:
        if len(shape) == 4 and shape[1] in (1, 3):
            return "; these look channels first: transpose them by (0, 2, 3, 1)"
        return ""


@contextmanager
def open_galaxies(path: Path, remedy: str = "") -> Iterator[GalaxyFile]:
    """Open a file of galaxies to read.

    Args:
        remedy: how to get the file; the end of the message where it is missing.

    Raises:
        FileNotFoundError, OSError: a file that is absent or damaged; the message names it.
    """
    if not path.exists():
        beside = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
        raise FileNotFoundError(f"{path}: no such file{near_miss(path.name, beside)}{remedy}")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: a directory; name an HDF5 file in it")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        text = str(error)
        if "truncated file" in text:
            reason = "truncated: its end is missing; get it again"
        elif "signature not found" in text:
            reason = "not an HDF5 file; give one with 'images' and 'ans', or name its datasets"
        else:
            reason = f"cannot be opened ({text})"
        raise OSError(f"{path}: {reason}") from error
    with file:
        yield GalaxyFile(path, file)
