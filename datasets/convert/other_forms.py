"""HDF5 files whose pictures or labels are of another form: converted as `datasets.advice` says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets import advice
from datasets.convert.convert import Galaxies, check_output, write
from datasets.galaxy_file import GalaxyFile, open_galaxies


def converted(source: Path, output: Path, image_key: str, label_key: str) -> str:
    """Make a file of galaxies of another HDF5 file; returns what was done, in words.

    Raises:
        FileExistsError: the output is there.
        ValueError, OSError: a file that cannot be read, or values whose meaning is not known; the
            message names the file and the dataset.
    """
    check_output(output)
    with open_galaxies(source) as file:
        done: list[str] = []
        labels, names = _labels(file, label_key, done)
        pictures = _pictures(file, image_key, done)
        if len(pictures) != len(labels):
            raise ValueError(
                f"{source}: {len(pictures)} pictures, but there are {len(labels)} labels"
            )
        groups = _groups(file, len(labels), done)
        about = {"source": file.source() or f"The file {source.name}."}
    columns = {} if groups is None else {"groups": groups}
    sha256 = write(Galaxies(pictures, labels, names, columns), output, about)
    what = "; ".join(done) or "nothing had to be converted"
    return (
        f"{output}: {len(labels):,} galaxies of {pictures.shape[1]}x{pictures.shape[2]} pixels in "
        f"{len(names)} classes; {what}\ncontent SHA-256 {sha256}"
    )


def _pictures(file: GalaxyFile, key: str, done: list[str]) -> np.ndarray:
    """uint8 (n, height, width, channels), converted block by block."""
    dataset = file.pictures(key)
    conversion = None
    if dataset.dtype != np.uint8:
        found = file.pixels(key)
        conversion = found.conversion
        if conversion is None:
            raise ValueError(f"{file.path}: {key!r} is {dataset.dtype}: {found.what}")
        done.append(f"'{key}' by {conversion.code}")
    shape = dataset.shape if dataset.ndim == 4 else (*dataset.shape, 1)
    made = np.empty(shape, dtype=np.uint8)
    for start, block in file.blocks(dataset):
        values = block if conversion is None else conversion.apply(block)
        made[start : start + len(block)] = values.reshape(len(block), *shape[1:])
    return made


def _labels(file: GalaxyFile, key: str, done: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels from 0 on, int64 (n,), and the names of the classes."""
    values = file.values(key, "label_key")
    names = file.own_class_names(key)
    while (found := advice.of_labels(values)) is not None:
        if found.conversion is None:
            raise ValueError(f"{file.path}: {key!r} {found.what}")
        if values.ndim == 1 and values.dtype.kind in "SUO":
            names = tuple(
                one.decode(errors="replace") if isinstance(one, bytes) else str(one)
                for one in np.unique(values).tolist()
            )
        values = found.conversion.apply(values)
        done.append(f"'{key}' by {found.conversion.code}")
    if values.dtype.kind == "f":
        if not (np.isfinite(values) & (values == np.round(values))).all():
            raise ValueError(f"{file.path}: {key!r} has labels that are no whole numbers")
        values = values.astype(np.int64)
    present = np.unique(values)
    if names is None:
        if len(present) > len(values) // 2:
            raise ValueError(
                f"{file.path}: {key!r} has {len(present):,} different numbers in {len(values):,} "
                "rows: these are no classes; name the labels with --label-key"
            )
        names = tuple(f"class {number}" for number in present.tolist())
        if not np.array_equal(present, np.arange(len(present))):
            done.append(f"'{key}' numbered from 0 on")
        values = np.searchsorted(present, values)
    elif present[0] < 0 or present[-1] >= len(names):
        raise ValueError(f"{file.path}: {key!r} has labels that have no name in 'class_names'")
    return values.astype(np.int64), names


def _groups(file: GalaxyFile, rows: int, done: list[str]) -> np.ndarray | None:
    if not file.has("groups"):
        return None
    values = file.values("groups", "group_key")
    if values.shape != (rows,):
        raise ValueError(f"{file.path}: 'groups' has shape {values.shape}, not ({rows},)")
    if (found := advice.of_groups(values)) is not None:
        if found.conversion is None:
            raise ValueError(f"{file.path}: 'groups' {found.what}")
        done.append(f"'groups' by {found.conversion.code}")
        values = found.conversion.apply(values)
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
