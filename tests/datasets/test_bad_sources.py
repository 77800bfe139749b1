"""What is wrong with a source is counted, its first five named, with a remedy that works."""

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.io import savemat

from datasets.__main__ import main
from tests.helpers import sources
from tests.helpers.sources import COUNT, IMAGES, LABELS, NAMES, png, taken


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def refused(source: Path, *options: str) -> str:
        """The one line of a command that ends with status 2 and leaves nothing behind."""
        output = tmp_path / "out" / "made.h5"
        output.parent.mkdir(exist_ok=True)
        assert main(["convert", str(source), str(output), *options]) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith(f"error: {source}")
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert not list(output.parent.iterdir())
        return printed.err

    return refused


def test_a_pipe_is_not_waited_for(refused: Callable[..., str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.dat"
    os.mkfifo(pipe)
    assert "no regular file" in refused(pipe)
    folder = sources.class_folders(tmp_path)
    os.mkfifo(folder / "galaxies" / "spiral" / "pipe.png")
    assert "1 not readable as a picture (galaxies/spiral/pipe.png)" in refused(folder)


def broken_pictures(path: Path) -> Path:
    folder = sources.class_folders(path)
    for row in range(2, 23, 3):
        file = folder / "galaxies" / "spiral" / f"{row:03}.png"
        file.write_bytes(png(row)[:70] if row > 2 else b"no picture")
    return folder


def other_sizes(path: Path) -> Path:
    folder = sources.class_folders(path)
    wide = np.zeros((12, 15, 3), np.uint8)
    (folder / "galaxies" / "spiral" / "002.png").write_bytes(png(2, wide))
    return folder


def two_of_one_name(path: Path) -> Path:
    folder = sources.table(path)
    (folder / "more").mkdir()
    (folder / "more" / "1000.png").write_bytes(png(1))
    return folder


def without_picture(path: Path) -> Path:
    folder = sources.table(path)
    for row in range(7):
        (folder / "pictures" / f"{1000 + row}.png").unlink()
    return folder


def without_label(path: Path) -> Path:
    return sources.table(
        path, form=lambda row: f"{1000 + row},{NAMES[LABELS[row]] * (row > 1)},test"
    )


def row_missing(path: Path) -> Path:
    folder = sources.table(path)
    (folder / "pictures" / "extra.png").write_bytes(png(0))
    return folder


def row_twice(path: Path) -> Path:
    return sources.table(path, form=lambda row: f"{1000 + max(row, 1)},{NAMES[LABELS[row]]},test")


def unknown_part(path: Path) -> Path:
    folder = sources.table(path, form=lambda row: f"{1000 + row},{NAMES[LABELS[row]]},{row % 2}")
    return folder


def nulls(path: Path) -> Path:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = [{"bytes": png(row), "path": None} for row in range(COUNT)]
    pictures[3] = None  # type: ignore[call-overload]
    pictures[4] = {"bytes": None, "path": "4.png"}  # type: ignore[dict-item]
    labels = [None if row == 5 else int(LABELS[row]) for row in range(COUNT)]
    table = pa.table({"image": pa.array(pictures, kind), "label": labels})
    pq.write_table(table, path / "nulls.parquet")
    return path / "nulls.parquet"


def no_sums(path: Path) -> Path:
    def line(row: int) -> str:
        return f"{1000 + row},{'0.5,0.3' if row % 2 else '0.3,0.5'},{0.2 if row > 1 else 0.9}"

    return sources.table(path, head="id,a,b,c", form=line)


def no_shares(path: Path) -> Path:
    return sources.table(
        path,
        head="id,a,b",
        form=lambda row: f"{1000 + row},{('1,0', '.4,.6')[row % 2] if row else 'x,1'}",
    )


def not_finite(path: Path) -> Path:
    images = IMAGES / np.float32(255)
    images[7, 3, 3, 0] = np.nan
    np.savez(path / "nan.npz", images=images, labels=LABELS)
    return path / "nan.npz"


def unknown_labels(path: Path) -> Path:
    np.savez(path / "unknown.npz", images=IMAGES, labels=np.where(LABELS == 1, -1, LABELS))
    return path / "unknown.npz"


def other_arrays(path: Path) -> Path:
    folder = sources.npy_folder(path)
    np.save(folder / "pictures" / "1003.npy", IMAGES[3])
    np.save(folder / "pictures" / "1004.npy", IMAGES[4, :5] / np.float32(255))
    (folder / "pictures" / "1005.npy").write_bytes(b"no array")
    return folder


# By name: the source, what is said of it, how many are left out of how many.
BAD: dict[str, tuple[Callable[[Path], Path], str, int]] = {
    "pictures that do not open": (
        broken_pictures,
        "7 not readable as a picture (galaxies/spiral/002.png, galaxies/spiral/005.png, "
        "galaxies/spiral/008.png, galaxies/spiral/011.png, galaxies/spiral/014.png, ...); get them "
        "again, or leave them out with --skip-bad 7",
        7,
    ),
    "pictures of another size": (
        other_sizes,
        "1 of another size (galaxies/spiral/002.png 15x12, most 12x12); scale all with --size",
        1,
    ),
    "two pictures of one name": (
        two_of_one_name,
        "1 named like another picture (1000: more/1000.png, pictures/1000.png)",
        1,
    ),
    "labels without a picture": (
        without_picture,
        "7 labelled without a picture (1000, 1001, 1002, 1003, 1004, ...); add the pictures",
        7,
    ),
    "pictures without a label": (
        without_label,
        "2 without a label (pictures/1000.png, pictures/1001.png); add the labels",
        2,
    ),
    "pictures without a row": (row_missing, "1 without a label (pictures/extra.png)", 1),
    "a picture twice in a table": (row_twice, "1 named twice (1001 in line 3)", 2),
    "nulls": (
        nulls,
        "1 without a label (row 5: nan) and 2 null, or without bytes (row 3, row 4)",
        3,
    ),
    "votes that do not sum": (
        no_sums,
        "2 with votes that do not sum to 1 (pictures/1000.png: 1.7, pictures/1001.png: 1.7)",
        2,
    ),
    "votes that are no numbers": (
        no_shares,
        "1 with votes that are no shares (pictures/1000.png)",
        1,
    ),
    "values that are no numbers": (not_finite, "1 with values that are no numbers (row 7)", 1),
    "arrays of another form": (
        other_arrays,
        "2 of another shape or type (pictures/1003.npy, pictures/1004.npy) and 1 not readable as "
        "a picture (pictures/1005.npy)",
        3,
    ),
    "labels of -1": (unknown_labels, "20 without a label (row 1: -1, row 4: -1", 20),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_ones_are_counted_named_and_left_out_on_demand(
    case: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    make, message, bad = BAD[case]
    source = make(tmp_path)
    told = refused(source)
    assert message in told
    count = int(told.rpartition("--skip-bad ")[2])
    assert refused(source, "--skip-bad", str(count - 1)) == told
    data = taken(source, tmp_path, "--skip-bad", str(count))
    assert data.left_out
    assert data.left_out in told
    assert data.note.endswith(f"Left out: {data.left_out}.")
    if case == "a picture twice in a table":  # a row too many, and a picture that no row names
        assert (count, len(data.labels)) == (2, COUNT - 1)
    elif case == "pictures without a row":
        assert len(data.labels) == COUNT
    else:
        assert (count, len(data.labels)) == (bad, COUNT - bad)


def test_other_sizes_are_scaled_or_cut_on_demand(tmp_path: Path, refused) -> None:
    source = other_sizes(tmp_path)
    assert "1 not square (galaxies/spiral/002.png 15x12); cut all with" in refused(
        source, "--size", "6"
    )
    assert "not one picture can be taken: 60 smaller than the crop" in refused(
        source, "--crop", "90"
    )


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def strange(path: Path, text: str | bytes) -> Path:
    folder = sources.table(path)
    (folder / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def odd_database(path: Path, content: bytes | None) -> Path:
    folder = sources.database(path)
    if content is None:
        (folder / "labels.sqlite").unlink()
        with closing(sqlite3.connect(folder / "labels.sqlite")) as base:
            base.executescript("create table a (x integer); create table b (x integer)")
    else:
        (folder / "labels.sqlite").write_bytes(content)
    return folder


WRONG: dict[str, tuple[Callable[[Path], Path], tuple[str, ...], str]] = {
    "no header": (
        lambda path: strange(path, "\n".join(f"{row},1" for row in range(1000, 1060))),
        (),
        "its first line has a picture, '1000', where the names",
    ),
    "no delimiter": (
        lambda path: strange(path, "id label\n1000 1\n"),
        (),
        "its first line is one name",
    ),
    "ragged": (
        lambda path: strange(path, "id,label\n1000,1\n1001,1,2\n"),
        (),
        "line 3 has 3 fields",
    ),
    "no text": (lambda path: strange(path, b"id,label\n\xff\xfe1000,1\n"), (), "not UTF-8"),
    "no database": (
        lambda path: odd_database(path, b"id,label\n1,2\n"),
        (),
        "cannot be read as an SQLite file: it does not begin as one",
    ),
    "a database of two tables": (
        lambda path: odd_database(path, None),
        (),
        r"it has 2 tables \(a, b\), not one; save the table that is meant as CSV",
    ),
    "an empty table": (lambda path: strange(path, "id,label\n"), (), "no row below the names"),
    "no names of pictures": (
        lambda path: strange(path, "id,label\nx,1\ny,2\n"),
        (),
        r"no column names the pictures, which are pictures/1000\.png, .*--id-key",
    ),
    "a wrong key": (
        sources.table,
        ("--label-key", "lable"),
        r"no column 'lable' \(--label-key\) \(did you mean 'label'\?\)",
    ),
    "two tables": (
        lambda path: (sources.table(path) / "b.csv").write_text("id,x\n1,2\n") and path / "survey",
        (),
        r"2 tables in it \(b\.csv, labels\.csv\); name the one with the labels, as the source or",
    ),
    "a part without labels": (
        lambda path: (
            (sources.two_tables(path) / "test.csv").write_text("filename,x\n1000.png,2\n")
            and path / "survey"
        ),
        (),
        r"test\.csv has no column 'class', which train\.csv has; .*: --table train\.csv",
    ),
    "text for MATLAB": (
        lambda path: (path / "a.mat").write_bytes(b"no file of MATLAB " * 40) and path / "a.mat",
        (),
        r"a\.mat: cannot be read as a file of MATLAB",
    ),
    "pictures of MATLAB without labels": (
        lambda path: (
            savemat(path / "a.mat", {"X": sources.IMAGES.transpose(1, 2, 3, 0)}) or path / "a.mat"
        ),
        (),
        "no labels of 'X': name them with --label-key",
    ),
    "no labels at all": (
        lambda path: sources.table(path) / "pictures",
        (),
        "60 pictures without labels: put those of each class into a folder of its own",
    ),
    "objid as label": (
        lambda path: sources.table(path, form=lambda row: f"{1000 + row},{10**18 + row},test"),
        (),
        "numbers of galaxies, not of classes",
    ),
    "a class for each": (
        lambda path: sources.table(path, form=lambda row: f"{1000 + row},g{row},test"),
        (),
        "60 different values in 60 rows: these are no classes",
    ),
    "an unknown part": (
        unknown_part,
        ("--split-from", "split"),
        "60 of an unknown part of the split",
    ),
    "one array": (lambda path: np.save(path / "x.npy", IMAGES) or path / "x.npy", (), "no labels"),
    "flat pictures": (
        lambda path: (
            np.savez(path / "f.npz", x=IMAGES.reshape(COUNT, -1), y=LABELS) or path / "f.npz"
        ),
        ("--image-key", "x", "--label-key", "y"),
        r"reshape its rows, as in x\.reshape\(-1, 12, 12, 3\)",
    ),
    "objects": (
        lambda path: saved(path / "o.npz", x=np.array([{}, 1])),
        (),
        "NumPy: 'x.npy' holds Python objects, not numbers; save names by np.array",
    ),
    "a column of no pictures": (
        sources.parquet,
        ("--image-key", "label"),
        r"hub\.parquet: column 'label' is int64; pictures are bytes",
    ),
    "a wrong column": (
        sources.parquet,
        ("--label-key", "labels"),
        r"hub\.parquet: no column 'labels' \(--label-key\) \(did you mean 'label'\?\)",
    ),
    "several pictures": (
        lambda path: saved(path / "s.npz", a=IMAGES, b=IMAGES, y=LABELS),
        (),
        "which are the pictures, 'a', 'b'. Name them with --image-key",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_source_of_no_known_meaning_is_refused(case: str, tmp_path: Path, refused) -> None:
    make, options, message = WRONG[case]
    assert re.search(message, refused(make(tmp_path), *options))


@pytest.mark.parametrize("ending", ["h5", "npz", "npy", "parquet", "zip"])
def test_what_a_download_left_in_place_of_a_file_is_named(ending, tmp_path, refused) -> None:
    source = tmp_path / f"galaxies.{ending}"
    for content, message in (
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS; get"),
        (b"\n<!DOCTYPE html><html></html>", "but a web page: the download was refused"),
        (b"", ": it is empty"),
    ):
        source.write_bytes(content)
        assert re.search(f"galaxies.{ending}: not an? .*{message}", refused(source))
