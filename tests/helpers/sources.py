"""The same small galaxies in every form in which people hold theirs."""

import io
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.io import savemat

from datasets import catalog
from datasets.__main__ import main

COUNT, SIDE = 60, 12
NAMES = ("elliptical", "irregular", "spiral")  # sorted, as class folders are
LABELS = np.arange(COUNT) % 3
_RANDOM = np.random.default_rng(11)
IMAGES = _RANDOM.integers(0, 140, (COUNT, SIDE, SIDE, 3)).astype(np.uint8)
IMAGES[..., 0] += (50 * LABELS[:, None, None]).astype(np.uint8)
IMAGES[0, 0, 0] = (0, 255, 128)  # the whole range is there
PARTS = np.where(np.arange(COUNT) % 5 == 0, "test", "train")
BY_CLASS = np.argsort(LABELS, kind="stable")  # the order of pictures in class folders
BY_PART = np.concatenate([np.flatnonzero(PARTS == "test"), np.flatnonzero(PARTS == "train")])


def png(row: int, image: np.ndarray | None = None) -> bytes:
    """A picture as the bytes of a file, without loss."""
    file = io.BytesIO()
    Image.fromarray(IMAGES[row] if image is None else image).save(file, "png")
    return file.getvalue()


def plain(path: Path) -> Path:
    """A file of galaxies as the harness reads it, with its classes named."""
    with h5py.File(path / "plain.h5", "w") as file:
        file["images"], file["ans"] = IMAGES, LABELS
        file.attrs["class_names"] = list(NAMES)
    return path / "plain.h5"


def hdf5(path: Path) -> Path:
    with h5py.File(path / "other.h5", "w") as file:
        file["data/pictures"] = IMAGES.transpose(0, 3, 1, 2) / np.float32(255)
        file["data/kind"] = np.array(NAMES, dtype="S")[LABELS]
    return path / "other.h5"


def npz(path: Path) -> Path:
    np.savez_compressed(path / "mine.npz", x=IMAGES, y=np.eye(3)[LABELS], class_names=NAMES)
    return path / "mine.npz"


def npz_parts(path: Path) -> Path:
    train, test = PARTS == "train", PARTS == "test"
    np.savez(
        path / "parts.npz",
        x_test=IMAGES[test],
        y_test=LABELS[test][:, None],
        x_train=IMAGES[train],
        y_train=LABELS[train][:, None],
    )
    return path / "parts.npz"


def npy(path: Path) -> Path:
    folder = path / "arrays"
    folder.mkdir()
    np.save(folder / "images.npy", IMAGES.astype(np.uint16) * 257)
    np.save(folder / "labels.npy", np.array(NAMES)[LABELS])
    return folder / "images.npy"


def parquet(path: Path) -> Path:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = pa.array([{"bytes": png(row), "path": None} for row in range(COUNT)], kind)
    schema = pa.schema([("image", kind), ("label", pa.int64())])
    feature = {"label": {"names": list(NAMES), "_type": "ClassLabel"}}
    schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": feature}})})
    pq.write_table(pa.table([pictures, pa.array(LABELS)], schema=schema), path / "hub.parquet")
    return path / "hub.parquet"


def parquet_shards(path: Path) -> Path:
    folder = path / "shards" / "data"
    folder.mkdir(parents=True)
    for part in ("test", "train"):
        rows = np.flatnonzero(part == PARTS).tolist()
        table = pa.table(
            {"img": [png(row) for row in rows], "class": [NAMES[LABELS[row]] for row in rows]}
        )
        pq.write_table(table, folder / f"{part}-00000-of-00001.parquet")
    return path / "shards"


def class_folders(path: Path) -> Path:
    for row in range(COUNT):
        folder = path / "folders" / "galaxies" / NAMES[LABELS[row]]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row:03}.png").write_bytes(png(row))
    return path / "folders"


def class_folders_zipped(path: Path) -> Path:
    return Path(shutil.make_archive(str(path / "packed"), "zip", class_folders(path)))


def split_folders(path: Path) -> Path:
    for row in range(COUNT):
        folder = path / "published" / PARTS[row] / NAMES[LABELS[row]]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row:03}.png").write_bytes(png(row))
    return path / "published"


def table(path: Path, *, form: Callable[[int], str] | None = None, head: str = "") -> Path:
    """Pictures in a folder below a table of their classes; form: a line of it, head: its first."""
    folder = path / "survey"
    (folder / "pictures").mkdir(parents=True)
    for row in range(COUNT):
        (folder / "pictures" / f"{1000 + row}.png").write_bytes(png(row))
    line = form or (lambda row: f"{1000 + row},{NAMES[LABELS[row]]},{PARTS[row]}")
    lines = [head or "id,label,split", *map(line, range(COUNT))]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def two_tables(path: Path) -> Path:
    """A table for each part of the published split, and all pictures in one folder."""
    folder = table(path)
    (folder / "labels.csv").unlink()
    for part in ("train", "test"):
        rows = np.flatnonzero(part == PARTS)
        lines = [f"{1000 + row}.png,{NAMES[LABELS[row]]}" for row in rows]
        (folder / f"{part}.csv").write_text("\n".join(["filename,class", *lines]))
    return folder


def tables_of_folders(path: Path) -> Path:
    """A table beside the pictures of each part, which are numbered from 0 in each."""
    for part in ("train", "test"):
        folder = path / "exported" / f"{part}_set"
        folder.mkdir(parents=True)
        lines = []
        for number, row in enumerate(np.flatnonzero(part == PARTS)):
            (folder / f"{number}.png").write_bytes(png(row))
            lines.append(f"{number}.png;{NAMES[LABELS[row]]}")
        (folder / "_classes.csv").write_text("\n".join(["filename;class", *lines]))
    return path / "exported"


