"""Files of galaxies made from public pictures: what they hold, and a message for what is wrong."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image, features

from datasets import catalog
from datasets.__main__ import main
from datasets.convert.convert import Galaxies, Published
from datasets.convert.efigi import ATTRIBUTES, CLASSES, EFIGI
from datasets.convert.made import Written
from datasets.galaxy_file import content_sha256
from tests.conftest import ROOT

TYPES = (1, -6, -2, 11, 10, 9)
NAMES = [f"PGC{number:07}" for number in range(len(TYPES))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six galaxies, each of one colour, in a folder below the one that is given."""
    inner = tmp_path / "public" / "galaxies"
    inner.mkdir(parents=True)
    rows = [f"{name}   {t}  0  2 0.5\n" for name, t in zip(NAMES, TYPES, strict=True)]
    (inner / ATTRIBUTES).write_text("# PGCname T T_inf\n#\n" + "".join(rows))
    for number, name in enumerate(NAMES):
        Image.new("RGB", (88, 88), (40 * number, 20 * number + 9, 0)).save(inner / f"{name}.jpg")
    return tmp_path / "public"


def made(source: Path, *options: str) -> int:
    return main(["convert", "--recipe", "efigi", str(source), *options])


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    def refused(source: Path) -> str:
        """The one line of a command that ends with status 2 and leaves nothing behind."""
        output = tmp_path / "out"
        output.mkdir()
        assert made(source, "--output", str(output / "mine.h5")) == 2
        assert not list(output.iterdir())
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        return printed.err

    return refused


