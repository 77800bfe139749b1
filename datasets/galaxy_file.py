"""Reading a file of galaxies: HDF5 with pictures and labels, checked before use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets import advice
from datasets.inspection import Seen
from datasets.open_file import OpenFile
from datasets.resize import box_downscale
from datasets.splits import PART_WORDS, PARTS
from results.door import hdf5
from results.door.apart import alive
from results.vocabulary import near_miss, unknown
from results.words import count

if TYPE_CHECKING:
    import h5py

CHANNELS = ("rgb", "grey", "mean", "0", "1", "2")
# Shares of red, green and blue in grey, of 65,536: ITU-R 601, as Pillow has them, and with it
# torchvision's Grayscale and Keras' color_mode="grayscale".
GREY = np.array([19595, 38470, 7471], dtype=np.uint32)

MOST_CLASSES = 10_000
_BLOCK_BYTES = 1 << 24
_PARTS_ARE = "the parts are train, validation and test"
_NAMED = 12  # datasets, or files, that a message names


@dataclass(frozen=True)
class Picking:
    """Channels of a picture and its size: the same for every picture of a run."""

    channels: str = "rgb"
    image_size: int | None = None

    def check(self, shape: tuple[int, ...], where: str) -> None:
        """Raises ValueError if pictures of this shape (n, h, w, c) cannot serve."""
        height, width, depth = shape[1:]
        if self.channels not in CHANNELS:
            raise ValueError(f"channels: {unknown('channel', self.channels, CHANNELS)}")
        wanted = int(self.channels) + 1 if self.channels.isdigit() else 3
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
        if self.channels == "grey":
            images = ((images[..., :3] @ GREY + 32768) >> 16).astype(np.uint8)[..., None]
        elif self.channels == "mean":
            sums = images[..., :3].sum(axis=3, dtype=np.uint16, keepdims=True)
            images = ((2 * sums + 3) // 6).astype(np.uint8)
        elif self.channels != "rgb":
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


class GalaxyFile(OpenFile):
    """An open file of galaxies. All methods raise ValueError or OSError naming the file."""

    def labels(self, key: str) -> np.ndarray:
        """Labels as int64 (n,): whole numbers of 0 or more, of two classes at least."""
        dataset = self._dataset(key, "label_key")
        values = self.read(dataset)
        if (found := advice.of_labels(values)) is not None:
            raise self._wrong(key, found.words(self._convert))
        if not len(values):
            raise self._wrong(key, "is empty")
        if values.dtype.kind == "f":
            odd = np.flatnonzero(~np.isfinite(values) | (values != np.round(values)))
            if len(odd):
                raise self._wrong(key, f"has {values[odd[0]]} in row {odd[0]}, not a whole number")
        low, high = int(values.argmin()), int(values.argmax())
        if values[low] < 0:
            raise self._wrong(key, f"has {int(values[low])} in row {low}; classes count from 0")
        if values[low] == values[high]:
            raise self._wrong(
                key, f"has the one class {int(values[low])} only: there is nothing to tell apart"
            )
        if values[high] >= MOST_CLASSES:
            distinct = len(np.unique(values))
            what = (
                f"{count(distinct, 'different number')} in {count(len(values), 'row')} are names "
                "of galaxies, not classes; name the labels with --label-key"
                if distinct > len(values) // 2
                else f"classes are numbered from 0 on, and below {MOST_CLASSES:,}"
            )
            raise self._wrong(key, f"has {int(values[high])} in row {high}: {what}")
        return values.astype(np.int64)

    def class_names(self, label_key: str, labels: np.ndarray) -> tuple[str, ...]:
        """Names by label: the file's own (a dataset or attribute ``class_names``), or numbers."""
        names = self.own_class_names(label_key)
        if names is None:
            present = np.unique(labels)
            if present[-1] != len(present) - 1:
                absent = int(np.flatnonzero(present != np.arange(len(present)))[0])
                raise self._wrong(
                    label_key,
                    f"has {count(len(present), 'different label')} from {present[0]} to "
                    f"{present[-1]}, and none is {absent}; number the classes "
                    f"0..{len(present) - 1}, or give the file all the names in 'class_names' if a "
                    "class is absent on purpose",
                )
            return tuple(f"class {number}" for number in range(len(present)))
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
        dataset = hdf5.dataset(self._file, key, self.path)
        if dataset is None:
            return None
        if dataset.shape != (rows,) or dataset.dtype.kind not in "ui":
            raise self._wrong(
                key, f"is {dataset.dtype} {dataset.shape}; it must be whole numbers ({rows},)"
            )
        return self.read(dataset).astype(np.int64)

    def groups(self, key: str | None, rows: int) -> np.ndarray | None:
        """Group numbers int64 (rows,) of a dataset of numbers or strings; by default ``groups``."""
        if key is None and not self.has("groups"):
            return None
        name = key or "groups"
        dataset = self._dataset(name, "group_key")
        if dataset.shape != (rows,) or dataset.dtype.kind not in "uifSO":
            raise self._wrong(
                name,
                f"is {dataset.dtype} {dataset.shape}; it must be numbers or strings ({rows},)",
            )
        values = self.read(dataset)
        if (found := advice.of_groups(values)) is not None:
            raise self._wrong(name, found.words(self._convert))
        _, numbers = np.unique(values, return_inverse=True)
        return numbers.astype(np.int64)

    def sky(self, rows: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Right ascension and declination, degrees, float64 (rows,) each, where it has both."""
        found = [hdf5.dataset(self._file, name, self.path) for name in ("ra", "dec")]
        if any(one is None or one.shape != (rows,) or one.dtype.kind != "f" for one in found):
            return None
        ra, dec = (self.read(one).astype(np.float64) for one in found)
        return ra, dec

    def parts(self, key: str, rows: int) -> np.ndarray:
        """The published part of each picture, int8 (rows,), as an index into `splits.PARTS`."""
        values = self.read(self._dataset(key, "split_from"))
        if values.shape != (rows,) or values.dtype.kind not in "SUO":
            raise self._wrong(
                key, f"is {values.dtype} {values.shape}; it must be words ({rows},): {_PARTS_ARE}"
            )
        texts = [
            one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
            for one in values.tolist()
        ]
        found = np.array([_part(text) for text in texts], dtype=np.int8)
        if len(odd := np.flatnonzero(found < 0)):
            raise self._wrong(key, f"has '{texts[odd[0]]}' in row {odd[0]}; {_PARTS_ARE}")
        return found

    def votes(self, rows: int) -> tuple[np.ndarray, tuple[str, ...]] | None:
        """Shares of votes, float32 (rows, k), and the k names of what was voted on.

        Of a dataset ``votes`` of floats (rows, k), and its attribute ``vote_names`` ("vote 0", ...
        without one); None where there is none of this form.
        """
        dataset = hdf5.dataset(self._file, "votes", self.path)
        if dataset is None or dataset.dtype.kind != "f" or dataset.ndim != 2:
            return None
        if len(dataset) != rows or not dataset.shape[1]:
            return None
        names = self.vote_names("votes")
        if names and len(set(names)) != dataset.shape[1]:
            raise self._wrong(
                "votes",
                f"has {count(dataset.shape[1], 'column')}, and {len(set(names))} different "
                "'vote_names'",
            )
        numbered = (f"vote {number}" for number in range(dataset.shape[1]))
        return self.read(dataset).astype(np.float32), tuple(names or numbered)

    def images(self, key: str, keep: np.ndarray, picking: Picking) -> tuple[np.ndarray, Seen]:
        """Pictures of the rows where ``keep`` (bool (n,)) holds: uint8 (kept, h, w, c); and what
        was seen of all.

        Read in blocks, so that what is picked is all that is held at once.
        """
        dataset = self.pictures(key)
        shape = dataset.shape if dataset.ndim == 4 else (*dataset.shape, 1)
        if shape[0] != len(keep):
            raise self._wrong(
                key, f"has {count(shape[0], 'picture')}, but there are {count(len(keep), 'label')}"
            )
        if dataset.dtype != np.uint8:
            found = self.pixels(key)
            raise self._wrong(
                key, f"is {dataset.dtype}, not uint8 (0..255): {found.words(self._convert)}"
            )
        picking.check(shape, str(self.path))
        seen = Seen(shape[0])
        picked: np.ndarray | None = None
        filled = 0
        for start, block in self.blocks(dataset):
            block = block.reshape(len(block), *shape[1:])
            seen.add(start, block)
            part = picking.apply(block[keep[start : start + len(block)]])
            if picked is None:
                made = (int(keep.sum()), *part.shape[1:])
                hdf5.check_whole(dataset, self.path, made)
                picked = np.empty(made, dtype=np.uint8)
            picked[filled : filled + len(part)] = part
            filled += len(part)
        assert picked is not None
        return picked, seen

    def pictures(self, key: str) -> h5py.Dataset:
        """The dataset of pictures, of any type: (n, h, w, 3), (n, h, w, 1) or (n, h, w)."""
        dataset = self._dataset(key, "image_key")
        shape = dataset.shape if dataset.ndim == 4 else (*dataset.shape, 1)
        if len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape:
            raise self._wrong(
                key,
                f"has shape {dataset.shape}; pictures are (n, h, w, 3), (n, h, w, 1) or "
                f"(n, h, w)" + self._transposed(dataset.shape),
            )
        return dataset

    def pixels(self, key: str) -> advice.Found:
        """Kind of pixels of pictures that are not uint8, and the conversion right for them."""
        dataset = self.pictures(key)
        low, high = np.inf, -np.inf
        for _, block in self.blocks(dataset) if dataset.dtype.kind in "uif" else ():
            low, high = np.minimum(low, block.min()), np.maximum(high, block.max())  # NaN stays
        return advice.of_pixels(float(low), float(high), dataset.dtype)

    def blocks(self, dataset: h5py.Dataset) -> Iterator[tuple[int, np.ndarray]]:
        """The first row of each block of whole chunks, and its values."""
        rows_of_chunk = dataset.chunks[0] if dataset.chunks else 1
        row_bytes = max(1, int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize)
        rows = max(_BLOCK_BYTES // row_bytes // rows_of_chunk, 1) * rows_of_chunk
        for start in range(0, dataset.shape[0], rows):
            alive()
            stop = min(start + rows, dataset.shape[0])
            yield start, self.read(dataset, slice(start, stop))

    def own_class_names(self, label_key: str) -> tuple[str, ...] | None:
        """The file's own names of the classes by label, None where it has none."""
        labels = self._dataset(label_key, "label_key")
        values = hdf5.attribute(labels, "class_names", self.path)
        if values is None:
            values = hdf5.attribute(self._file, "class_names", self.path)
        if values is None:
            kept = hdf5.dataset(self._file, "class_names", self.path)
            values = None if kept is None else self.read(kept)
        if values is None:
            return None
        return self._names(values, "class_names")

    @property
    def _convert(self) -> str:
        return f"python -m datasets convert {self.path} {self.path.stem}-converted.h5"

    @staticmethod
    def _transposed(shape: tuple[int, ...]) -> str:
        if len(shape) == 4 and shape[1] in (1, 3):
            return "; these look channels first: transpose them by (0, 2, 3, 1)"
        if len(shape) == 4 and shape[3] == 4:
            return "; leave the fourth channel (alpha) out: x[..., :3]"
        return ""


def _part(text: str) -> int:
    word = PART_WORDS.get(text.strip().lower())
    return -1 if word is None else PARTS.index(word)


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
        inside = sorted(one.name for one in path.iterdir() if one.suffix in (".h5", ".hdf5"))
        named = (
            f": {', '.join(inside[:_NAMED])}" if inside else " (there is none: make one of them)"
        )
        raise IsADirectoryError(f"{path}: a directory; name an HDF5 file in it{named}")
    with hdf5.opened(path, "an HDF5 file") as file:
        yield GalaxyFile(path, file)
