"""The forms in which public galaxies lie around, and whether `--dataset` takes each.

A small one of each is read.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from datasets import catalog
from tests.helpers import sources

Form = Literal[
    "hdf5",  # pictures and labels, as Galaxy10 has them
    "class_folders",  # a folder of pictures for each class
    "csv_labels",  # a folder of pictures, and a table with a label for each
    "csv_votes",  # the same with shares of votes
    "npz",
    "npy_folder",  # a file of numbers for each galaxy, and a table
    "sqlite",  # a folder of pictures, and a database
    "tfrecord",  # of raw numbers
]


@cache
def taken(form: Form) -> bool:
    """Whether galaxies of a form are read, with their pictures, labels and votes.

    TFRecord is not asked: the public records hold raw numbers, the reader takes encoded pictures.
    """
    if form not in _MAKE:
        return False
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        source = _MAKE[form](Path(folder))
        try:
            made = catalog.load(source, cache_dir=Path(folder) / "cache")
        except ValueError:
            return False
    by_class = made.images[np.argsort(made.labels, kind="stable")]
    same = np.array_equal(by_class, sources.IMAGES[sources.BY_CLASS])
    return same and (form != "csv_votes" or made.votes is not None)


_MAKE: dict[Form, Callable[[Path], Path]] = {
    "hdf5": sources.plain,
    "class_folders": sources.class_folders,
    "csv_labels": sources.table,
    "csv_votes": sources.votes,
    "npz": sources.npz,
    "npy_folder": sources.npy_folder,
    "sqlite": sources.database,
}
