"""MATLAB's files: version 7.3, which is HDF5, and the versions before, which SciPy reads.

MATLAB's first axis is the fastest in memory, so HDF5 has its axes in the opposite order. Pictures
are (height, width, colours, n), as MATLAB stacks them, or (n, height, width, colours).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from datasets.convert.boxes import Box, open_box
from datasets.convert.form import Asked, Form
from datasets.galaxy_file import GalaxyFile, open_galaxies
from results.door.refusal import reading

ENDING = ".mat"
_HDF5 = b"\x89HDF"
_WHAT = "a file of MATLAB"


class _Whole:
    """An array in memory, as an `Array`; of a cell of words the words."""

    def __init__(self, values: np.ndarray) -> None:
        self.array = _words(values) if values.dtype == object else values
        self.shape, self.dtype = self.array.shape, self.array.dtype

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        yield 0, self.array


class _Turned:
    """A dataset whose first axis, MATLAB's last, counts the pictures: read block by block."""

    def __init__(self, file: GalaxyFile, dataset: Any) -> None:
        self._file, self._dataset = file, dataset
        first, *rest = dataset.shape
        self.shape, self.dtype = (first, *rest[::-1]), dataset.dtype

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        for start, block in self._file.blocks(self._dataset):
            yield start, block.transpose(0, *range(block.ndim - 1, 0, -1))


@contextmanager
def open_mat(path: Path, asked: Asked) -> Iterator[Form]:
    """The form of a file of MATLAB.

    Raises:
        ValueError, OSError: it is damaged, or its arrays cannot be told apart.
    """
    with path.open("rb") as file:
        head = file.read(516)
    if head.startswith(_HDF5) or head[512:].startswith(_HDF5):
        with open_galaxies(path) as galaxies:
            yield open_box(_box(path, _of_hdf5(galaxies)), asked)
        return
    with reading(str(path), _WHAT, "save it again, as in save('galaxies.mat', '-v7')"):
        from scipy.io import loadmat

        found = {name: one for name, one in loadmat(path).items() if not name.startswith("__")}
    arrays = dict(_arrays(found))
    rows = _counts(one.shape for one in arrays.values())
    yield open_box(
        _box(
            path,
            {
                name: _Whole(np.moveaxis(one, -1, 0) if _stacked(one.shape, rows) else one)
                for name, one in arrays.items()
            },
        ),
        asked,
    )


def _of_hdf5(file: GalaxyFile) -> dict[str, Any]:
    found = {name: one for name, one in file.datasets().items() if one.dtype != object}
    rows = _counts(one.shape for one in found.values())
    arrays: dict[str, Any] = {}
    for name, one in found.items():
        if _stacked(one.shape[::-1], rows):
            arrays[name] = _Turned(file, one)
        else:
            arrays[name] = _Whole(np.asarray(file.read(one)).T)
    return arrays


def _box(path: Path, arrays: Mapping[str, Any]) -> Box:
    return Box(str(path), arrays, lambda name: arrays[name].array)


def _counts(shapes: Any) -> set[int]:
    """The lengths of all vectors: labels are one."""
    return {max(shape) for shape in shapes if len(shape) == 2 and min(shape) == 1}


def _stacked(shape: tuple[int, ...], rows: set[int]) -> bool:
    """True if the last axis of an array of MATLAB counts the pictures, and not the first."""
    colours = len(shape) == 4 and shape[2] in (1, 3)
    if len(shape) not in (3, 4) or (rows and shape[-1] not in rows):
        return False
    return colours if not rows else colours or shape[0] not in rows


def _arrays(found: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """All arrays by name; of a structure, its fields: `galaxies.images`."""
    for name, one in found.items():
        if isinstance(one, np.ndarray) and one.dtype.names and one.size == 1:
            fields = {f"{name}.{field}": one[field].flat[0] for field in one.dtype.names}
            yield from _arrays(fields)
        elif isinstance(one, np.ndarray):
            yield name, one


def _words(values: np.ndarray) -> np.ndarray:
    """The words of a cell array, (n,); what else is in it stays as it is."""
    flat = [np.ravel(one) for one in values.ravel()]
    if all(one.size == 1 and one.dtype.kind == "U" for one in flat):
        return np.array([str(one[0]) for one in flat])
    return values
