"""An HDF5 file that is open: its datasets, names and attributes, and what messages call them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from results.door import hdf5
from results.vocabulary import near_miss

if TYPE_CHECKING:
    import h5py

_NAMED = 12  # datasets that a message names


class OpenFile:
    """An open HDF5 file. All methods raise ValueError or OSError naming the file."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file

    def datasets(self, *asked: str) -> dict[str, h5py.Dataset]:
        """The datasets that lie in this file, by name.

        Raises:
            ValueError: one that is asked for lies elsewhere or is damaged; others are left out.
        """
        found = {}
        for name in hdf5.present(self._file, self.path):
            try:
                dataset = hdf5.dataset(self._file, name, self.path)
            except ValueError:
                if name in asked or not asked:
                    raise
                continue
            if dataset is not None:
                found[name] = dataset
        return found

    def has(self, key: str) -> bool:
        """True if there is a dataset of this name."""
        return hdf5.dataset(self._file, key, self.path) is not None

    def values(self, key: str, argument: str) -> np.ndarray:
        """All values of a dataset, as the file has them; ``argument`` is what named it."""
        return self.read(self._dataset(key, argument))

    def read(self, dataset: h5py.Dataset, rows: slice | tuple = ()) -> np.ndarray:
        """Values of a dataset; the message of a damaged file names it."""
        return hdf5.values(dataset, self.path, rows)

    def source(self) -> str | None:
        """The file's own word on where it comes from (attribute ``source`` or ``citation``)."""
        for name in ("source", "citation"):
            if isinstance(text := hdf5.attribute(self._file, name, self.path), str):
                return text
        return None

    def left_out(self) -> str:
        """Galaxies that the file's conversion left out, in words, or ""."""
        told = hdf5.attribute(self._file, "left_out", self.path)
        return told if isinstance(told, str) else ""

    def vote_names(self, key: str) -> tuple[str, ...]:
        """The names beside a dataset of votes (its attribute ``vote_names``), or none."""
        kept = hdf5.attribute(self._dataset(key, "vote_keys"), "vote_names", self.path)
        return () if kept is None else self._names(kept, "vote_names")

    def _names(self, kept: object, key: str) -> tuple[str, ...]:
        values = np.asarray(kept)
        if values.ndim != 1 or not all(isinstance(value, bytes | str) for value in values):
            raise self._wrong(key, "is not a list of names")
        return tuple(
            value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            for value in values.tolist()
        )

    def _dataset(self, key: str, argument: str) -> h5py.Dataset:
        found = hdf5.dataset(self._file, key, self.path)
        if found is not None:
            return found
        present = hdf5.present(self._file, self.path)
        shown = list(present.values())
        more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
        option = f"--{argument.replace('_', '-')}"
        raise ValueError(
            f"{self.path}: no dataset {key!r} ({argument}){near_miss(key, present)}; it has "
            f"{', '.join(shown[:_NAMED]) or 'none at all'}{more}; name another with {option}"
        )

    def _wrong(self, key: str, what: str) -> ValueError:
        return ValueError(f"{self.path}: {key!r} {what}")
