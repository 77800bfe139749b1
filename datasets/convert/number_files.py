"""Pictures of which each is an array in a `.npy` file of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from datasets.convert.bad import OTHER_FORM, UNREADABLE, Bad
from datasets.convert.fitting import Fit
from datasets.convert.pixels import ArrayPictures
from results.door import arrays
from results.door.apart import alive
from results.door.folders import Folder
from results.door.refusal import FileError

ENDING = ".npy"
_MOST = 1 << 30  # bytes of one picture
_BLOCK_BYTES = 1 << 22
_WHAT = "an array of NumPy"


def number_files(folder: Folder) -> list[str]:
    """The names of its `.npy` files where each is a picture; none where one is all the pictures, or
    all the labels: then they are of unlike shapes."""
    names = [name for name in folder.names if name.lower().endswith(ENDING)]
    if len(names) < 2:
        return []
    first, last = (_header(folder, name)[0] for name in (names[0], names[-1]))
    return names if first == last and len(first) in (2, 3) else []


def number_pictures(
    folder: Folder, names: Sequence[str], told: Sequence[str], fit: Fit, bad: Bad
) -> ArrayPictures:
    """The pictures of these files.

    Args:
        told: what messages call each.
        bad: told of files that are no arrays, and of those unlike the first.

    Raises:
        ValueError: no file of them all is an array.
    """
    found = _Files(folder, names, told, bad)
    return ArrayPictures([(f"{names[0]}, ...", found)], str(folder.path), fit)


class _Files:
    """The files as one array (n, ...) that is read block by block; 0 for those that are bad."""

    def __init__(self, folder: Folder, names: Sequence[str], told: Sequence[str], bad: Bad) -> None:
        self._folder, self._names = folder, names
        self._skipped: set[int] = set()
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.uint8)
        for row, name in enumerate(names):
            alive()
            try:
                shape, dtype = _header(folder, name)
            except FileError:
                self._skip(row, bad, UNREADABLE, told)
                continue
            if not self.shape:
                self.shape, self.dtype = (len(names), *shape), dtype
            elif (shape, dtype) != (self.shape[1:], self.dtype):
                self._skip(row, bad, OTHER_FORM, told)
        if not self.shape:
            raise ValueError(f"{folder.path}: none of its {len(names):,} .npy files is an array")

    def _skip(self, row: int, bad: Bad, kind: str, told: Sequence[str]) -> None:
        self._skipped.add(row)
        bad.add(kind, told[row], row)

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The first row of each block, and its values.

        Raises:
            FileError: a file is damaged behind its first bytes.
        """
        size = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        rows = max(1, _BLOCK_BYTES // max(1, size))
        for start in range(0, len(self._names), rows):
            block = np.zeros((min(rows, len(self._names) - start), *self.shape[1:]), self.dtype)
            for place in range(len(block)):
                if start + place not in self._skipped:
                    name = self._names[start + place]
                    content = self._folder.content(name, _MOST)
                    block[place] = arrays.array(content, f"{self._folder.path}/{name}", _WHAT)
            yield start, block


def _header(folder: Folder, name: str) -> tuple[tuple[int, ...], np.dtype]:
    return arrays.header(lambda: folder.open(name), f"{folder.path}/{name}", _WHAT)
