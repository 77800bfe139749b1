"""Files as strangers bring them: read right, or refused with a remedy that is tried here."""

import pathlib
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datasets import catalog
from datasets.check import check
from datasets.convert.form import Asked
from tests.helpers import sources
from tests.helpers.sources import BY_CLASS, BY_PART, COUNT, IMAGES, LABELS, NAMES, PARTS, png, taken


def hdf5_parts(path: Path) -> Path:
    folder = path / "mnist"
    folder.mkdir()
    for part in ("train", "test"):
        with h5py.File(folder / f"{part}_dataset.hdf5", "w") as file:
            file["images"], file["labels"] = IMAGES[part == PARTS], LABELS[part == PARTS]
            file.attrs["class_names"] = list(NAMES)
    return folder


def moved(path: Path) -> Path:
    """A table that another machine wrote: its paths begin elsewhere."""
    return sources.table(
        path,
        head="path,label",
        form=lambda row: f"C:\\me\\survey\\pictures\\{1000 + row}.png,{NAMES[LABELS[row]]}",
    )


def of_pandas(path: Path) -> Path:
    """A table with the numbers of its rows, which are names of other pictures; zeros are lost."""
    folder = sources.table(path)
    for row in range(COUNT):
        (folder / "pictures" / f"{1000 + row}.png").rename(folder / "pictures" / f"{row:04}.png")
    names = [f"{COUNT - 1 - row}" for row in range(COUNT)]
    table = pd.DataFrame({"picture": [f"pictures/{int(one):04}.png" for one in names]})
    table["label"] = np.array(NAMES)[LABELS[::-1]]
    table.to_csv(folder / "labels.csv")
    return folder


def without_zeros(path: Path) -> Path:
    """A table of a spreadsheet: it dropped zeros, and has a line of its own first."""
    folder = sources.table(path)
    lines = ["sep=;", "picture;label"]
    for row in range(COUNT):
        (folder / "pictures" / f"{1000 + row}.png").rename(folder / "pictures" / f"{row:04}.png")
        lines.append(f"{row};{NAMES[LABELS[row]]}")
    (folder / "labels.csv").write_text("\r\n".join(lines), newline="")
    return folder


def of_windows(path: Path) -> Path:
    """A zip file whose names have backslashes."""
    with zipfile.ZipFile(path / "galaxies.zip", "w") as archive:
        for row in BY_CLASS:
            member = zipfile.ZipInfo("x")
            member.filename = f"galaxies\\{NAMES[LABELS[row]]}\\{row:03}.png"
            archive.writestr(member, png(row))
    return path / "galaxies.zip"


def deep(path: Path, values: Callable[[np.ndarray], np.ndarray], ending: str = "tif") -> Path:
    """Grey pictures of more than 8 bits in class folders."""
    for row in range(COUNT):
        file = path / "deep" / NAMES[LABELS[row]] / f"{row:03}.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values(IMAGES[row, ..., 0])).save(file)
    return path / "deep"


