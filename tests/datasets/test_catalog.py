"""Loading by name and by path: what comes out, and a clear message for whatever is wrong."""

import dataclasses
import functools
import hashlib
import http.server
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets import catalog, demo, galaxy_file
from datasets.download import DownloadError, RemoteFile, fetch
from datasets.labels import GALAXY10, GALAXY10_DECALS
from datasets.resize import box_downscale
from tests.datasets.conftest import IMAGES, LABELS

# What comes out


def test_a_file_of_ones_own(write: Callable[..., Path]) -> None:
    path = write()
    data = catalog.load(path)
    assert data.name == "mine"
    np.testing.assert_array_equal(data.images, IMAGES)
    np.testing.assert_array_equal(data.labels, LABELS)
    assert data.images.dtype == np.uint8
    assert data.labels.dtype == np.int64
    assert data.class_names == ("class 0", "class 1", "class 2")
    assert (data.label_view, data.channels, data.groups) == ("native", "rgb", None)
    assert data.sha256 == galaxy_file.content_sha256(IMAGES, LABELS)
    assert data.file_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "mine.h5" in data.source


def test_keys_can_be_named_and_nested(write: Callable[..., Path]) -> None:
    path = write(images=None, ans=None, **{"data/x": IMAGES, "data/y": LABELS.astype(np.float32)})
    data = catalog.load(str(path), image_key="data/x", label_key="data/y")
    np.testing.assert_array_equal(data.images, IMAGES)
    np.testing.assert_array_equal(data.labels, LABELS)


@pytest.mark.parametrize(
    "extra",
    [
        {"class_names": [b"a", b"b", b"c", b"unseen"]},
        {"attributes": {"class_names": ["a", "b", "c", "unseen"]}},
    ],
)
def test_a_file_may_name_its_classes_even_absent_ones(
    write: Callable[..., Path], extra: dict
) -> None:
    assert catalog.load(write(**extra)).class_names == ("a", "b", "c", "unseen")


def test_class_names_can_be_given(write: Callable[..., Path]) -> None:
    path = write(class_names=[b"a", b"b", b"c"])
    assert catalog.load(path, class_names=["x", "y", "z"]).class_names == ("x", "y", "z")


def test_a_file_may_say_where_it_is_from(write: Callable[..., Path]) -> None:
    assert catalog.load(write(attributes={"source": "My telescope."})).source == "My telescope."


@pytest.mark.parametrize("channel", ["0", "1", "2"])
def test_one_channel_of_three(write: Callable[..., Path], channel: str) -> None:
    data = catalog.load(write(), channels=channel)
    np.testing.assert_array_equal(data.images, IMAGES[..., int(channel), None])
    assert data.images.flags.c_contiguous
    assert data.channels == channel


def test_grey_is_that_of_pillow(write: Callable[..., Path]) -> None:
    images = np.random.default_rng(7).integers(0, 256, (len(IMAGES), 40, 40, 3), dtype=np.uint8)
    images[0, :2, 0] = [[255, 255, 255], [0, 0, 0]]
    data = catalog.load(write(images=images), channels="grey")
    expected = [np.asarray(Image.fromarray(picture).convert("L")) for picture in images]
    np.testing.assert_array_equal(data.images[..., 0], expected)
    assert data.images.shape[3] == 1
    small = catalog.load(write(images=images), channels="grey", image_size=20)
    assert small.images.shape == (len(IMAGES), 20, 20, 1)


def test_the_mean_of_the_channels_is_rounded(write: Callable[..., Path]) -> None:
    images = np.random.default_rng(7).integers(0, 256, (len(IMAGES), 9, 9, 3), dtype=np.uint8)
    images[0, :2, 0] = [[255, 255, 255], [0, 1, 0]]
    data = catalog.load(write(images=images), channels="mean")
    np.testing.assert_array_equal(data.images, np.rint(images.mean(axis=3))[..., None])


@pytest.mark.parametrize("images", [IMAGES[..., 0], IMAGES[..., :1]])
def test_grey_pictures_have_channel_0(write: Callable[..., Path], images: np.ndarray) -> None:
    path = write(images=images)
    np.testing.assert_array_equal(catalog.load(path, channels="0").images, IMAGES[..., :1])
    with pytest.raises(ValueError, match=r"channels 'grey' of one-channel pictures; use .*'0'"):
        catalog.load(path, channels="grey")
    with pytest.raises(ValueError, match=r"mine.h5: channels 'rgb' of one-channel pictures"):
        catalog.load(path)


