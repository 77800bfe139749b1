"""Values of pictures and labels in a source: depth, colour, layout, names, and what is recorded."""

import gzip
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from datasets import catalog
from datasets.__main__ import main
from datasets.convert.form import Asked
from datasets.convert.stream import convert_source
from datasets.progress import of_pictures
from tests.helpers import sources
from tests.helpers.sources import COUNT, IMAGES, LABELS, NAMES, png

GREY = IMAGES[..., 0]


def made(source: Path, tmp_path: Path, **asked: object) -> catalog.Dataset:
    (tmp_path / "made.h5").unlink(missing_ok=True)
    done = convert_source(source, tmp_path / "made.h5", Asked(**asked))  # type: ignore[arg-type]
    channels = "0" if done.shape[2] == 1 else "rgb"
    return catalog.load(done.output, channels=channels)


def folders(path: Path, encode: Callable[[int], bytes], ending: str = ".png") -> Path:
    for row in range(COUNT):
        folder = path / "made" / NAMES[LABELS[row]]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row:03}{ending}").write_bytes(encode(row))
    return path / "made"


def encoded(image: Image.Image, form: str, **settings: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def palette(row: int) -> bytes:
    image = Image.fromarray(IMAGES[row] // 64 * 64).quantize(256)
    return encoded(image, "png")


COLOURS: dict[str, tuple[Callable[[int], bytes], np.ndarray]] = {
    "grey": (lambda row: png(row, GREY[row]), GREY[..., None]),
    "grey of 16 bits": (
        lambda row: encoded(Image.fromarray(GREY[row].astype(np.uint16) * 257), "png"),
        GREY[..., None],
    ),
    "TIFF of 16 bits": (
        lambda row: encoded(Image.fromarray(GREY[row].astype(np.uint16) * 257), "tiff"),
        GREY[..., None],
    ),
    "an alpha channel": (
        lambda row: png(row, np.dstack([IMAGES[row], np.full((12, 12), 255, np.uint8)])),
        IMAGES,
    ),
    "BMP": (lambda row: encoded(Image.fromarray(IMAGES[row]), "bmp"), IMAGES),
    "grey beside colour": (
        lambda row: png(row, GREY[row] if row == 7 else IMAGES[row]),
        np.where(np.arange(COUNT)[:, None, None, None] == 7, GREY[..., None], IMAGES),
    ),
    "a palette": (palette, IMAGES // 64 * 64),
}


@pytest.mark.parametrize("case", COLOURS)
def test_pictures_of_every_depth_and_colour(case: str, tmp_path: Path) -> None:
    encode, expected = COLOURS[case]
    data = made(folders(tmp_path, encode), tmp_path)
    np.testing.assert_array_equal(data.images, expected[sources.BY_CLASS])


ARRAYS: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "grey": (GREY, GREY[..., None]),
    "grey, channels first": (GREY[:, None], GREY[..., None]),
    "channels first": (IMAGES.transpose(0, 3, 1, 2), IMAGES),
    "alpha": (np.concatenate([IMAGES, IMAGES[..., :1]], axis=3), IMAGES),
    "from -1 to 1": (IMAGES / 127.5 - 1, IMAGES),
    "16 bits": (IMAGES.astype(np.uint16) * 257, IMAGES),
    "by columns": (np.asfortranarray(IMAGES), IMAGES),
    "big-endian": (IMAGES.astype(">i4"), IMAGES),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_of_every_layout(case: str, tmp_path: Path) -> None:
    images, expected = ARRAYS[case]
    np.savez_compressed(tmp_path / "a.npz", pictures=images, kind=LABELS)
    np.testing.assert_array_equal(made(tmp_path / "a.npz", tmp_path).images, expected)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["pictures"], file["kind"] = images, LABELS
    np.testing.assert_array_equal(made(tmp_path / "a.h5", tmp_path).images, expected)


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (LABELS + 1, ("class 1", "class 2", "class 3"), LABELS),
        (np.array(["b2", "b10", "b1"])[LABELS], ("b1", "b2", "b10"), np.array([1, 2, 0])[LABELS]),
        (np.eye(3)[LABELS], ("class 0", "class 1", "class 2"), LABELS),
        (LABELS == 2, ("class 0", "class 1"), (LABELS == 2) * 1),
        (LABELS[:, None].astype(float), ("class 0", "class 1", "class 2"), LABELS),
        (np.array(["0", "1", "2"])[LABELS], ("class 0", "class 1", "class 2"), LABELS),
    ],
)
def test_labels_of_every_form(
    labels: np.ndarray, names: tuple[str, ...], expected: np.ndarray, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=labels)
    data = made(tmp_path / "a.npz", tmp_path)
    assert data.class_names == names
    np.testing.assert_array_equal(data.labels, expected)


def test_names_can_be_given_in_an_order(tmp_path: Path) -> None:
    source = sources.class_folders(tmp_path)
    data = made(source, tmp_path, class_names=("spiral", "elliptical", "irregular", "merger"))
    assert data.class_names == ("spiral", "elliptical", "irregular", "merger")
    np.testing.assert_array_equal(data.images[data.labels == 0], IMAGES[LABELS == 2])
    with pytest.raises(ValueError, match="20 with a label that has no name"):
        made(source, tmp_path, class_names=("spiral", "elliptical"))


def test_cutting_and_scaling_are_pillows(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    by_array = made(tmp_path / "a.npz", tmp_path, crop=10, size=5)
    source = sources.class_folders(tmp_path)
    by_file = made(source, tmp_path, crop=10, size=5)
    np.testing.assert_array_equal(by_array.images[sources.BY_CLASS], by_file.images)
    middle = Image.fromarray(IMAGES[3]).crop((1, 1, 11, 11))
    expected = np.asarray(middle.resize((5, 5), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(by_array.images[3], expected)


def test_columns_beside_the_labels_are_kept(tmp_path: Path) -> None:
    def line(row: int) -> str:
        return f"{1000 + row}.0,{LABELS[row]},g{row // 6},{row},{row - 30},{row % 9}"

    source = sources.table(tmp_path, head="objid,label,galaxy,ra,dec,t_type", form=line)
    (tmp_path / "made.h5").unlink(missing_ok=True)
    convert_source(source, tmp_path / "made.h5", Asked(group_key="galaxy"))
    with h5py.File(tmp_path / "made.h5") as file:
        assert file["name"][3] == b"pictures/1003.png"
        assert file["groups"][13] == b"g2"
        np.testing.assert_array_equal(file["ra"], np.arange(COUNT))
        np.testing.assert_array_equal(file["t_type"], np.arange(COUNT) % 9)
        assert "by column 'objid'" in file.attrs["converted"]
        assert "Pillow" in file.attrs["decoder"]


def test_a_terminal_has_a_bar_and_a_log_a_line_every_tenth() -> None:
    log = io.StringIO()
    with of_pictures("made.h5", 5000, log) as progress:
        for _ in range(500):
            progress.advance(10)
    lines = log.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[:2] == [f"made.h5: {have} of 5,000 pictures" for have in (0, 500)]
    quiet = io.StringIO()
    with of_pictures("made.h5", 50, quiet) as progress:
        progress.advance(50)
    assert quiet.getvalue() == ""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    with of_pictures("[bold]", 50, shown) as progress:
        progress.advance(50)
    assert "50/50" in shown.getvalue()
    assert "[bold]" in shown.getvalue()


def test_galaxies_are_drawn_in_a_terminal_and_as_a_picture(tmp_path: Path, capsys) -> None:
    source = sources.plain(tmp_path)
    assert main(["show", str(source), "--text", "--per-class", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith("(20)")] == [f"{name} (20)" for name in NAMES]
    assert len({line for line in lines if "(20)" not in line}) == 3 * 6
    output = tmp_path / "seen.png"
    assert main(["show", str(source), "--output", str(output), "--per-class", "3"]) == 0
    with Image.open(output) as drawn, warnings.catch_warnings():
        assert drawn.size[0] > 200
        assert len(np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)) > 300


def records(path: Path, write: Callable) -> Path:
    tensorflow = pytest.importorskip("tensorflow")
    train = tensorflow.train
    with tensorflow.io.TFRecordWriter(str(path)) as file:
        for row in range(COUNT):
            feature = {
                "image": train.Feature(bytes_list=train.BytesList(value=[png(row)])),
                "label": write(train, row),
            }
            example = train.Example(features=train.Features(feature=feature))
            file.write(example.SerializeToString())
    return path


@pytest.mark.slow
@pytest.mark.extended
def test_records_of_tensorflow(tmp_path: Path) -> None:
    def number(train, row: int):
        return train.Feature(int64_list=train.Int64List(value=[LABELS[row]]))

    def name(train, row: int):
        return train.Feature(bytes_list=train.BytesList(value=[NAMES[LABELS[row]].encode()]))

    for write in (number, name):
        source = records(tmp_path / f"{write.__name__}.tfrecord", write)
        data = made(source, tmp_path, label_key="label", image_key="image")
        np.testing.assert_array_equal(data.images, IMAGES)
        np.testing.assert_array_equal(data.labels, LABELS)
    assert data.class_names == NAMES
    folder = tmp_path / "shards"
    folder.mkdir()
    for part in ("train", "test"):
        records(folder / f"galaxies-{part}.tfrecord-00000-of-00001", number)
    made(folder, tmp_path)
    parts = catalog.load(str(tmp_path / "made.h5"), split_from="split").parts
    assert parts is not None
    assert parts.tolist() == [2] * COUNT + [0] * COUNT  # test, train
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2 + 9])
    with pytest.raises(ValueError, match=r"name\.tfrecord: .* its end is missing.*; get it again"):
        made(source, tmp_path, label_key="label", image_key="image")


def test_without_tensorflow_records_are_refused_with_its_command(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    (tmp_path / "a.tfrecord").write_bytes(b"x")
    with pytest.raises(
        ValueError, match=r"a\.tfrecord: TFRecord is read by TensorFlow: pip install"
    ):
        made(tmp_path / "a.tfrecord", tmp_path)


def test_without_astropy_fits_is_refused_with_its_command(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "astropy.io.fits", None)
    source = folders(tmp_path, png, ".fits")
    with pytest.raises(ValueError, match="FITS is read by astropy: pip install"):
        made(source, tmp_path)


def test_fits_cut_outs(tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits")

    def bands(row: int) -> bytes:
        file = io.BytesIO()
        light = (IMAGES[row].astype(np.float32) * 3 - 7).transpose(2, 0, 1)[:, ::-1]
        fits.PrimaryHDU(light).writeto(file)
        return file.getvalue()

    source = folders(tmp_path, bands, ".fits")
    with pytest.raises(ValueError, match=r"add --stretch asinh or --stretch linear"):
        made(source, tmp_path)
    linear = made(source, tmp_path, stretch="linear").images
    low, high = np.percentile(IMAGES[0], [0.5, 99.5])
    expected = np.round(255 * np.clip((IMAGES[0] - low) / (high - low), 0, 1))
    np.testing.assert_allclose(linear[0], expected, atol=1)
    asinh = made(source, tmp_path, stretch="asinh").images
    assert (asinh >= linear).mean() > 0.99  # the faint is brighter
    (source / "spiral" / "002.fits").write_bytes(bands(2)[:3000])
    with pytest.raises(ValueError, match=r"1 not readable as a picture \(spiral/002\.fits\)"):
        made(source, tmp_path, stretch="asinh")


def test_fits_as_telescopes_and_surveys_write_it(tmp_path: Path) -> None:
    """Scaled integers, bands last, axes of one, compressed, in an extension or in several; what
    has no meaning as a picture is named as what it is."""
    fits = pytest.importorskip("astropy.io.fits")
    light = IMAGES[1].astype(np.float32).transpose(2, 0, 1)[:, ::-1]
    scaled = fits.PrimaryHDU(light * 2 + 100)
    scaled.scale("int16", bscale=0.5, bzero=100)
    file = io.BytesIO()
    fits.PrimaryHDU(light).writeto(file)
    packed = gzip.compress(file.getvalue())
    units = {
        "a.fits": [scaled],
        "b.fits": [fits.PrimaryHDU(light.transpose(1, 2, 0))],
        "c.fits": [fits.PrimaryHDU(light[None])],
        "d.fits.fz": [fits.PrimaryHDU(), fits.CompImageHDU(light, quantize_level=0)],
        "e.fits": [fits.PrimaryHDU(), fits.ImageHDU(light), fits.ImageHDU(light * 0)],
    }
    folder = tmp_path / "fits"
    for kind in ("elliptical", "spiral"):
        (folder / kind).mkdir(parents=True)
        for name, parts in units.items():
            fits.HDUList(parts).writeto(folder / kind / name)
        (folder / kind / "f.fits.gz").write_bytes(packed)
    found = made(folder, tmp_path, stretch="linear").images
    for picture in found[1:]:
        np.testing.assert_allclose(picture, found[0], atol=1)
    assert found[0].std() > 20
    hole = light.copy()
    hole[0, 3, 3] = np.nan
    fits.PrimaryHDU(hole).writeto(folder / "spiral" / "hole.fits")
    fits.PrimaryHDU(np.repeat(light, 2, axis=0)[:5]).writeto(folder / "spiral" / "ugriz.fits")
    with pytest.raises(ValueError, match=r"1 with values that are no numbers") as told:
        made(folder, tmp_path, stretch="linear")
    for words in ("(spiral/hole.fits)", "1 of other bands than one or three (spiral/ugriz.fits)"):
        assert words in str(told.value)
    assert "numpy.nan_to_num" in str(told.value)


def test_a_structure_of_matlab_is_its_fields(tmp_path: Path) -> None:
    tall = IMAGES[:, :, :8]
    stacked = {"images": tall.transpose(1, 2, 3, 0), "labels": LABELS[:, None] + 1}
    savemat(tmp_path / "a.mat", {"galaxies": stacked})
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        file["galaxies/images"] = tall.transpose(0, 3, 2, 1)
        file["galaxies/labels"] = LABELS[None] + 1.0
    for name in ("a.mat", "b.mat"):
        found = made(tmp_path / name, tmp_path)
        np.testing.assert_array_equal(found.images, tall, err_msg=name)
        np.testing.assert_array_equal(found.labels, LABELS, err_msg=name)
