"""The form of a source, recognised by a folder's content or a file's ending and first bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from datasets.convert import tfrecord, unread
from datasets.convert.folder import labelled, open_folder, pictures_of
from datasets.convert.form import Asked, Form
from datasets.convert.hdf5 import open_hdf5, split_files
from datasets.convert.mat_files import ENDING as MATLAB
from datasets.convert.mat_files import open_mat
from datasets.convert.number_files import number_files
from datasets.convert.numpy_files import ENDINGS as NUMPY
from datasets.convert.numpy_files import open_numpy
from datasets.convert.parquet import ENDING as PARQUET
from datasets.convert.parquet import open_parquet
from datasets.convert.table import TABLES
from datasets.galaxy_file import open_galaxies
from results.door import folders, hdf5
from results.vocabulary import near_miss

FORMS = (
    "HDF5, .npz, .npy, .mat, .parquet, .tfrecord, a .csv with its pictures beside it, or a folder "
    "or zip file of pictures"
)


def is_source(path: Path) -> bool:
    """True if a path is a source of another form than HDF5, to be converted before it is read.

    Forms that are refused by name are among them, and folders of HDF5 files of a published split.
    """
    if path.is_dir():
        files = [*path.glob("*.h5"), *path.glob("*.hdf5")]
        return not files or bool(split_files(path))
    name = path.name.lower()
    taken = name.endswith((*NUMPY, *TABLES, PARQUET, MATLAB, ".zip")) or tfrecord.is_tfrecord(name)
    return taken or bool(_refusal(path))


def _refusal(path: Path) -> str:
    """The refusal of a file by its name; "" of one that is read, or is HDF5 all the same."""
    told = unread.of_file(path)
    return "" if told and path.exists() and hdf5.begins(path) else told


def has_other_keys(path: Path, image_key: str, label_key: str) -> bool:
    """True if an HDF5 file has neither `images` nor `ans`, and no other keys were named.

    False for a folder and for a file that cannot be read.
    """
    if (image_key, label_key) != ("images", "ans") or path.is_dir():
        return False
    try:
        with open_galaxies(path) as file:
            return bool(file.datasets()) and not (file.has("images") or file.has("ans"))
    except (OSError, ValueError):  # whoever reads it says why
        return False


@contextmanager
def open_source(path: Path, asked: Asked) -> Iterator[Form]:
    """The form that a source is of, open for reading.

    Raises:
        ValueError, OSError: no such source, of no known form, or wrong; the message names it.
    """
    if not path.exists():
        beside = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
        raise FileNotFoundError(f"{path}: no such file or folder{near_miss(path.name, beside)}")
    name = path.name.lower()
    if path.is_dir():
        with _open_folder(path, asked) as form:
            yield form
    elif name.endswith(NUMPY):
        yield open_numpy(path, asked)
    elif name.endswith(PARQUET):
        yield open_parquet(path, asked)
    elif name.endswith(MATLAB):
        with open_mat(path, asked) as form:
            yield form
    elif tfrecord.is_tfrecord(name):
        yield tfrecord.open_tfrecord(path, asked)
    elif name.endswith(TABLES):
        with folders.opened(path.parent) as folder:
            yield open_folder(folder, replace(asked, table=path.name))
    elif told := _refusal(path):
        raise ValueError(f"{path}: {told}")
    elif name.endswith(".zip") or folders.is_zip(path):
        with folders.opened(path) as folder:
            yield open_folder(folder, asked)
    else:
        with open_hdf5(path, asked) as form:
            yield form


@contextmanager
def _open_folder(path: Path, asked: Asked) -> Iterator[Form]:
    with folders.opened(path) as folder:
        names = [name.lower() for name in folder.names]
        pictures = pictures_of(folder)
        if any(name.endswith(PARQUET) for name in names) and not pictures:
            yield open_parquet(path, asked)
        elif any(map(tfrecord.is_tfrecord, names)):
            yield tfrecord.open_tfrecord(path, asked)
        elif pictures or (labelled(folder) and number_files(folder)):
            yield open_folder(folder, asked)
        elif any(name.endswith(".npy") for name in names):
            yield open_numpy(path, asked)
        elif split_files(path):
            with open_hdf5(path, asked) as form:
                yield form
        elif found := [name for name in folder.names if name.endswith((".h5", ".hdf5"))]:
            raise IsADirectoryError(
                f"{path}: a directory; name a file in it: {', '.join(found[:12])}"
            )
        else:
            told = (
                unread.of_folder(folder.names) or f"neither pictures nor arrays in it; give {FORMS}"
            )
            raise ValueError(f"{path}: {told}")