def mat(path: Path) -> Path:
    """As MATLAB 5 to 7 saves it: pictures stacked last, names in a cell."""
    names = np.array(NAMES, dtype=object)[LABELS][:, None]
    savemat(path / "galaxies.mat", {"X": IMAGES.transpose(1, 2, 3, 0), "y": names})
    return path / "galaxies.mat"


def mat_hdf5(path: Path) -> Path:
    """As MATLAB saves it with -v7.3: HDF5 behind 512 bytes, the axes in the opposite order."""
    with h5py.File(path / "big.mat", "w", userblock_size=512) as file:
        file["pictures"] = IMAGES.transpose(0, 3, 2, 1)
        file["label"] = (LABELS + 1.0)[None]
    return path / "big.mat"


def mat_rows_first(path: Path) -> Path:
    """The same with the pictures counted by MATLAB's first axis."""
    with h5py.File(path / "rows.mat", "w", userblock_size=512) as file:
        file["images"] = IMAGES.transpose(3, 2, 1, 0)
        file["labels"] = LABELS[None].astype(np.uint8)
    return path / "rows.mat"


def database(path: Path) -> Path:
    """Pictures in a folder below an SQLite file of their classes, as numbers."""
    folder = table(path)
    (folder / "labels.csv").unlink()
    with closing(sqlite3.connect(folder / "labels.sqlite")) as base:
        base.execute('create table "the galaxies" (id integer, label integer, ra real)')
        rows = [(1000 + row, int(label), row / 7) for row, label in enumerate(LABELS)]
        base.executemany('insert into "the galaxies" values (?, ?, ?)', rows)
        base.commit()
    return folder


def npy_folder(path: Path) -> Path:
    """An array for each galaxy, named in a table."""
    folder = path / "matrices"
    (folder / "pictures").mkdir(parents=True)
    for row, picture in enumerate(IMAGES):
        np.save(folder / "pictures" / f"{1000 + row}.npy", picture / np.float32(255))
    lines = [f"{1000 + row},{NAMES[label]}" for row, label in enumerate(LABELS)]
    (folder / "labels.csv").write_text("\n".join(["id,label", *lines]), encoding="utf-8")
    return folder


def npy_classes(path: Path) -> Path:
    """An array for each galaxy, in a folder for each class, in a zip file."""
    with zipfile.ZipFile(path / "arrays.zip", "w") as archive:
        for row, picture in enumerate(IMAGES):
            file = io.BytesIO()
            np.save(file, np.asfortranarray(picture))
            archive.writestr(f"{NAMES[LABELS[row]]}/{row:03}.npy", file.getvalue())
    return path / "arrays.zip"


def semicolons(path: Path) -> Path:
    """The same as spreadsheets save it: semicolons, a byte-order mark, CRLF, names with endings."""
    folder = table(path)
    lines = [f"{1000 + row}.png;{NAMES[LABELS[row]]}" for row in range(COUNT)]
    text = "\r\n".join(["picture;type", *lines])
    (folder / "labels.csv").write_text(text, encoding="utf-8-sig", newline="")
    return folder / "labels.csv"


def votes(path: Path) -> Path:
    """Galaxy Zoo's: a zip file with shares of votes on two questions."""
    shares = np.full((COUNT, 3), 0.2)
    shares[np.arange(COUNT), LABELS] = 0.6
    head = (
        "GalaxyID," + ",".join(f"Class1.{place + 1}" for place in range(3)) + ",Class2.1,Class2.2"
    )
    folder = table(
        path,
        head=head,
        form=lambda row: f"{1000 + row},{','.join(map(str, shares[row]))},0.25,0.35",
    )
    with zipfile.ZipFile(path / "votes.zip", "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(path))
    return path / "votes.zip"


# By name: what makes it, the order its rows come in, whether it has a published split.
FORMS: dict[str, tuple[Callable[[Path], Path], np.ndarray, bool]] = {
    "hdf5": (hdf5, np.arange(COUNT), False),
    "npz": (npz, np.arange(COUNT), False),
    "npz of parts": (npz_parts, BY_PART, True),
    "npy": (npy, np.arange(COUNT), False),
    "an npy for each": (npy_folder, np.arange(COUNT), False),
    "an npy for each, in class folders": (npy_classes, BY_CLASS, False),
    "parquet": (parquet, np.arange(COUNT), False),
    "parquet shards": (parquet_shards, BY_PART, True),
    "class folders": (class_folders, BY_CLASS, False),
    "class folders, zipped": (class_folders_zipped, BY_CLASS, False),
    "class folders of parts": (split_folders, np.lexsort((BY_CLASS * 0, LABELS, PARTS)), True),
    "pictures and a table": (table, np.arange(COUNT), True),
    "a table for each part": (two_tables, BY_PART, True),
    "a table in the folder of each part": (tables_of_folders, BY_PART, True),
    "mat": (mat, np.arange(COUNT), False),
    "mat of HDF5": (mat_hdf5, np.arange(COUNT), False),
    "mat of HDF5, rows first": (mat_rows_first, np.arange(COUNT), False),
    "a database's table": (database, np.arange(COUNT), False),
    "a spreadsheet's table": (semicolons, np.arange(COUNT), False),
    "votes": (votes, np.arange(COUNT), False),
}


def taken(source: Path, tmp_path: Path, *options: str) -> catalog.Dataset:
    """The galaxies of a source, converted with these options and loaded."""
    output = tmp_path / "taken.h5"
    assert main(["convert", str(source), str(output), *options]) == 0
    return catalog.load(output)