def test_a_folder_becomes_a_file(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.h5"
    assert made(folder, "--output", str(output)) == 0
    data = catalog.load(output)
    assert data.images.shape == (6, 69, 69, 3)
    assert np.abs(data.images[:, 34, 34, 0] - 40.0 * np.arange(6)).max() <= 2
    assert data.class_names == tuple(CLASSES)
    assert data.labels.tolist() == [2, 0, 1, 0, 9, 8]
    assert "Baillard" in data.source
    with h5py.File(output) as file:
        assert file["t_type"][()].tolist() == list(TYPES)
        assert file["pgc"][()].tolist() == [name.encode() for name in NAMES]
        assert file.attrs["recipe"] == "efigi"
        assert "Pillow" in file.attrs["decoder"]
        assert file.attrs["content_sha256"] == content_sha256(data.images, data.labels)


def test_a_zip_file_gives_the_same_galaxies(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert made(folder, "--output", str(tmp_path / "mine.h5")) == 0
    shutil.make_archive(str(tmp_path / "all"), "zip", folder)
    monkeypatch.chdir(tmp_path)
    assert made(tmp_path / "all.zip") == 0
    assert "NOT the published galaxies" in capsys.readouterr().out
    mine, zipped = (catalog.load(tmp_path / name) for name in ("mine.h5", EFIGI.filename))
    np.testing.assert_array_equal(mine.images, zipped.images)
    assert made(folder) == 2  # the file is there
    assert "is there already" in capsys.readouterr().err


def test_bad_pictures_are_counted_and_the_first_named(
    folder: Path, refused: Callable[[Path], str]
) -> None:
    inner = folder / "galaxies"
    more = [f"PGC1{number:06}" for number in range(6)]
    with (inner / ATTRIBUTES).open("a") as file:
        file.writelines(f"{name} 1\n" for name in more)
    Image.new("RGB", (80, 88)).save(inner / f"{NAMES[0]}.jpg")
    (inner / f"{NAMES[1]}.jpg").write_bytes(b"no picture")
    whole = (inner / f"{NAMES[2]}.jpg").read_bytes()
    (inner / f"{NAMES[2]}.jpg").write_bytes(whole[: len(whole) // 2])
    said = refused(folder)
    assert f"of 12 pictures 1 not of 88x88 pixels ({NAMES[0]}.jpg)" in said
    assert f"2 not readable as a picture ({NAMES[1]}.jpg, {NAMES[2]}.jpg)" in said
    assert f"6 missing ({', '.join(f'{name}.jpg' for name in more[:5])}, ...)" in said
    assert "get the folder GalaxyTool/galaxies" in said


def test_a_picture_damaged_in_its_zip_file_is_named(
    folder: Path, tmp_path: Path, refused: Callable[[Path], str]
) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "all"), "zip", folder))
    content = bytearray(archive.read_bytes())
    start = content.index(f"{NAMES[3]}.jpg".encode()) + 60
    content[start : start + 40] = bytes(40)
    archive.write_bytes(content)
    assert f"1 not readable as a picture ({NAMES[3]}.jpg)" in refused(archive)


WRONG = {
    "no source": (lambda folder: folder.parent / "nowhere", "nowhere: no such folder or zip file"),
    "no zip file": (
        lambda folder: folder / "galaxies" / ATTRIBUTES,
        "neither a folder nor a zip file",
    ),
    "no attributes": (
        lambda folder: (folder / "galaxies" / ATTRIBUTES).rename(folder / "other.txt").parent,
        f"public: no file {ATTRIBUTES} in it; get the folder",
    ),
    "two tables": (
        lambda folder: shutil.copy(folder / "galaxies" / ATTRIBUTES, folder) and folder,
        f"2 files {ATTRIBUTES} in it",
    ),
}


@pytest.mark.parametrize(("change", "expected"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_source_is_refused(
    change: Callable[[Path], Path], expected: str, folder: Path, refused: Callable[[Path], str]
) -> None:
    assert expected in refused(change(folder))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("PGC0000009 12", "line 9: T type '12'"),
        ("PGC0000009", "line 9: T type ''"),
        (f"{NAMES[0]} 1", f"line 9: {NAMES[0]} twice"),
        (None, "no row begins with PGC"),
    ],
)
def test_a_wrong_row_is_refused(
    row: str | None, expected: str, folder: Path, refused: Callable[[Path], str]
) -> None:
    table = folder / "galaxies" / ATTRIBUTES
    table.write_text("# empty" if row is None else table.read_text() + row)
    assert expected in refused(folder)


def test_other_content_is_told_from_another_decoder() -> None:
    images = np.full((4, 5, 5, 3), 100, dtype=np.uint8)
    galaxies = Galaxies(images, np.array([0, 0, 1, 1], dtype=np.uint8), ("a", "b"), {})
    sha256 = content_sha256(images, galaxies.labels)
    published = Published(sha256, (2, 2), (100.0, 100.0, 100.0))
    assert published.compared_with(galaxies, sha256) == "as published"
    rounded = images.copy()
    rounded[0, 0, 0] += 1
    one_off = dataclasses.replace(galaxies, images=rounded)
    assert "this JPEG decoder rounds otherwise" in published.compared_with(one_off, "other")
    brighter = dataclasses.replace(galaxies, images=images + np.uint8(1))
    assert "NOT the published pictures" in published.compared_with(brighter, "other")
    fewer = dataclasses.replace(galaxies, labels=galaxies.labels[:3])
    assert "NOT the published galaxies" in published.compared_with(fewer, "other")


def test_the_public_pictures_make_the_published_galaxies(galaxy_files: Path) -> None:
    galaxies = EFIGI.read(galaxy_files / "efigi_88px_jpg.zip")
    sha256 = content_sha256(galaxies.images, galaxies.labels)
    verdict = EFIGI.published.compared_with(galaxies, sha256)
    if features.check("libjpeg_turbo"):  # as in every wheel of Pillow; other decoders may round
        assert verdict == "as published"
    assert "NOT" not in verdict
    with h5py.File(galaxy_files / EFIGI.filename) as published:  # an earlier program's
        assert content_sha256(published["images"][()], published["ans"][()]) == (
            EFIGI.published.sha256
        )
        for name, values in galaxies.columns.items():
            np.testing.assert_array_equal(values, published[name][()])


def test_a_disk_that_is_full_is_an_error_and_no_crash(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        images=np.arange(60 * 24 * 24).reshape(60, 24, 24) % 251,
        y=np.arange(60) % 3,
    )
    code = (
        "import resource, sys; from datasets.__main__ import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "sys.exit(main(['convert', 'a.npz', 'made.h5', '--label-key', 'y']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    told = "error: made.h5: cannot be written (File too large)\n"
    assert (done.returncode, done.stderr) == (2, told)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_hdf5_reads_back_what_it_wrote_and_never_less_than_it_asks_for(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w+b") as file:
        written = Written(file)
        written.write(b"abcdef")
        for place, expected in ((2, b"cde"), (5, b"f\0\0")):
            written.seek(place)
            buffer = bytearray(b"xxx")
            assert written.readinto(memoryview(buffer)) == 3
            assert buffer == expected
        written.check()
    buffer = bytearray(b"xxx")
    assert written.readinto(memoryview(buffer)) == 3
    assert buffer == bytes(3)
    with pytest.raises(ValueError, match="closed file"):
        written.check()
