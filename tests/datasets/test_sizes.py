"""Small files that unpack to far more, or say that they do: refused before memory is taken."""

import gzip
import io
import json
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.io import savemat

from datasets import catalog, galaxy_file
from datasets.convert import tfrecord
from datasets.convert.form import Asked
from datasets.convert.stream import convert_source
from frameworks.spec import given_weights, weights
from results.door import apart, databases, sizes
from results.store import Store
from tests.fuzz.memory import measured
from tests.helpers.factory import synthetic_run
from tests.helpers.sources import IMAGES, png

FREE = 1 << 20  # in these tests, for which files are made
MANY = 16 * FREE
ZEROS = bytes(MANY)
CONFIG = json.dumps({"config": {"layers": []}}).encode()


def convert(path: Path) -> object:
    return convert_source(path, path.parent / "made.h5", Asked())


def grey(path: Path) -> object:
    return catalog.load(str(path), channels="0")


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def weights_of(path: Path) -> Path:
    return packed(path / "my.npz", {"conv1/kernel.npy": npy(np.zeros(MANY, "u1"))})


def many_weights(path: Path) -> Path:
    zeros = npy(np.zeros(FREE, "u1"))
    return packed(path / "my.npz", {f"conv{n}/kernel.npy": zeros for n in range(16)})


def keras(path: Path) -> Path:
    return packed(path / "my.keras", {"config.json": CONFIG, "model.weights.h5": ZEROS})


def labels(path: Path) -> Path:
    names = npy(np.array(["a", "b"] * 6, f"<U{FREE}"))
    return packed(path / "my.npz", {"images.npy": npy(IMAGES[:12]), "labels.npy": names})


def hdf5(path: Path, shape: tuple[int, ...], **settings: object) -> Path:
    pictures = np.full(shape, 7, np.uint8)
    pictures[0, 0] = 9
    with h5py.File(path / "my.h5", "w") as file:
        file.create_dataset("images", data=pictures, compression="gzip", **settings)
        file["ans"] = np.arange(shape[0]) % 3
    return path / "my.h5"


def one_chunk(path: Path) -> Path:
    return hdf5(path, (60, 8, 8, 1), maxshape=(None, 8, 8, 1), chunks=(MANY // 64, 8, 8, 1))


def long_labels(path: Path) -> Path:
    with h5py.File(path / "my.h5", "w") as file:
        file["images"] = IMAGES
        made = file.create_dataset("ans", 60, f"S{FREE}", chunks=(1,), compression="gzip")
        made[:8] = [b"a", b"b"] * 4
    return path / "my.h5"


def pixels(path: Path) -> Path:
    """Folders of PNG whose headers say more pixels than there are."""
    head = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, part in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(kind + part))
        content += struct.pack(">I", len(part)) + kind + part + check
    return packed(path / "my.zip", {f"{name}/1.png": content for name in "abc"})


def parquet(path: Path, pictures: pa.Array, kinds: pa.Array) -> Path:
    table = pa.table({"image": pictures, "label": kinds})
    pq.write_table(table, path / "my.parquet", compression="zstd")
    return path / "my.parquet"


def one_picture(path: Path) -> Path:
    return parquet(path, pa.array([ZEROS, ZEROS]), pa.array([0, 1]))


def equal_labels(path: Path) -> Path:
    return parquet(path, pa.nulls(MANY, pa.binary()), pa.array(np.zeros(MANY, "i8")))


def long_lists(path: Path) -> Path:
    """Rows of labels that are lists: Parquet keeps equal numbers in no room."""
    values = pa.array(np.zeros(MANY, "i8"))
    lists = pa.ListArray.from_arrays([0, MANY // 2, MANY], values)
    return parquet(path, pa.array([png(0), png(1)]), lists)


def table(path: Path) -> Path:
    lines = "id,label\n" + "1,a\n" * (MANY // 4)
    pictures = {f"{row}.png": png(row) for row in range(12)}
    return packed(path / "my.zip", {"labels.csv": lines.encode(), **pictures})


def matlab(path: Path) -> Path:
    inside = {"deep": {"images": np.zeros(MANY, "u1")}}
    savemat(path / "my.mat", inside, do_compression=True)
    return path / "my.mat"


def old_matlab(path: Path) -> Path:
    """Version 4 says type, rows, columns, whether complex, and the length of the name."""
    (path / "my.mat").write_bytes(struct.pack("<5i", 0, MANY, 8, 0, 2) + b"x\0" + bytes(200))
    return path / "my.mat"


def record(path: Path) -> Path:
    (path / "my.tfrecord").write_bytes(gzip.compress(struct.pack("<Q", MANY) + bytes(MANY + 8)))
    return path / "my.tfrecord"


def endless_record(path: Path) -> Path:
    (path / "my.tfrecord").write_bytes(gzip.compress(struct.pack("<Q", 1 << 40) + bytes(99)))
    return path / "my.tfrecord"


CASES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "weights": (weights_of, weights.load),
    "weights in small arrays": (many_weights, given_weights.read),
    "a .keras file": (keras, given_weights.read),
    "labels of an .npz": (labels, convert),
    "labels of HDF5": (long_labels, convert),
    "pictures of HDF5": (lambda path: hdf5(path, (64, 512, 512, 1)), grey),
    "a chunk": (one_chunk, grey),
    "pixels": (pixels, convert),
    "a picture of Parquet": (one_picture, convert),
    "equal labels": (equal_labels, convert),
    "lists of equal labels": (
        long_lists,
        lambda path: convert_source(path, path.parent / "made.h5", Asked(label_key="label")),
    ),
    "a table": (table, convert),
    "a structure of MATLAB": (matlab, convert),
    "an old file of MATLAB": (old_matlab, convert),
    "a record": (record, tfrecord._is_packed),
    "a record without end": (endless_record, tfrecord._is_packed),
}


@pytest.mark.parametrize("case", CASES)
def test_a_small_file_takes_little_memory(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, read = CASES[case]
    path = make(tmp_path)
    monkeypatch.setattr(apart, "_THREADED", ())  # other tests may have loaded it
    monkeypatch.setattr(sizes, "FREE", FREE)
    monkeypatch.setattr(galaxy_file, "_BLOCK_BYTES", FREE)
    with measured() as taken, pytest.raises((ValueError, OSError), match=f"{tmp_path}/my"):
        read(path)
    assert taken.bytes < 9 * FREE


def test_a_long_text_in_a_store_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "runs")
    file = store.append(*synthetic_run())
    table = pq.read_table(file)
    place = table.column_names.index("reason")
    text = pa.array(["x" * MANY], pa.string())
    table = table.set_column(place, table.schema.field(place), text)
    pq.write_table(table, file, compression="zstd")
    del table, text
    monkeypatch.setattr(sizes, "FREE", FREE)
    with measured() as taken, pytest.warns(UserWarning, match=r"\.parquet: .* would unpack to"):
        assert store.runs().empty
    assert taken.bytes < 9 * FREE


def test_a_value_that_a_table_would_make_is_not_made(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "my.sqlite")) as base:
        base.execute("create table t (id, label as (zeroblob(900000000)))")
        base.execute("insert into t values (1)")
        base.commit()
    content = (tmp_path / "my.sqlite").read_bytes()
    with measured() as taken, pytest.raises(ValueError, match=r"my\.sqlite: .*too big"):
        databases.database(content, tmp_path / "my.sqlite")
    assert taken.bytes < 9 * FREE
