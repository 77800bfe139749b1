"""Augmentation drawn anew: against a pixel-by-pixel reference, and what a draw depends on."""

from __future__ import annotations

import colorsys
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.drawn.draws import PLACES, TRIES, normals, uniforms
from datasets.drawn.moves import moves, parts
from datasets.drawn.pixels import augmented
from datasets.drawn.settings import Augment, check_fits
from tests.helpers.drawing import ALL, pictures

PIXELS_LEFT = Augment(flip="both", quarter_turns=True, crop=7)


def taken(settings: Augment, number: dict[str, float], height: int, width: int):
    """The part that is taken: torchvision's RandomResizedCrop, written out."""
    if not settings.resized:
        side, wide = (settings.crop or height), (settings.crop or width)
        top = math.floor(number["crop_row"] * (height - side + 1))
        return top, math.floor(number["crop_column"] * (width - wide + 1)), side, wide
    (least, most), (low, high) = settings.area, settings.ratio
    for place in range(TRIES):
        area = height * width * (least + (most - least) * number[f"part_area_{place}"])
        ratio = low * (high / low) ** number[f"part_ratio_{place}"]
        tall, wide = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < tall <= height and 0 < wide <= width:
            top = math.floor(number["part_row"] * (height - tall + 1))
            return top, math.floor(number["part_column"] * (width - wide + 1)), tall, wide
    tall, wide = height, width
    if width / height < low:
        tall = round(width / low)
    if width / height > high:
        wide = round(height * high)
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def source(settings: Augment, drawn: np.ndarray, pixel, height: int, width: int):
    """Where a pixel of the picture made comes from: every move undone, the last one first."""
    number = dict(zip(PLACES, drawn.tolist(), strict=True))

    def either_way(name: str) -> float:
        return 2 * number[name] - 1

    top, left, tall, wide = taken(settings, number, height, width)
    size = (settings.crop or height), (settings.crop or width)

    def of_part(row: float, column: float) -> tuple[float, float]:
        return (row + 0.5) * tall / size[0] - 0.5, (column + 0.5) * wide / size[1] - 0.5

    row, column = pixel
    if settings.crop_first:
        height, width = size
    else:
        row, column = of_part(row, column)
        row, column = row + top, column + left
    if number["perspective"] < settings.perspective:
        row, column = from_aslant(settings, number, row, column, height, width)
    y, x = row - (height - 1) / 2, column - (width - 1) / 2
    low, high = settings.shrink
    y *= low + (high - low) * number["shrink_rows"]
    x *= low + (high - low) * number["shrink_columns"]
    y -= height * settings.shift * either_way("shift_rows")
    x -= width * settings.shift * either_way("shift_columns")
    angle = math.radians(settings.rotation * either_way("rotation"))
    y, x = math.cos(angle) * y + math.sin(angle) * x, -math.sin(angle) * y + math.cos(angle) * x
    low, high = settings.zoom
    zoom = low + (high - low) * number["zoom"]
    y, x = y / zoom, x / zoom
    x -= math.tan(math.radians(settings.shear * either_way("shear"))) * y
    for _ in range(math.floor(4 * number["turn"]) if settings.quarter_turns else 0):
        y, x = x, -y
    chance = settings.flip_probability
    if settings.flip in ("horizontal", "both") and number["flip_columns"] < chance:
        x = -x
    if settings.flip in ("vertical", "both") and number["flip_rows"] < chance:
        y = -y
    row, column = y + (height - 1) / 2, x + (width - 1) / 2
    return of_part(row, column) if settings.crop_first else (row, column)


