"""HDF5 files of any keys and layouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.convert.boxes import Box, open_box
from datasets.convert.form import Asked, Form
from datasets.galaxy_file import GalaxyFile, open_galaxies
from datasets.splits import PART_WORDS, part_in

if TYPE_CHECKING:
    import h5py


class _Dataset:
    """A dataset as an `Array`."""

    def __init__(self, file: GalaxyFile, dataset: h5py.Dataset) -> None:
        self._file, self._dataset = file, dataset
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype: np.dtype = dataset.dtype

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        return self._file.blocks(self._dataset)

    def values(self) -> np.ndarray:
        """All of it."""
        return self._file.read(self._dataset)

    def class_names(self) -> tuple[str, ...] | None:
        """The names that go with these labels, if the file has any."""
        return self._file.own_class_names(self._dataset.name.lstrip("/"))


def split_files(path: Path) -> list[Path]:
    """The HDF5 files of a folder, if each is a part of a published split by its name: Galaxy
    MNIST's train_dataset.hdf5 and test_dataset.hdf5. None otherwise."""
    files = sorted([*path.glob("*.h5"), *path.glob("*.hdf5")])
    parts = {PART_WORDS.get(part_in(file.stem)) for file in files}
    return files if len(files) == len(parts) > 1 and None not in parts else []


@contextmanager
def open_hdf5(path: Path, asked: Asked) -> Iterator[Form]:
    """The form of an HDF5 file, or of the files of a published split in a folder, whose datasets
    are then called after file and dataset: train_dataset/images.

    Raises:
        ValueError, OSError: it is none; the message names it.
    """
    files = split_files(path) if path.is_dir() else [path]
    keys = tuple(filter(None, (asked.image_key, asked.label_key, asked.group_key)))
    arrays: dict[str, _Dataset] = {}
    with ExitStack() as stack:
        for one in files:
            file = stack.enter_context(open_galaxies(one))
            first = f"{one.stem}/" if path.is_dir() else ""
            own = [key.removeprefix(first) for key in keys if key.startswith(first)]
            found = file.datasets(*own)
            arrays |= {f"{first}{name}": _Dataset(file, found[name]) for name in found}
        box = Box(
            where=str(path),
            arrays=arrays,
            values=lambda name: arrays[name].values(),
            names=lambda name: arrays[name].class_names(),
            source=file.source() or "",
        )
        form = open_box(box, asked)
        voted = asked.vote_keys[0] if asked.vote_keys else "votes"
        if form.rows.votes is not None and (names := file.vote_names(voted)):
            form.rows.vote_names = names
        yield form