def test_pictures_are_scaled_down_as_a_whole_or_in_blocks(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write()
    whole = catalog.load(path, image_size=5)
    assert whole.images.shape == (24, 5, 5, 3)
    np.testing.assert_array_equal(whole.images, box_downscale(IMAGES, 5))
    monkeypatch.setattr(galaxy_file, "_BLOCK_BYTES", 7 * IMAGES[0].nbytes)
    np.testing.assert_array_equal(catalog.load(path, image_size=5).images, whole.images)


def test_groups_follow_their_pictures(write: Callable[..., Path]) -> None:
    names = np.array([f"galaxy {row // 2}" for row in range(24)], dtype="S")
    data = catalog.load(write(survey_id=names, groups=np.arange(24)), group_key="survey_id")
    assert data.groups is not None
    assert data.groups.dtype == np.int64
    assert len(np.unique(data.groups)) == 12
    assert (data.groups[::2] == data.groups[1::2]).all()
    by_default = catalog.load(write(groups=np.arange(24) // 3))
    np.testing.assert_array_equal(by_default.groups, np.arange(24) // 3)


def test_a_view_that_leaves_a_class_out_keeps_rows_together(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    t_type = np.tile(np.array([-5, 99, 3, 0], np.int8), 6)
    path = write(t_type=t_type, groups=np.arange(24))
    kept = np.flatnonzero(t_type != 99)
    monkeypatch.setattr(galaxy_file, "_BLOCK_BYTES", 5 * IMAGES[0].nbytes)
    data = catalog.load(path, labels="3way")
    assert data.class_names == ("E", "S0", "Sp")
    np.testing.assert_array_equal(data.images, IMAGES[kept])
    np.testing.assert_array_equal(data.labels, np.tile([0, 2, 1], 6))
    np.testing.assert_array_equal(data.groups, kept)
    assert len(catalog.load(path, labels="hubble").labels) == 24


def test_a_part_of_the_galaxies_is_that_part_of_the_file(write: Callable[..., Path]) -> None:
    t_type = np.tile(np.array([-5, 99, 3, 0], np.int8), 6)
    path = write(t_type=t_type, groups=np.arange(24) % 12)
    whole = catalog.load(path, labels="native")
    assert whole.rows is None
    part = catalog.load(path, labels="native", fraction=0.5, fraction_seed=3)
    assert part.rows is not None
    assert 0 < len(part.rows) < 24
    for name in ("images", "labels", "groups"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[part.rows])
    assert (part.sha256, part.class_names) == (whole.sha256, whole.class_names)
    regrouped = catalog.load(write("3way.h5", t_type=t_type), labels="3way", fraction=0.5)
    kept = np.flatnonzero(t_type != 99)
    np.testing.assert_array_equal(regrouped.images, IMAGES[kept][regrouped.rows])
    assert np.bincount(regrouped.labels).tolist() == [3, 3, 3]
    other = catalog.load(path, labels="native", fraction=0.5, fraction_seed=4)
    assert part.rows.tolist() != other.rows.tolist()


def test_a_part_of_the_demo_galaxies_is_that_part_of_them() -> None:
    whole = catalog.load("demo", demo_images=40)
    part = catalog.load("demo", demo_images=40, fraction=0.5)
    np.testing.assert_array_equal(part.images, whole.images[part.rows])
    np.testing.assert_array_equal(part.labels, whole.labels[part.rows])
    assert part.sha256 == whole.sha256


def test_galaxy10_groups_need_ten_classes(write: Callable[..., Path]) -> None:
    names = {"class_names": [name.upper() for name in GALAXY10]}
    ten = write("ten.h5", names, ans=np.arange(24) % 10)
    assert catalog.load(ten, labels="4way").class_names == ("E", "S0", "Sp", "Irr")
    with pytest.raises(ValueError, match=r"mine.h5: labels '4way' group the ten classes"):
        catalog.load(write(), labels="4way")


def test_memory_is_bounded_by_what_is_kept(write: Callable[..., Path]) -> None:
    pictures = np.zeros((600, 256, 256, 3), np.uint8)
    pictures[:, 0, 0] = np.arange(600)[:, None] % 200 + 2
    path = write(images=pictures, ans=np.arange(600) % 2)
    size = pictures.nbytes
    del pictures
    tracemalloc.start()
    data = catalog.load(path, image_size=16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data.images.nbytes < size / 200
    # Two or three blocks of 16 MiB, and the sums of a few pictures at a time.
    assert peak < size / 1.5


# The demo


def test_the_demo_by_name() -> None:
    data = catalog.load("demo", demo_images=50, demo_seed=3)
    images, labels = demo.generate(50, 3)
    np.testing.assert_array_equal(data.images, images)
    np.testing.assert_array_equal(data.labels, labels)
    assert data.name == "demo"
    assert data.class_names == GALAXY10
    assert "demo" in data.source
    assert data.sha256 != catalog.load("demo", demo_images=50, demo_seed=4).sha256


def test_views_of_the_demo_share_its_hash() -> None:
    whole = catalog.load("demo", demo_images=30)
    view = catalog.load("demo", demo_images=30, labels="3way", channels="1", image_size=23)
    assert view.images.shape == (30, 23, 23, 1)
    assert view.class_names == ("E", "S0", "Sp")
    assert view.sha256 == whole.sha256


# The published files


@pytest.fixture
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, Path], None]]:
    """Publishes a file of ours under a known name, on a server of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def publish(name: str, path: Path) -> None:
        remote = RemoteFile(
            f"http://127.0.0.1:{server.server_port}/{path.name}",
            catalog.PUBLISHED[name].file.filename,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        known = dataclasses.replace(catalog.PUBLISHED[name], file=remote)
        monkeypatch.setitem(catalog.PUBLISHED, name, known)

    yield publish
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_published_set_is_downloaded_by_name(
    write: Callable[..., Path], published: Callable[[str, Path], None], tmp_path: Path
) -> None:
    path = write("original.h5", ans=np.arange(24) % 10)
    published("galaxy10", path)
    data = catalog.load("galaxy10", cache_dir=tmp_path / "cache", labels="4way")
    assert data.name == "galaxy10"
    assert data.class_names == ("E", "S0", "Sp", "Irr")
    assert "Leung & Bovy 2019" in data.source
    assert data.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    cached = tmp_path / "cache" / "Galaxy10.h5"
    assert cached.read_bytes() == path.read_bytes()

    # By its path it is known by its bytes, whatever it is called.
    by_path = catalog.load(path)
    assert (by_path.name, by_path.class_names) == ("galaxy10", GALAXY10)


def test_decals_has_no_galaxy10_groups(
    write: Callable[..., Path], published: Callable[[str, Path], None], tmp_path: Path
) -> None:
    published("galaxy10-decals", write("original.h5", ans=np.arange(24) % 10))
    assert catalog.load("galaxy10-decals", cache_dir=tmp_path / "c").class_names == GALAXY10_DECALS
    with pytest.raises(ValueError, match="this is Galaxy10 DECaLS"):
        catalog.load("galaxy10-decals", cache_dir=tmp_path / "c", labels="4way")


def test_a_published_set_that_cannot_be_had_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    url = f"http://127.0.0.1:{server.server_port}/Galaxy10.h5"
    server.server_close()  # nobody listens there any more
    known = catalog.PUBLISHED["galaxy10"]
    gone = dataclasses.replace(known, file=dataclasses.replace(known.file, url=url, size=None))
    monkeypatch.setitem(catalog.PUBLISHED, "galaxy10", gone)
    monkeypatch.setattr(catalog, "fetch", functools.partial(fetch, pause=lambda _: None))
    with pytest.raises(DownloadError) as caught:
        catalog.load("galaxy10", cache_dir=tmp_path)
    for part in (url, f"put it at {tmp_path / 'Galaxy10.h5'}", "--dataset FILE.h5"):
        assert part in str(caught.value)


def test_the_published_facts() -> None:
    assert catalog.PUBLISHED["galaxy10"].file.size == 210_234_548
    for known in catalog.PUBLISHED.values():
        assert known.file.url.startswith("https://zenodo.org/records/")
        assert known.file.url.endswith(known.file.filename)
        assert len(bytes.fromhex(known.file.sha256)) == 32
        assert len(set(known.class_names)) == 10


# What is wrong


@pytest.mark.parametrize(
    ("datasets", "settings", "message"),
    [
        ({}, {"image_key": "image"}, r"no dataset 'image' \(image_key\) \(did you mean 'images'"),
        ({}, {"label_key": "y"}, r"no dataset 'y' \(label_key\).* ans uint8 \(24,\)"),
        ({}, {"group_key": "pgc"}, r"no dataset 'pgc' \(group_key\)"),
        ({"images": IMAGES / 255}, {}, r"'images' is float64, not uint8.*round\(255 \* x\)"),
        ({"images": IMAGES.astype(np.int64)}, {}, "'images' is int64, not uint8"),
        ({"images": IMAGES.transpose(0, 3, 1, 2)}, {}, r"channels first.*\(0, 2, 3, 1\)"),
        ({"images": IMAGES[..., :2]}, {}, r"'images' has shape \(24, 12, 12, 2\)"),
        ({"images": IMAGES[0, 0]}, {}, r"'images' has shape \(12, 3\)"),
        ({"images": IMAGES[:, :0]}, {}, r"'images' has shape \(24, 0, 12, 3\)"),
        ({"images": IMAGES[:20]}, {}, "'images' has 20 pictures, but there are 24 labels"),
        ({"ans": np.eye(3)[LABELS]}, {}, r"'ans' has shape \(24, 3\).*argmax of one-hot"),
        ({"ans": LABELS + 0.5}, {}, "'ans' has 0.5 in row 0, not a whole number"),
        ({"ans": np.where(LABELS == 2, np.nan, LABELS)}, {}, "'ans' has nan in row 2"),
        ({"ans": LABELS.astype(int) - 1}, {}, "'ans' has -1 in row 0; classes count from 0"),
        ({"ans": LABELS.astype("S")}, {}, r"'ans' is \|S3; labels are class numbers"),
        ({"ans": LABELS * 0}, {}, "'ans' has the one class 0 only"),
        ({"ans": LABELS[:0], "images": IMAGES[:0]}, {}, "'ans' is empty"),
        ({"ans": LABELS + 1}, {}, "from 1 to 3, and none is 0; number the classes 0..2"),
        ({"ans": LABELS * 2}, {}, "3 different labels from 0 to 4, and none is 1"),
        ({"class_names": [b"a", b"b"]}, {}, r"'ans' has 2 in row 2, out of range.*0\.\.1"),
        ({}, {"class_names": ["a", "b"]}, "'ans' has 2 in row 2, out of range"),
        ({}, {"class_names": ["a", "b", "a"]}, "two classes are named 'a'"),
        ({"class_names": [1, 2, 3]}, {}, "'class_names' is not a list of names"),
        ({"groups": np.arange(3)}, {}, r"'groups' is int64 \(3,\)"),
        ({"t_type": np.zeros(24)}, {}, r"'t_type' is float64 \(24,\)"),
        ({"t_type": np.ones(24, int)}, {"labels": "hubble"}, "all of it is one class"),
        ({}, {"labels": "hubble"}, "labels 'hubble' need a dataset 't_type'"),
        ({}, {"image_size": 13}, r"image_size 13 is not in 1\.\.12.*never up"),
        ({}, {"image_size": 0}, "image_size 0 is not in"),
        ({"images": IMAGES[:, :10]}, {"image_size": 5}, "square pictures, and these are 10x12"),
    ],
)
def test_a_wrong_file_is_told_by_name_and_field(
    write: Callable[..., Path], datasets: dict, settings: dict, message: str
) -> None:
    path = write(**datasets)
    with pytest.raises(ValueError, match=message) as caught:
        catalog.load(path, **settings)
    assert str(caught.value).startswith(str(path))


def test_a_group_in_place_of_a_dataset_is_not_taken(write: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"no dataset 'data'.*data/x uint8"):
        catalog.load(write(**{"data/x": IMAGES}), image_key="data")


# Real galaxies


def test_the_galaxy10_sample(galaxy_files: Path) -> None:
    data = catalog.load(galaxy_files / "galaxy10_sdss_subset.h5", class_names=GALAXY10)
    assert data.images.shape == (291, 69, 69, 3)
    assert np.bincount(data.labels).tolist() == [32, 99, 85, 3, 23, 3, 8, 17, 11, 10]
    grouped = catalog.load(galaxy_files / "galaxy10_sdss_subset.h5", labels="4way")
    assert np.bincount(grouped.labels).tolist() == [187, 34, 38, 32]


def test_efigi(galaxy_files: Path) -> None:
    path = galaxy_files / "efigi_t10_69px.h5"
    data = catalog.load(path, group_key="pgc")
    assert data.images.shape == (4458, 69, 69, 3)
    assert np.bincount(data.labels).tolist() == [
        *(358, 537, 453, 219, 517, 472, 751, 640, 263, 248)
    ]
    assert data.groups is not None
    assert len(np.unique(data.groups)) == 4458

    by_type = catalog.load(path, labels="hubble", channels="0", image_size=23)
    assert by_type.images.shape == (4458, 23, 23, 1)
    assert np.bincount(by_type.labels).tolist() == [227, 733, 3119, 379]
    assert len(catalog.load(path, labels="3way", image_size=8).labels) == 227 + 733 + 3119
