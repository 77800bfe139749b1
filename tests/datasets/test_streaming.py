"""Conversions hold some blocks of pictures, never all: in small for each form, once in large."""

import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.convert.form import Asked
from datasets.convert.stream import convert_source
from tests.conftest import ROOT
from tests.helpers.sources import png

SIDE, COUNT = 256, 320
SIZE = COUNT * SIDE * SIDE * 3  # 63 MB of pictures
# Bytes at the most: HDF5 is read in blocks of 16 MB, the others in blocks of 4; there are two at
# once, and what is made of a piece of 4 MB.
BOUNDS = {"hdf5": 60e6, "npz": 30e6, "parquet": 30e6, "zipped": 30e6}
LABELS = np.arange(COUNT) % 3


def picture(row: int) -> np.ndarray:
    """uint8 (SIDE, SIDE, 3), another for each row, quickly packed."""
    one = np.full((SIDE, SIDE, 3), row % 200, dtype=np.uint8)
    one[row % SIDE, row // SIDE % SIDE] = 255
    return one


def npz(path: Path) -> Path:
    with zipfile.ZipFile(path / "large.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("images.npy", "w", force_zip64=True) as stream:
            shape = {"descr": "|u1", "fortran_order": False, "shape": (COUNT, SIDE, SIDE, 3)}
            np.lib.format.write_array_header_1_0(stream, shape)
            for row in range(COUNT):
                stream.write(picture(row).tobytes())
        with file.open("labels.npy", "w") as stream:
            np.lib.format.write_array(stream, LABELS)
    return path / "large.npz"


def hdf5(path: Path, count: int = COUNT) -> Path:
    with h5py.File(path / "large.h5", "w") as file:
        shape = (count, 3, SIDE, SIDE)
        made = file.create_dataset("x", shape, "f4", chunks=(1, *shape[1:]), compression="lzf")
        for row in range(count):
            made[row] = picture(row).transpose(2, 0, 1) / np.float32(255)
        file["y"] = np.arange(count) % 3
    return path / "large.h5"


def parquet(path: Path) -> Path:
    table = pa.table({"image": [png(0, picture(row)) for row in range(COUNT)], "label": LABELS})
    pq.write_table(table, path / "large.parquet")
    return path / "large.parquet"


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path / "large.zip", "w") as file:
        for row in range(COUNT):
            file.writestr(f"class {LABELS[row]}/{row}.png", png(0, picture(row)))
    return path / "large.zip"


@pytest.mark.parametrize("make", [npz, hdf5, parquet, zipped])
def test_some_blocks_are_held_and_not_all(make: Callable[[Path], Path], tmp_path: Path) -> None:
    source, bound = make(tmp_path), BOUNDS[make.__name__]
    tracemalloc.start()
    try:
        made = convert_source(source, tmp_path / "out.h5", Asked())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.count == COUNT
    assert peak < bound < SIZE


_CONVERT = """
import resource, sys
from datasets.__main__ import main
status = main(["convert", *sys.argv[1:]])
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
sys.exit(status)
"""


@pytest.mark.slow
def test_four_gigabytes_are_converted_within_one(tmp_path: Path) -> None:
    count = 4 * 10**9 // (SIDE * SIDE * 3 * 4) + 1  # as floats
    source = hdf5(tmp_path, count)
    done = subprocess.run(
        [sys.executable, "-c", _CONVERT, str(source), str(tmp_path / "out.h5")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{count:,} galaxies of {SIDE}x{SIDE}" in done.stdout
    assert int(done.stdout.splitlines()[-1]) < 10**9
    assert "pictures" in done.stderr  # how far it is
    with h5py.File(tmp_path / "out.h5") as made:
        for row in (0, count // 2, count - 1):
            np.testing.assert_array_equal(made["images"][row], picture(row))
