"""Files of galaxies as the public survey found them, beside those of `test_other_forms.py`."""

import fcntl
import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from datasets import catalog
from datasets.splits import stratified
from tests.helpers.sources import png

COUNT = 60
X = np.random.default_rng(7).integers(0, 256, (COUNT, 8, 8, 3)).astype(np.uint8)
X[0, 0, 0] = (0, 255, 128)  # the whole range is there
Y = np.arange(COUNT) % 3
TRAIN = Y.size * 2 // 3


def file_of(path: Path, attributes: dict[str, object] | None = None, **datasets: object) -> Path:
    with h5py.File(path / "mine.h5", "w") as file:
        for name, values in {"images": X, "ans": Y, **datasets}.items():
            if values is not None:
                file[name] = values
        file.attrs.update(attributes or {})
    return path / "mine.h5"


def unfilled(path: Path) -> Path:
    """A conversion that broke off."""
    made = file_of(path, images=None)
    with h5py.File(made, "a") as file:
        file.create_dataset("images", X.shape, "u1", chunks=(10, 8, 8, 3))[:20] = X[:20]
    return made


def preallocated(path: Path) -> Path:
    made = file_of(path, images=None)
    with h5py.File(made, "a") as file:
        file.create_dataset("images", X.shape, "u1")
    return made


def gone(path: Path, virtual: bool) -> Path:
    """Pictures whose source has moved."""
    made = file_of(path, images=None)
    with h5py.File(made, "a") as file:
        if virtual:
            layout = h5py.VirtualLayout(X.shape, "u1")
            layout[:] = h5py.VirtualSource("gone.h5", "images", X.shape, dtype="u1")
            file.create_virtual_dataset("images", layout)
        else:
            file["images"] = h5py.ExternalLink("gone.h5", "/images")
    return made


def of_links(path: Path) -> Path:
    with h5py.File(path / "mine.h5", "w") as file:
        file["pixels"] = h5py.ExternalLink("gone.h5", "/images")
    return path / "mine.h5"


def other_kind(path: Path) -> Path:
    with open(path / "mine.h5", "wb") as file:
        np.savez(file, images=X, ans=Y)
    return path / "mine.h5"


def folder(path: Path) -> Path:
    (path / "data").mkdir()
    file_of(path).rename(path / "data" / "mine.h5")
    return path / "data"


def encoded(path: Path) -> Path:
    with h5py.File(path / "mine.h5", "w") as file:
        kept = file.create_dataset("images", COUNT, h5py.vlen_dtype(np.uint8))
        for row in range(COUNT):
            kept[row] = np.frombuffer(png(row), np.uint8)
        file["ans"] = Y
    return path / "mine.h5"


Make = Callable[[Path], Path]
REFUSED: dict[str, tuple[Make, dict[str, object], str]] = {
    "never written": (preallocated, {}, "'images' was never written: it has a shape and no val"),
    "a virtual source is gone": (lambda path: gone(path, True), {}, "virtual dataset of gone.h5"),
    "a link's file is gone": (lambda path: gone(path, False), {}, "link to '/images' in gone.h5"),
    "nothing but links": (of_links, {}, r"it has pixels \(a link to gone\.h5\)"),
    "an npz of another name": (other_kind, {}, "not an HDF5 file"),
    "a folder of HDF5": (folder, {}, r"name an HDF5 file in it: mine\.h5"),
    "JPEG bytes": (encoded, {}, r"'images' has shape \(60,\)"),
    "five bands": (
        lambda path: file_of(path, images=np.repeat(X, 2, 3)[..., :5]),
        {},
        r"'images' has shape \(60, 8, 8, 5\)",
    ),
    "shares of votes": (
        lambda path: file_of(path, ans=np.random.default_rng(0).random((COUNT, 3))),
        {},
        r"'ans' has shape \(60, 3\)",
    ),
    "flags as labels": (lambda path: file_of(path, ans=Y == 1), {}, "'ans' is bool"),
    "names as JSON": (
        lambda path: file_of(path, {"class_names": json.dumps(["a", "b", "c"])}),
        {},
        "'class_names' is not a list of names",
    ),
    "a label of 1e12": (
        lambda path: file_of(path, ans=np.where(np.arange(COUNT) == 4, 10**12, Y)),
        {},
        "1000000000000 in row 4",
    ),
    "no part of that name": (lambda path: file_of(path), {"split_from": "part"}, "split-from"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_meaning_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    make, settings, message = REFUSED[case]
    path = make(tmp_path)
    with pytest.raises((ValueError, OSError)) as told:
        catalog.load(path, cache_dir=tmp_path / "cache", **settings)  # type: ignore[arg-type]
    words = str(told.value)
    assert words.startswith(str(path))
    assert re.search(message, words)
    assert "\n" not in words


def test_a_file_that_is_being_written_says_so(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    with path.open("rb+") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with pytest.raises(OSError, match=r"mine\.h5: is locked: another process has it open"):
            catalog.load(path)
    assert len(catalog.load(path).labels) == COUNT


TAKEN: dict[str, Make] = {
    "pictures and labels of other names": lambda path: file_of(
        path, images=None, ans=None, image=X, label=Y
    ),
    "pictures that are not square": lambda path: file_of(path, images=X[:, :6]),
    "floats that are whole": lambda path: file_of(path, ans=Y.astype("f8")),
    "big-endian labels": lambda path: file_of(path, ans=Y.astype(">i4")),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_has_one_meaning_is_taken(case: str, tmp_path: Path) -> None:
    data = catalog.load(TAKEN[case](tmp_path), cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(data.labels, Y)
    np.testing.assert_array_equal(data.images, X[:, : data.images.shape[1]])


def test_groups_train_and_test_are_the_published_split(tmp_path: Path) -> None:
    parts = {"train": slice(0, TRAIN), "test": slice(TRAIN, None)}
    datasets = {f"{part}/images": X[rows] for part, rows in parts.items()}
    datasets |= {f"{part}/labels": Y[rows] for part, rows in parts.items()}
    path = file_of(tmp_path, images=None, ans=None, **datasets)
    data = catalog.load(path, cache_dir=tmp_path / "cache", split_from="split")
    assert data.parts is not None
    found = [tuple(one) for one in zip(data.parts.tolist(), data.labels.tolist(), strict=True)]
    assert sorted(found) == sorted(
        (0 if row < TRAIN else 2, int(label)) for row, label in enumerate(Y)
    )


def test_what_was_never_written_is_told_as_blank(tmp_path: Path) -> None:
    data = catalog.load(unfilled(tmp_path))
    assert data.note.startswith("40 of 60 pictures are blank, from row 20 on")


def test_a_class_of_one_galaxy_is_taken(tmp_path: Path) -> None:
    data = catalog.load(file_of(tmp_path, ans=np.where(np.arange(COUNT) == 5, 3, Y)))
    split = stratified(data.labels, seed=0)
    assert sum(len(rows) for rows in split.parts().values()) == COUNT