READ: dict[str, tuple[Callable[[Path], Path], np.ndarray]] = {
    "HDF5 files of a published split": (hdf5_parts, IMAGES[BY_PART]),
    "paths of another machine": (moved, IMAGES),
    "a table of pandas with its index": (of_pandas, IMAGES[::-1]),
    "numbers without their zeros": (without_zeros, IMAGES),
    "a zip file of Windows": (of_windows, IMAGES[BY_CLASS]),
    "floats from 0 to 1": (
        lambda path: deep(path, lambda x: x / np.float32(255)),
        IMAGES[BY_CLASS, ..., :1],
    ),
    "12 bits kept in 16": (
        lambda path: deep(path, lambda x: 16 * x.astype(np.uint16), "png"),
        IMAGES[BY_CLASS, ..., :1],
    ),
    "16 bits": (
        lambda path: deep(path, lambda x: 257 * x.astype(np.uint16), "png"),
        IMAGES[BY_CLASS, ..., :1],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_galaxies_are_read(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_BENCHMARK_CACHE", str(tmp_path / "cache"))
    make, images = READ[case]
    source = make(tmp_path)
    if case.startswith("floats"):  # the whole range is there
        Image.fromarray(np.eye(12, dtype=np.float32)).save(source / NAMES[0] / "000.tif")
        images = images.copy()
        images[0, ..., 0] = np.eye(12) * 255
    made = catalog.load(source, channels="0" if images.shape[3] == 1 else "rgb")
    np.testing.assert_array_equal(made.images, images)
    assert made.class_names == NAMES
    assert not check(source, Asked()).wrong
    if case.startswith("HDF5"):
        parts = taken(source, tmp_path), catalog.load(source, split_from="split")
        assert parts[0].sha256 == parts[1].sha256
        assert (parts[1].parts == np.where(PARTS == "test", 2, 0)[BY_PART]).all()


def arrays(path: Path) -> Path:
    folder = path / "arrays"
    folder.mkdir()
    np.save(folder / "images.npy", IMAGES)
    pd.DataFrame({"label": np.array(NAMES)[LABELS]}).to_csv(folder / "labels.csv")
    return folder


def packed(path: Path) -> Path:
    """Galaxy Zoo as it is downloaded: the pictures in a zip file beside the table."""
    folder = sources.table(path)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for file in sorted((folder / "pictures").iterdir()):
            archive.write(file, file.relative_to(folder))
            file.unlink()
    return folder


def labelled(path: Path, name: str, write: Callable[[pd.DataFrame, Path], object]) -> Path:
    """Pictures with a table of another form."""
    folder = sources.table(path)
    table = pd.read_csv(folder / "labels.csv").astype({"id": str}).drop(columns="split")
    (folder / "labels.csv").unlink()
    write(table, folder / name)
    return folder


def tar(path: Path) -> Path:
    with tarfile.open(path / "galaxies.tar.gz", "w:gz") as archive:
        archive.add(sources.class_folders(path), "galaxies")
    return path / "galaxies.tar.gz"


def shard(path: Path) -> Path:
    """A shard of WebDataset, unpacked."""
    folder = path / "shard"
    folder.mkdir()
    for row in range(COUNT):
        (folder / f"{row:06}.png").write_bytes(png(row))
        (folder / f"{row:06}.cls").write_text(NAMES[LABELS[row]])
    return folder


def feather(path: Path) -> Path:
    labels = np.array(NAMES)[LABELS]
    pictures = [png(row) for row in range(COUNT)]
    pd.DataFrame({"image": pictures, "label": labels}).to_feather(path / "galaxies.feather")
    return path / "galaxies.feather"


def fits_table(table: pd.DataFrame, path: Path) -> None:
    pytest.importorskip("astropy.table").Table.from_pandas(table).write(path)


def lines(table: pd.DataFrame, path: Path) -> None:
    path.write_text(table.to_json(orient="records", lines=True))


# By name: what makes it, and what the remedy leaves to be read, beside the source.
CURED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an array and a table": (arrays, ""),
    "pictures in a zip file beside the table": (packed, ""),
    "a tar file": (tar, "../unpacked"),
    "a shard of WebDataset": (shard, ""),
    "Feather": (feather, "galaxies.parquet"),
    "a table of Parquet": (
        lambda path: labelled(path, "cat.parquet", lambda table, file: table.to_parquet(file)),
        "",
    ),
    "lines of JSON": (lambda path: labelled(path, "metadata.jsonl", lines), ""),
    "a table of FITS": (lambda path: labelled(path, "cat.fits", fits_table), ""),
    "columns of text": (
        lambda path: labelled(
            path, "table.dat", lambda table, file: table.to_csv(file, sep=" ", index=False)
        ),
        "",
    ),
}


CODE = r"(np\.save\(.*?\)), or|((?:pandas|astropy)\..*?\.to_(?:csv|parquet)\(.*?\))"


@pytest.mark.parametrize("case", CURED)
def test_the_remedy_of_a_refusal_works(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAXY_BENCHMARK_CACHE", str(tmp_path / "cache"))
    make, left = CURED[case]
    source = make(tmp_path)
    with pytest.raises(ValueError, match=re.escape(f"{source}: ")) as told:
        catalog.load(source)
    folder = source if source.is_dir() else source.parent
    monkeypatch.chdir(folder)
    message = str(told.value).replace("\n", " ")
    if code := re.search(CODE, message):
        names = {"np": np, "pandas": pd, "pathlib": pathlib}
        if case == "a table of FITS":
            names["astropy"] = pytest.importorskip("astropy")
        exec(code[1] or code[2], names)
        (folder / "cat.fits").unlink(missing_ok=True)
    elif "tar xf" in message and case == "a tar file":
        with tarfile.open(source) as archive:
            archive.extractall(folder.parent / "unpacked", filter="data")
    else:
        with zipfile.ZipFile(folder / "images.zip") as archive:
            archive.extractall(folder)
    made = catalog.load((folder / left) if left else source)
    assert len(made.images) == COUNT
    assert sorted(made.class_names) == sorted(NAMES)
    galaxies = zip(made.images, made.labels, strict=True)
    assert {(one.tobytes(), made.class_names[label]) for one, label in galaxies} == {
        (one.tobytes(), NAMES[label]) for one, label in zip(IMAGES, LABELS, strict=True)
    }


REFUSED = {
    "galaxies.pkl": "a pickle may run any code when it is opened",
    "galaxies.pt": "a file of torch.save may run any code",
    "galaxies.7z": "an archive; unpack it",
    "galaxies.csv.gz": "compressed; unpack it",
    "data-00000-of-00001.arrow": r"Dataset\.from_file\('data-00000-of-00001\.arrow'\)\.to_parquet",
    "train-images-idx3-ubyte": "numbers without names; read them as their maker says",
    "one.jpg": "one picture; name the folder",
    "one.fits": "one FITS file; name the folder",
    "labels.xlsx": "a table of a spreadsheet; save it as CSV",
    "zarr/zarr.json": "a folder of Zarr; save its arrays",
    "nested/galaxies.zip": r"its pictures are packed; unpack galaxies\.zip into one folder",
    "saved/train/data.arrow": r"train/data\.arrow is an Arrow file; save it as Parquet",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_form_that_is_not_read_is_named(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"anything")
    source = tmp_path / Path(name).parts[0]
    with pytest.raises(ValueError, match=rf"{re.escape(str(source))}: .*{REFUSED[name]}"):
        catalog.load(source, cache_dir=tmp_path / "cache")


def test_names_that_all_mean_several_pictures_are_told(tmp_path: Path) -> None:
    folder = sources.table(tmp_path)
    for row in range(COUNT):
        (folder / f"{1000 + row}.png").write_bytes(png(row))
    with pytest.raises(ValueError, match=r"60 named like another picture \(1000: 1000\.png, pict"):
        catalog.load(folder, cache_dir=tmp_path / "cache")


def test_floats_of_no_known_range_take_a_stretch(tmp_path: Path) -> None:
    pytest.importorskip("astropy")
    source = deep(tmp_path, lambda x: x.astype(np.float32) - 9)
    with pytest.raises(ValueError, match=r"60 of values whose white and .* add --stretch asinh"):
        catalog.load(source, cache_dir=tmp_path / "cache")
    assert not check(source, Asked(stretch="linear")).wrong
    Image.fromarray(np.full((12, 12), np.nan, np.float32)).save(source / NAMES[0] / "000.tif")
    (wrong,) = check(source, Asked(stretch="linear")).wrong
    assert wrong.startswith(f"1 with values that are no numbers ({NAMES[0]}/000.tif)")
