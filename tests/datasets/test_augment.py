"""Augmented copies: against a picture-by-picture reference, and the algebra of row numbers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.augment import COUNTS, TURNS, AugmentedImages, copies_of

KINDS = sorted(COUNTS)


def pictures(galaxies: int, side: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """No picture looks like another, nor like itself turned."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (galaxies, side, side, channels), dtype=np.uint8)


def view(base: np.ndarray, kind: str, crop_size: int | None = None) -> AugmentedImages:
    return AugmentedImages(base, copies_of(*base.shape[1:3], kind, crop_size))


def naive(base: np.ndarray, kind: str, crop: int) -> np.ndarray:
    """Every copy of every picture, one after the other, in the order that is published:
    crop, then turn by k = 0..3, then each of these as it is and transposed."""
    side, found = base.shape[1], []
    last = side - crop
    middle = (side - crop) // 2
    corners = [(middle, middle), (0, 0), (0, last), (last, 0), (last, last)]
    for picture in base:
        for top, left in corners if kind == "crops40" else corners[:1]:
            cropped = picture[top : top + crop, left : left + crop]
            turned = [np.rot90(cropped, k) for k in range(4)] if kind != "none" else [cropped]
            found += turned
            if kind != "none":
                found += [np.transpose(one, (1, 0, 2)) for one in turned]
    return np.stack(found)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_copy_is_that_of_the_reference(kind: str, channels: int) -> None:
    base = pictures(3, 11, channels)
    images = view(base, kind)
    expected = naive(base, kind, images.copies.crop)
    assert images.shape == expected.shape
    assert (len(images), images.dtype, images.ndim) == (len(expected), expected.dtype, 4)
    np.testing.assert_array_equal(images[:], expected)
    np.testing.assert_array_equal(images[5::-2], expected[5::-2])
    np.testing.assert_array_equal(images[2], expected[2])
    rows = np.random.default_rng(1).permutation(len(images))[:17]
    for asked in (rows, rows.astype(np.int32), rows.tolist(), rows - len(images)):
        gathered = images[asked]
        np.testing.assert_array_equal(gathered, expected[rows])
        assert gathered.dtype == np.uint8
        assert gathered.flags.c_contiguous
        assert gathered.flags.writeable
    assert images[rows[:0]].shape == (0, *images.shape[1:])


@given(
    st.sampled_from(KINDS),
    st.integers(1, 4),
    st.integers(3, 9),
    st.data(),
)
def test_row_r_is_copy_r_mod_copies_of_its_galaxy(kind, galaxies, side, data) -> None:
    crop = data.draw(st.integers(1, side - 2)) if kind == "crops40" else None
    base = pictures(galaxies, side)
    images = view(base, kind, crop)
    rows = np.array(data.draw(st.lists(st.integers(0, len(images) - 1), max_size=20)), dtype=int)
    np.testing.assert_array_equal(images[rows], naive(base, kind, images.shape[1])[rows])


@given(st.integers(0, 100), st.integers(5, 9))
def test_the_forty_copies_of_a_picture_are_forty(seed: int, side: int) -> None:
    (picture,) = pictures(1, side, seed=seed)
    images = view(picture[None], "crops40", side - 2)
    assert len({copy.tobytes() for copy in images[:]}) == 40


def test_the_eight_turns_form_the_group_of_the_square() -> None:
    (picture,) = pictures(1, 4)

    def turned(copy: int, what: np.ndarray) -> np.ndarray:
        return view(np.ascontiguousarray(what)[None], "dihedral")[copy]

    number = {turned(copy, picture).tobytes(): copy for copy in range(TURNS)}
    assert len(number) == TURNS
    table = np.array(
        [
            [number[turned(b, turned(a, picture)).tobytes()] for a in range(TURNS)]
            for b in range(TURNS)
        ]
    )  # a KeyError above: two of them in turn are none of the eight
    assert (np.sort(table, axis=0) == np.arange(TURNS)[:, None]).all()
    assert (np.sort(table, axis=1) == np.arange(TURNS)).all()
    orders = [next(n for n in range(1, 9) if power(table, copy, n) == 0) for copy in range(TURNS)]
    assert sorted(orders) == [1, 2, 2, 2, 2, 2, 4, 4]  # D4, and of the groups of eight it alone


def power(table: np.ndarray, copy: int, times: int) -> int:
    result = 0
    for _ in range(times):
        result = table[copy, result]
    return result


@pytest.mark.parametrize(("side", "crop"), [(110, 100), (69, 63), (256, 233)])
def test_crops_are_the_published_share_of_the_picture(side: int, crop: int) -> None:
    copies = copies_of(side, side, "crops40")
    assert (copies.count, copies.crop) == (40, crop)
    if side == 110:
        assert copies.corner(0) == (5, 5)  # [5:105] in Data/PyTorch_Data_Loading.py
    assert copies.turn(0) == (0, False)


def test_nothing_of_the_full_size_is_made() -> None:
    base = np.zeros((1000, 32, 32, 3), np.uint8)
    images = view(base, "crops40")
    assert images.nbytes == base.nbytes
    assert images.base is base
    assert np.shares_memory(images._pixels, base)
    assert len(images) == 40_000
    tracemalloc.start()
    images[np.arange(64)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * base.nbytes  # 40 copies would be 33 times the base


def test_the_definition_has_a_hash_of_its_own() -> None:
    definitions = [
        copies_of(69, 69),
        copies_of(69, 69, "dihedral"),
        copies_of(69, 69, "crops40"),
        copies_of(69, 69, "crops40", 60),
        copies_of(68, 68, "crops40", 60),
    ]
    assert len({copies.sha256() for copies in definitions}) == len(definitions)
    assert copies_of(69, 69, "crops40", 63).sha256() == copies_of(69, 69, "crops40").sha256()


@pytest.mark.parametrize(
    ("shape", "kind", "crop", "message"),
    [
        ((69, 69), "crop40", None, "unknown 'crop40'; choose one of none, crops40, dihedral"),
        ((69, 60), "dihedral", None, "must be square, and these are 69x60; use augmentation none"),
        ((69, 60), "crops40", None, "must be square, and these are 69x60"),
        ((69, 69), "crops40", 70, "70 pixels of pictures of 69x69 .*; use at most 67"),
        ((69, 69), "crops40", 68, "no five different crops; use at most 67"),
        ((69, 69), "crops40", 0, "crop_size: 0 pixels"),
        ((69, 69), "dihedral", 63, "is 63, and nothing is cropped; use augmentation crops40"),
    ],
)
def test_what_cannot_be_made_is_said(shape, kind, crop, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        copies_of(*shape, kind, crop)


def test_pictures_need_not_be_square_to_be_left_as_they_are() -> None:
    assert copies_of(69, 60).count == 1


def test_rows_that_there_are_not() -> None:
    images = view(pictures(2, 5), "dihedral")
    for rows in ([16], [-17], 16):
        with pytest.raises(IndexError, match=r"outside 0\.\.15"):
            images[rows]
    with pytest.raises(IndexError, match="whole numbers"):
        images[np.array([0.0])]


@settings(max_examples=5)
@given(st.sampled_from([np.float32, np.int8]))
def test_other_pictures_are_refused(dtype) -> None:
    with pytest.raises(ValueError, match=r"must be uint8 \(n, 5, 5, channels\)"):
        AugmentedImages(np.zeros((2, 5, 5, 3), dtype), copies_of(5, 5, "dihedral"))
    with pytest.raises(ValueError, match="contiguous"):
        AugmentedImages(pictures(4, 5)[::2], copies_of(5, 5, "dihedral"))
