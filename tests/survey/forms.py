"""The forms in which public galaxies lie around, and those of them that are taken."""

from __future__ import annotations

from typing import Literal

Form = Literal[
    "hdf5",  # pictures and labels, as Galaxy10 has them
    "class_folders",  # a folder of pictures for each class
    "csv_labels",  # a folder of pictures, and a table with a label for each
    "csv_votes",  # the same with shares of votes
    "npz",
    "npy_folder",  # a file of numbers for each galaxy
    "sqlite",  # a folder of pictures, and a database
    "tfrecord",
]
TAKEN: frozenset[Form] = frozenset({"hdf5"})
