"""Loading what cannot be loaded: a message that names the file, the field and what to do."""

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from datasets import catalog
from tests.datasets.conftest import IMAGES, LABELS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": "g"}, "channels: unknown channel 'g'. Known: rgb, grey, mean, 0, 1, 2"),
        ({"labels": "5way"}, "labels: unknown view '5way'"),
    ],
)
def test_unknown_settings(write: Callable[..., Path], settings: dict, message: str) -> None:
    for name in (write(), "demo"):
        with pytest.raises(ValueError, match=message):
            catalog.load(name, **settings)


@pytest.mark.parametrize(
    ("name", "near"), [("galxy10", "galaxy10"), ("Demo", "demo"), ("galaxy10-decal", "decals")]
)
def test_an_unknown_name_suggests_the_near_one(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown '{name}' \(did you mean '.*{near}'.*path of"):
        catalog.load(name)


def test_a_missing_file_suggests_its_neighbour(write: Callable[..., Path]) -> None:
    path = write("galaxies.h5")
    with pytest.raises(FileNotFoundError, match=r"galaxy.h5: no such file \(did you mean 'gal"):
        catalog.load(path.with_name("galaxy.h5"))
    with pytest.raises(FileNotFoundError, match="no such file"):
        catalog.load(path.parent / "nowhere" / "galaxies.h5")
    with pytest.raises(FileNotFoundError, match=r"~nobody-at-all/my\.h5: no such file"):
        catalog.load("~nobody-at-all/my.h5")
    with pytest.raises(IsADirectoryError, match="a directory"):
        catalog.load(path.parent)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("efigi_t10_69px.h5", "make it: python -m datasets convert --recipe efigi FOLDER .get the"),
        ("Galaxy10.h5", "no such file; --dataset galaxy10 downloads it"),
        ("Galaxy10_DECals.h5", "no such file; --dataset galaxy10-decals downloads it"),
        ("efigi", "to make efigi_t10_69px.h5 .*: python -m datasets convert --recipe efigi FOLDER"),
    ],
)
def test_a_missing_file_of_a_known_name_says_how_to_get_it(name: str, expected: str) -> None:
    with pytest.raises((FileNotFoundError, ValueError), match=expected):
        catalog.load(name)


def test_a_truncated_file_says_so(write: Callable[..., Path]) -> None:
    path = write()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=r"mine.h5: truncated"):
        catalog.load(path)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>" * 100])
def test_a_file_of_another_kind_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.h5"
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"page.h5: not an HDF5 file"):
        catalog.load(path)


def test_a_damaged_block_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    with h5py.File(path, "w") as file:
        file["ans"] = LABELS
        file.create_dataset("images", data=IMAGES, chunks=(4, 12, 12, 3), compression="gzip")
        block = file["images"].id.get_chunk_info(3)
    content = bytearray(path.read_bytes())
    content[block.byte_offset + 20 : block.byte_offset + 400] = bytes(380)
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"damaged.h5: 'images' cannot be read: .*damaged"):
        catalog.load(path)
