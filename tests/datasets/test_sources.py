"""Every form in which people hold galaxies becomes the same file, by command and as a data set."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from datasets import catalog
from datasets.__main__ import main
from datasets.galaxy_file import content_sha256
from tests.helpers import sources
from tests.helpers.sources import FORMS, IMAGES, LABELS, NAMES, PARTS


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_same_galaxies(form: str, tmp_path: Path, capsys) -> None:
    make, order, has_parts = FORMS[form]
    source = make(tmp_path)
    output = tmp_path / "out.h5"
    assert main(["convert", str(source), str(output)]) == 0
    made = catalog.load(output, split_from="split" if has_parts else "")
    np.testing.assert_array_equal(made.images, IMAGES[order])
    np.testing.assert_array_equal(made.labels, LABELS[order])
    printed = capsys.readouterr().out
    assert printed.startswith(f"{output}: 60 galaxies of 12x12 pixels in 3 classes; ")
    assert f"content SHA-256 {content_sha256(IMAGES[order], LABELS[order])}" in printed
    if form == "votes":
        assert made.class_names == ("Class1.1", "Class1.2", "Class1.3")
        assert made.votes is not None
        assert made.votes.shape == (60, 5)
        np.testing.assert_allclose(made.votes[0], [0.6, 0.2, 0.2, 0.25, 0.35])
    elif form not in (
        "npz",
        "npz of parts",
        "a database's table",
        "mat of HDF5",
        "mat of HDF5, rows first",
    ):  # they have numbers, and no names
        assert made.class_names == NAMES
    if has_parts:
        assert made.parts is not None
        np.testing.assert_array_equal(np.array(["train", "", "test"])[made.parts], PARTS[order])
    with h5py.File(output) as file:
        assert ("split" in file) == has_parts


def test_a_second_table_leads_from_the_pictures_to_the_labels(tmp_path: Path, capsys) -> None:
    """As Galaxy Zoo 2 is published: labels by the galaxy's number, pictures by another."""
    line = "58772{0},original,{1}"
    folder = sources.table(tmp_path, form=lambda row: f"58772{row:03},{NAMES[LABELS[row]]}")
    labels = folder / "labels.csv"
    labels.write_text(labels.read_text().replace("id,label,split", "dr7objid,label"))
    rows = [line.format(f"{row:03}", 1000 + row) for row in reversed(range(len(LABELS)))]
    mapping = folder / "mapping.csv"
    mapping.write_text("\n".join(["objid,sample,asset_id", *rows]) + "\n")
    output = tmp_path / "out.h5"
    command = ["convert", str(folder), str(output), "--table", "labels.csv"]
    assert main(command) == 0
    assert "by column 'dr7objid' and column 'asset_id' of mapping.csv" in capsys.readouterr().out
    made = catalog.load(output)
    np.testing.assert_array_equal(made.images, IMAGES)
    np.testing.assert_array_equal(made.labels, LABELS)
    mapping.write_text("\n".join(["sample,asset_id", *(one[9:] for one in rows)]) + "\n")
    output.unlink()
    assert main(command) == 2
    assert "no column names the pictures" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["npz", "parquet", "class folders, zipped", "votes"])
def test_a_source_is_a_data_set_converted_once(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, order, _ = FORMS[form]
    source, cache = make(tmp_path), tmp_path / "cache"
    first = catalog.load(source, cache_dir=cache)
    assert first.name == source.stem
    assert first.sha256 == content_sha256(IMAGES[order], LABELS[order])
    assert "converting once, into" in capsys.readouterr().out
    (made,) = (cache / "converted").iterdir()
    written = made.stat().st_mtime_ns
    moved = source.rename(tmp_path / f"moved{source.suffix}")
    again = catalog.load(moved, cache_dir=cache)
    assert (again.sha256, capsys.readouterr().out) == (first.sha256, "")
    assert [one.stat().st_mtime_ns for one in (cache / "converted").iterdir()] == [written]


def test_a_source_that_changes_is_converted_anew(tmp_path: Path) -> None:
    source, cache = sources.class_folders(tmp_path), tmp_path / "cache"
    first = catalog.load(source, cache_dir=cache)
    (source / "galaxies" / "spiral" / "002.png").write_bytes(sources.png(0))
    assert catalog.load(source, cache_dir=cache).sha256 != first.sha256