def from_aslant(settings: Augment, number, row, column, height: int, width: int):
    """Where a pixel seen aslant was, by the classical formulas of the projection of the unit square
    onto a quadrilateral (Heckbert 1989), inverted."""
    corners = []
    for place, (down, right) in enumerate([(0, 0), (0, 1), (1, 1), (1, 0)]):
        found = []
        for axis, far, side in (("rows", down, height), ("columns", right, width)):
            most = math.floor(settings.perspective_scale * (side // 2))
            inwards = math.floor(number[f"corner_{place}_{axis}"] * (most + 1))
            found.append(side - 1 - inwards if far else inwards)
        corners.append(np.array(found, float))
    a, b, c, d = corners  # of the square's (0, 0), (0, 1), (1, 1), (1, 0)
    left, low, rest = b - c, d - c, a - b + c - d
    both = left[0] * low[1] - left[1] * low[0]
    g = (rest[0] * low[1] - rest[1] * low[0]) / both  # of the column
    h = (left[0] * rest[1] - left[1] * rest[0]) / both  # of the row
    to = np.column_stack([b - a + g * b, d - a + h * d, a])
    whole = np.vstack([to, [g, h, 1]])
    across, down, third = np.linalg.solve(whole, [row, column, 1])
    return down / third * (height - 1), across / third * (width - 1)


def at(picture: np.ndarray, row: int, column: int, edge: str) -> np.ndarray:
    """The value of a pixel that may lie outside: float64 (channels,)."""
    found = []
    for place, length in ((row, picture.shape[0]), (column, picture.shape[1])):
        if not 0 <= place < length and edge == "constant":
            return np.zeros(picture.shape[2])
        if edge == "nearest":
            found.append(min(max(place, 0), length - 1))
        else:
            place %= 2 * length
            found.append(place if place < length else 2 * length - 1 - place)
    return picture[found[0], found[1]].astype(np.float64)


def bilinear(picture: np.ndarray, row: float, column: float, edge: str) -> np.ndarray:
    top, left = math.floor(row), math.floor(column)
    down, right = row - top, column - left
    return (
        (1 - down) * (1 - right) * at(picture, top, left, edge)
        + (1 - down) * right * at(picture, top, left + 1, edge)
        + down * (1 - right) * at(picture, top + 1, left, edge)
        + down * right * at(picture, top + 1, left + 1, edge)
    )


MOVED = st.builds(
    Augment,
    flip=st.sampled_from(["none", "horizontal", "vertical", "both"]),
    shear=st.sampled_from([0, 10, 45]),
    zoom=st.sampled_from([(1.0, 1.0), (0.5, 0.8), (1.1, 2.0)]),
    rotation=st.floats(1, 180),
    shift=st.sampled_from([0, 0.2, 1]),
    shrink=st.sampled_from([(1.0, 1.0), (0.8, 1.3)]),
    perspective=st.sampled_from([0, 0.7]),
    crop=st.sampled_from([4, 6]),
    crop_first=st.booleans(),
    interpolation=st.sampled_from(["bilinear", "nearest"]),
    edge=st.sampled_from(["reflect", "nearest", "constant"]),
)
PARTS = st.sampled_from([((1.0, 1.0), (1.0, 1.0)), ((0.1, 1.0), (0.75, 1.33)), ((0.9, 1), (3, 4))])


@settings(max_examples=40)
@given(
    MOVED,
    PARTS,
    st.booleans(),
    st.sampled_from([(6, 6), (6, 9)]),
    st.integers(0, 2**62),
    st.integers(1, 300),
)
def test_every_pixel_comes_from_where_the_moves_say(
    augment, part, whole, shape, seed, epoch
) -> None:
    area, ratio = part
    augment = msgspec.structs.replace(augment, area=area, ratio=ratio)
    augment = augment.uncropped if whole else augment
    base = pictures(2, *shape)
    galaxies = np.array([5, 2**33 + 1])
    made = augmented(base, galaxies, augment, seed, epoch)
    for picture, result, drawn in zip(base, made, uniforms(seed, epoch, galaxies), strict=True):
        if augment.crop_first:
            number = dict(zip(PLACES, drawn.tolist(), strict=True))
            top, left, tall, wide = taken(augment, number, *shape)
            picture = picture[top : top + tall, left : left + wide]
        for pixel in np.ndindex(result.shape[:2]):
            row, column = source(augment, drawn, pixel, *shape)
            if augment.interpolation == "bilinear":
                expected = bilinear(picture, row, column, augment.edge)
                assert np.abs(result[pixel] - expected).max() <= 0.5 + 1e-6
            elif min(abs(row % 1 - 0.5), abs(column % 1 - 0.5)) > 1e-9:
                nearest = at(picture, math.floor(row + 0.5), math.floor(column + 0.5), augment.edge)
                np.testing.assert_array_equal(result[pixel], nearest)


@given(st.integers(0, 1000), st.sampled_from(["none", "horizontal", "vertical", "both"]))
def test_flips_and_quarter_turns_leave_the_pixels_as_they_are(seed, flip) -> None:
    base, galaxies = pictures(5), np.arange(5)
    exact = Augment(flip=flip, quarter_turns=True, crop=7)
    interpolated = Augment(flip=flip, quarter_turns=True, crop=7, shear=1e-9)
    assert not exact.resampled
    assert interpolated.resampled
    made = augmented(base, galaxies, exact, seed, 1)
    np.testing.assert_array_equal(made, augmented(base, galaxies, interpolated, seed, 1))


def test_values_are_those_of_the_formulas() -> None:
    augment = Augment(contrast=0.4, brightness=0.3, noise=0.05)
    base, galaxies = pictures(6), np.arange(6)
    made = augmented(base, galaxies, augment, 3, 2)
    for picture, result, galaxy in zip(base, made, galaxies.tolist(), strict=True):
        (drawn,) = uniforms(3, 2, [galaxy])
        contrast = 1 + 0.4 * (2 * drawn[PLACES["contrast"]] - 1)
        brightness = 1 + 0.3 * (2 * drawn[PLACES["brightness"]] - 1)
        mean = picture.mean()
        expected = (mean + contrast * (picture - mean)) * brightness
        expected = expected + 255 * 0.05 * normals(3, 2, galaxy, picture.shape)
        assert np.abs(result - np.clip(expected, 0, 255)).max() <= 0.5 + 1e-3
    assert (made == 255).any()
    assert (made == 0).any()


@given(st.floats(0.01, 0.5), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=30)
def test_hue_and_saturation_are_those_of_colorsys(hue, saturation, seed) -> None:
    base = pictures(1, 5, 5)
    base[0, 0] = 77  # grey has no hue
    (drawn,) = uniforms(seed, 1, [0])
    turn, factor = (2 * drawn[PLACES[name]] - 1 for name in ("hue", "saturation"))
    turned = augmented(base, np.arange(1), Augment(hue=hue), seed, 1)
    less = augmented(base, np.arange(1), Augment(saturation=saturation or 1), seed, 1)
    factor = 1 + (saturation or 1) * factor
    for pixel in np.ndindex(5, 5):
        colour = base[0][pixel] / 255
        angle, of_hue, value = colorsys.rgb_to_hsv(*colour)
        expected = 255 * np.array(colorsys.hsv_to_rgb((angle + hue * turn) % 1, of_hue, value))
        assert np.abs(turned[0][pixel] - expected).max() <= 0.5 + 1e-3
        grey = 255 * colour @ [0.299, 0.587, 0.114]
        expected = np.clip(grey + factor * (255 * colour - grey), 0, 255)
        assert np.abs(less[0][pixel] - expected).max() <= 0.5 + 1e-2


def test_a_share_of_the_pictures_has_a_black_part() -> None:
    base = np.full((600, 10, 14, 2), 9, dtype=np.uint8)
    drawn = Augment(erase=0.25, erase_area=(0.1, 0.2))
    gone = (augmented(base, np.arange(600), drawn, 0, 1) == 0).all(axis=3)
    erased = gone.reshape(600, -1).any(axis=1)
    assert abs(erased.mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 600)
    for part in gone[erased]:
        rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
        assert part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert part.sum() == len(rows) * len(columns)
        assert 0.07 < part.mean() < 0.25  # sides are whole pixels
    assert gone[erased].any(axis=0).all()
    assert parts("erased", uniforms(0, 1, [1]), (1, 1), (1, 1), (9, 9), spare=1)[1].tolist() == [
        False
    ]


def test_parts_have_the_areas_and_the_ratios_asked_for() -> None:
    drawn = uniforms(0, 1, np.arange(2000))
    found, fits = parts("part", drawn, (0.25, 0.75), (0.5, 2), (300, 400))
    assert fits.mean() > 0.99
    top, left, tall, wide = found[fits].T
    assert min(top.min(), left.min()) == 0
    assert ((top + tall).max(), (left + wide).max()) == (300, 400)
    assert ((tall * wide / 120000).min(), (tall * wide / 120000).max()) == pytest.approx(
        (0.25, 0.75), abs=0.01
    )
    assert ((wide / tall).min(), (wide / tall).max()) == pytest.approx((0.5, 2), abs=0.03)


@given(st.permutations(list(range(8))), st.integers(1, 8), st.integers(0, 2**62))
@settings(max_examples=20)
def test_a_galaxy_s_draw_depends_on_no_other(order, count, seed) -> None:
    base, galaxies = pictures(8), np.arange(8) * 7
    rows = np.array(order[:count])
    whole = augmented(base, galaxies, ALL, seed, 4)
    np.testing.assert_array_equal(augmented(base[rows], galaxies[rows], ALL, seed, 4), whole[rows])


def test_every_epoch_seed_and_galaxy_has_draws_of_its_own() -> None:
    keys = [(seed, epoch, galaxy) for seed in (0, 1) for epoch in (1, 2) for galaxy in (0, 1)]
    found = np.array([uniforms(seed, epoch, [galaxy])[0] for seed, epoch, galaxy in keys])
    noise = np.array([normals(*key, (12,)) for key in keys])
    both = np.concatenate([found.ravel(), noise.ravel()])
    assert len(np.unique(both)) == len(both)


def test_draws_are_uniform_and_of_each_place_by_itself() -> None:
    found = uniforms(0, 1, np.arange(4000))
    assert found.min() >= 0
    assert found.max() < 1
    counts = np.array([np.histogram(place, 10, (0, 1))[0] for place in found.T])
    assert np.abs(counts - 400).max() < 5 * math.sqrt(400)
    correlation = np.corrcoef(found.T) - np.eye(len(PLACES))
    assert np.abs(correlation).max() < 5 / math.sqrt(4000)


def test_the_stream_is_the_one_of_stored_runs() -> None:
    """The first number of a galaxy, written down: a later version draws the same."""
    words = np.random.Philox(key=[7, 21 << 32], counter=[0, 0, 5, 3]).random_raw(2)
    assert uniforms(7, 3, [5])[0, :2].tolist() == [float(word >> 11) / 2**53 for word in words]
    assert uniforms(7, 3, [5])[0, 0] == 0.8420645947542545


def test_a_field_changes_no_draw_of_another() -> None:
    drawn = uniforms(0, 1, np.arange(50))
    alone, all_of_them = moves(PIXELS_LEFT, drawn, 9, 9), moves(ALL, drawn, 9, 9)
    for name in ("flips", "turns"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(all_of_them, name))
    moved = msgspec.structs.replace(ALL, area=(1, 1), ratio=(1, 1))
    np.testing.assert_array_equal(alone.part, moves(moved, drawn, 9, 9).part)


def test_a_mirror_has_its_probability() -> None:
    drawn = uniforms(0, 1, np.arange(2000))
    for chance in (0.0, 0.2, 1.0):
        flips = moves(Augment(flip="both", crop=7, flip_probability=chance), drawn, 9, 9).flips
        assert np.abs(flips.mean(axis=0) - chance).max() < 0.03


def test_all_that_can_be_drawn_is() -> None:
    drawn = uniforms(0, 1, np.arange(300))
    found = moves(ALL, drawn, 9, 9)
    assert set(found.turns.tolist()) == {0, 1, 2, 3}
    assert {tuple(flip) for flip in found.flips.tolist()} == {
        (row, column) for row in (False, True) for column in (False, True)
    }
    assert set(map(tuple, moves(PIXELS_LEFT, drawn, 9, 9).part.tolist())) == {
        (*corner, 7, 7) for corner in np.ndindex(3, 3)
    }
    zoomed = Augment(rotation=180, zoom=(0.7, 1.4), shear=20)
    found = moves(zoomed, drawn, 9, 9)
    area = 1 / np.abs(np.linalg.det(found.matrix))
    assert 0.7**2 <= area.min() < 0.75**2
    assert 1.35**2 < area.max() <= 1.4**2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "nothing is drawn; state a field, such as rotation = 180"),
        ({"edge": "constant"}, "nothing is drawn"),
        ({"rotation": 181}, "rotation is 181; degrees from 0 to 180"),
        ({"rotation": math.nan}, "rotation is nan; degrees from 0 to 180"),
        ({"shear": -1}, "shear is -1; degrees from 0 to 60"),
        ({"shift": 2}, "shift is 2; a share from 0 to 1"),
        ({"brightness": -0.1}, "brightness is -0.1; a share from 0 to 1"),
        ({"zoom": (1.1, 0.9)}, "zoom is 1.1 to 0.9; two factors from 0.1 to 10, the lower first"),
        ({"zoom": (0, 1)}, "zoom is 0 to 1; two factors"),
        ({"crop": -1}, "crop is -1; pixels, or 0"),
        ({"shrink": (2, 1)}, "shrink is 2 to 1; two factors from 0.1 to 10, the lower first, such"),
        ({"area": (0, 1)}, "area is 0 to 1; two shares of the picture's area from 0.001 to 1"),
        ({"area": (0.5, 1.5)}, "area is 0.5 to 1.5; two shares of .* such as 0.8 and 1"),
        ({"area": (0.5, 1), "ratio": (1, 20)}, "ratio is 1 to 20; two ratios of width to height"),
        ({"rotation": 9, "flip_probability": 0.2}, "flip_probability is stated, and flip is not"),
        ({"flip": "both", "flip_probability": 2}, "flip_probability is 2; a share from 0 to 1"),
        ({"flip": "both", "ratio": (0.5, 2)}, "ratio is stated, and area is not; state it too"),
        ({"flip": "both", "crop_first": True}, "crop_first is stated, and crop or area is not"),
        ({"hue": 0.6}, "hue is 0.6; a share from 0 to 0.5"),
        ({"saturation": 2}, "saturation is 2; a share from 0 to 1"),
        ({"erase": 1.1}, "erase is 1.1; a share from 0 to 1"),
        ({"erase": 1, "erase_area": (0, 1)}, "erase_area is 0 to 1; two shares .* as 0.02 and"),
        ({"flip": "both", "erase_area": (0.1, 0.2)}, "erase_area is stated, and erase is not"),
        ({"flip": "both", "perspective_scale": 0.2}, "perspective_scale is stated, and persp"),
    ],
)
def test_what_cannot_be_drawn_is_refused(fields, message) -> None:
    with pytest.raises(ValueError, match=message):
        Augment(**fields)


