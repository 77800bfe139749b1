"""Files of galaxies in other forms: what is said of them is computed from their values.

The files are those of the public survey of how such data lie around, made of few pictures.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from datasets import catalog
from datasets.__main__ import main
from datasets.labels import GALAXY10
from datasets.splits import stratified

COUNT = 60
X = np.random.default_rng(7).integers(0, 256, (COUNT, 8, 8, 3)).astype(np.uint8)
X[0, 0, 0] = (0, 255, 128)  # the whole range is there
Y = np.arange(COUNT) % 10
OUTLIER = np.where(np.arange(COUNT) == 5, 2_000_000_000, Y)
DECALS = [f"{name} Galaxies" for name in ("Disturbed", "Merging", *"abcdefgh")]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(attributes: dict | None = None, **datasets: Any) -> Path:
        path = tmp_path / "mine.h5"
        with h5py.File(path, "w") as file:
            for key, values in {"images": X, "ans": Y, **datasets}.items():
                if values is not None:
                    file[key] = values
            file.attrs.update(attributes or {})
        return path

    return write


CONVERTED = {
    "floats from 0 to 1": ({"images": X / np.float32(255)}, r"round\(255 \* x\)"),
    "floats from 0 to 255": ({"images": X.astype("f4")}, r"np\.round\(x\)\.astype"),
    "floats from -1 to 1": ({"images": X / np.float32(127.5) - 1}, r"127\.5 \* \(x \+ 1\)"),
    "16 bits": ({"images": X.astype("u2") * 256 + 128}, r"x >> 8"),
    "16 bits, full range": ({"images": X.astype("u2") * 257}, r"x >> 8"),
    "wide whole numbers": ({"images": X.astype("i8")}, r"x\.astype\(np\.uint8\)"),
    "labels in a column": ({"ans": Y[:, None]}, r"x\[:, 0\]"),
    "labels in a line": ({"ans": Y[None].astype("f8")}, r"x\[0\]"),
    "one-hot labels": ({"ans": np.eye(10)[Y]}, r"argmax of one-hot"),
    "float groups": ({"groups": np.arange(COUNT) / 1.0}, r"astype\(np\.int64\)"),
    "names as labels": ({"ans": Y.astype("S")}, r"np\.unique\(x"),
}


@pytest.mark.parametrize("case", CONVERTED)
def test_the_advice_is_right_and_the_command_follows_it(
    write: Callable[..., Path], tmp_path: Path, case: str
) -> None:
    datasets, advice = CONVERTED[case]
    path = write(**datasets)
    with pytest.raises(ValueError, match=rf"mine\.h5: .*{advice}.*datasets convert") as told:
        catalog.load(path)
    assert str(told.value).count("\n") == 0
    assert main(["convert", str(path), str(tmp_path / "out.h5")]) == 0
    made = catalog.load(tmp_path / "out.h5")
    np.testing.assert_array_equal(made.images, X)
    np.testing.assert_array_equal(made.labels, Y)


REFUSED = {
    "names of galaxies": ({"ans": 1237648702966988820 + np.arange(COUNT)}, "names of galaxies"),
    "one label far out": ({"ans": OUTLIER}, "2000000000 in row 5"),
    "an infinite label": ({"ans": np.where(Y == 7, np.inf, Y)}, "inf in row 7"),
    "labels of 64 bits": ({"ans": np.where(Y == 7, 2**64 - 1, Y).astype("u8")}, str(2**64 - 1)),
    "galaxies as floats": ({"groups": 1e18 + np.arange(COUNT)}, "have lost digits"),
    "floats of no known range": ({"images": X * 3.0}, "white and black are not known"),
    "floats with NaN": ({"images": np.where(X == 7, np.nan, X)}, "no numbers"),
    "all black": ({"images": X * 0}, "all 60 pictures are blank"),
    "floats cast to uint8": ({"images": (X / 255).astype("u1")}, r"round\(255 \* x\)"),
    "a class all black": ({"images": X * (Y != 3)[:, None, None, None]}, r"'class 3' \(6\)"),
    "other classes": ({"class_names": DECALS}, "label-map"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_means_nothing_is_refused_in_one_line(write: Callable[..., Path], case: str) -> None:
    datasets, message = REFUSED[case]
    with pytest.raises(ValueError, match=rf"mine\.h5: .*{message}") as told:
        catalog.load(write(**datasets), labels="4way" if "class_names" in datasets else "native")
    assert str(told.value).count("\n") == 0


def test_values_outside_of_the_file_are_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    inside = write()
    inside.rename(tmp_path / "other.h5")
    secret = tmp_path / "secret"
    secret.write_bytes(X.tobytes())

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout(X.shape, "u1")
        layout[:] = h5py.VirtualSource("other.h5", "images", X.shape, dtype="u1")
        file.create_virtual_dataset("images", layout)

    def raw(file: h5py.File) -> None:
        file.create_dataset("images", X.shape, "u1", external=[(str(secret), 0, X.nbytes)])

    def link(file: h5py.File) -> None:
        file["images"] = h5py.ExternalLink("other.h5", "/images")

    def link_of_link(file: h5py.File) -> None:
        file["far"] = h5py.ExternalLink("other.h5", "/")
        file["images"] = h5py.SoftLink("/far/images")

    def itself(file: h5py.File) -> None:
        file["images"] = h5py.SoftLink("/images")

    for make, message in (
        (virtual, "virtual dataset of other.h5"),
        (raw, "secret"),
        (link, "link to '/images' in other.h5"),
        (link_of_link, "other.h5"),
        (itself, "mine.h5"),
    ):
        with h5py.File(tmp_path / "mine.h5", "w") as file:
            file["ans"] = Y
            make(file)
        with pytest.raises(ValueError, match=message):
            catalog.load(tmp_path / "mine.h5")


def test_a_shape_that_the_file_cannot_hold_allocates_nothing(tmp_path: Path) -> None:
    for key, shape in (("ans", (10**12,)), ("images", (10**9, 8, 8, 3))):
        with h5py.File(tmp_path / "mine.h5", "w") as file:
            file.create_dataset(key, shape, "u1", chunks=(1000, *shape[1:]))[:1000] = 1
            file[{"ans": "images", "images": "ans"}[key]] = X if key == "ans" else Y
        with pytest.raises(ValueError, match=rf"mine\.h5: '{key}'|but there are 60 labels"):
            catalog.load(tmp_path / "mine.h5")


def test_the_identity_is_of_what_was_read(write: Callable[..., Path], tmp_path: Path) -> None:
    plain = catalog.load(write()).sha256
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        file.create_dataset("images", data=X, chunks=(7, 8, 8, 3), compression="gzip")
        file["ans"] = Y.astype("f8")
        file["more"] = 1
    assert catalog.load(tmp_path / "packed.h5").sha256 == plain
    assert catalog.load(write(ans=(Y + 1) % 10)).sha256 != plain
    assert catalog.load(write(images=255 - X)).sha256 != plain
    by_type = [
        catalog.load(write(t_type=types), labels="hubble").sha256
        for types in (Y.astype("i1") - 5, Y.astype("i1") - 4)
    ]
    assert len({*by_type, plain}) == 3


def parts_of(data: catalog.Dataset, seed: int) -> np.ndarray:
    """The part of the split that each row is in: (n,)."""
    split = stratified(data.labels, seed=seed, groups=data.groups, mixed=data.twins)
    found = np.empty(len(data.labels), dtype=object)
    for name, rows in split.parts().items():
        found[rows] = name
    return found


@pytest.mark.parametrize("shift", [0, 1])
def test_equal_pictures_stay_in_one_part(write: Callable[..., Path], shift: int) -> None:
    twice = write(images=np.concatenate([X, X]), ans=np.concatenate([Y, (Y + shift) % 10]))
    data = catalog.load(twice)
    assert "120 pictures of 60 galaxies have the same pixels" in data.note
    assert ("60 of them have different labels (rows 0 and 60" in data.note) == bool(shift)
    for seed in range(3):
        parts = parts_of(data, seed)
        assert (parts[:COUNT] == parts[COUNT:]).all()


def test_pictures_of_one_place_stay_in_one_part(write: Callable[..., Path]) -> None:
    ra, dec = np.arange(COUNT) * 2.0, np.arange(COUNT) - 20.0
    ra[31], dec[31] = ra[1], dec[1]
    ra[[3, 13]], dec[[3, 13]] = np.nan, 0.0  # unknown places are no pair
    data = catalog.load(
        write(ra=ra, dec=dec, groups=np.where(np.arange(COUNT) == 41, 1, np.arange(COUNT)))
    )
    assert "2 pictures of 1 galaxy are at the same coordinates" in data.note
    assert data.groups is not None
    assert len(np.unique(data.groups)) == COUNT - 2
    assert len(set(data.groups[[1, 31, 41]].tolist())) == 1


def test_some_blank_pictures_are_told_and_are_no_twins(write: Callable[..., Path]) -> None:
    data = catalog.load(write(images=X * (np.arange(COUNT) > 1)[:, None, None, None]))
    assert data.note.startswith("2 of 60 pictures are blank, from row 0 on, in 'class 0' (1)")
    assert not data.twins
    part = catalog.load(write(images=X * (np.arange(COUNT) > 1)[:, None, None, None]), fraction=0.5)
    assert (part.note, part.sha256) == (data.note, data.sha256)


def test_labels_are_grouped_by_what_is_known_alone(write: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"not known to be it .*--label-map galaxy10"):
        catalog.load(write(), labels="4way")
    by_map = catalog.load(write(), labels="4way", label_map="galaxy10")
    by_name = catalog.load(write(class_names=list(GALAXY10)), labels="4way")
    np.testing.assert_array_equal(by_map.labels, by_name.labels)
    own = catalog.load(write(), labels="3way", label_map="Sp=0,1,2,3 E=4,5,6 S0=7,8,9")
    assert own.class_names == ("E", "S0", "Sp")
    assert own.labels[:10].tolist() == [2, 2, 2, 2, 0, 0, 0, 1, 1, 1]
    for wrong in ("E=1", "E=0,1,2,3 S0=4,5,6 Sp=7,8,9,9", "E=1,2 E=3", "X=1", "E=1;2", "E=1_0"):
        with pytest.raises(ValueError, match="label_map"):
            catalog.load(write(), labels="3way", label_map=wrong)
    with pytest.raises(ValueError, match="not of 'native'"):
        catalog.load(write(), label_map="galaxy10")
