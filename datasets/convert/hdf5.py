"""HDF5 files of any keys and layouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.convert.boxes import Box, open_box
from datasets.convert.form import Asked, Form
from datasets.galaxy_file import GalaxyFile, open_galaxies

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


@contextmanager
def open_hdf5(path: Path, asked: Asked) -> Iterator[Form]:
    """The form of an HDF5 file; raises ValueError or OSError naming it where it is none."""
    with open_galaxies(path) as file:
        found = file.datasets(*filter(None, (asked.image_key, asked.label_key, asked.group_key)))
        arrays = {name: _Dataset(file, dataset) for name, dataset in found.items()}
        box = Box(
            where=str(path),
            arrays=arrays,
            values=lambda name: file.read(found[name]),
            names=file.own_class_names,
            source=file.source() or "",
        )
        form = open_box(box, asked)
        voted = asked.vote_keys[0] if asked.vote_keys else "votes"
        if form.rows.votes is not None and (names := file.vote_names(voted)):
            form.rows.vote_names = names
        yield form