def test_without_a_crop_the_rest_is_drawn_all_the_same() -> None:
    assert Augment(crop=9).uncropped is None
    assert Augment(crop=9, flip="both").uncropped == Augment(flip="both")
    assert Augment(rotation=3).uncropped == Augment(rotation=3)
    assert Augment(crop=9, crop_first=True, hue=0.1).uncropped == Augment(hue=0.1)
    part = Augment(crop=9, crop_first=True, area=(0.5, 1))
    assert part.uncropped == Augment(crop_first=True, area=(0.5, 1))


def test_pictures_that_do_not_fit_are_refused() -> None:
    check_fits(PIXELS_LEFT, 9, 9, 3)
    with pytest.raises(ValueError, match="must be square, and these are 9x8; use rotation = 180"):
        check_fits(PIXELS_LEFT, 9, 8, 3)
    with pytest.raises(ValueError, match="crop is 7 pixels, and the pictures are 6x6; use at most"):
        check_fits(PIXELS_LEFT, 6, 6, 3)
    check_fits(Augment(area=(0.5, 1)), 9, 8, 3)
    with pytest.raises(ValueError, match="area with a crop scales square pictures, and these are"):
        check_fits(Augment(area=(0.5, 1), crop=7), 9, 8, 3)
    check_fits(Augment(hue=0.1), 9, 9, 3)
    with pytest.raises(
        ValueError, match="hue is of red, green and blue, and these pictures have 4"
    ):
        check_fits(Augment(hue=0.1), 9, 9, 4)
    with pytest.raises(ValueError, match=r"saturation is of .* have 1 channel; use channels rgb"):
        check_fits(Augment(saturation=0.1), 9, 9, 1)
