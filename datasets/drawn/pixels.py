"""Pictures changed as drawn: moved by one interpolation of SciPy's, then their values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.drawn import draws
from datasets.drawn.settings import Augment

_ORDERS = {"bilinear": 1, "nearest": 0}
# SciPy's "constant" does not interpolate towards the constant; "grid-constant" does.
_MODES = {"reflect": "reflect", "nearest": "nearest", "constant": "grid-constant"}
_FLIPPED: dict[str, tuple[str, ...]] = {
    "horizontal": ("flip_columns",),
    "vertical": ("flip_rows",),
    "both": ("flip_columns", "flip_rows"),
}


@dataclass(frozen=True)
class Moves:
    """Where the pixels of augmented pictures come from: from `matrix @ pixel + offset`, both
    (row, column).

    matrix: float64 (k, 2, 2); offset: float64 (k, 2); flips: bool (k, 2), rows and columns;
    turns: int64 (k,), quarter turns counter-clockwise after the flips; corner: int64 (k, 2), of
    the crop; size: (height, width) of the pictures made.
    """

    matrix: np.ndarray
    offset: np.ndarray
    flips: np.ndarray
    turns: np.ndarray
    corner: np.ndarray
    size: tuple[int, int]


def moves(settings: Augment, drawn: np.ndarray, height: int, width: int) -> Moves:
    """The moves that `draws.uniforms` come to, for pictures of height x width pixels."""
    count = len(drawn)

    def number(name: str) -> np.ndarray:
        return drawn[:, draws.PLACES[name]]

    def either_way(name: str) -> np.ndarray:
        return 2 * number(name) - 1

    flips = np.zeros((count, 2), dtype=bool)
    for name in _FLIPPED.get(settings.flip, ()):
        flips[:, ("flip_rows", "flip_columns").index(name)] = number(name) < 0.5
    turns = np.zeros(count, dtype=np.int64)
    if settings.quarter_turns:
        turns = (4 * number("turn")).astype(np.int64)
    low, high = settings.zoom
    zoom = low + (high - low) * number("zoom")
    shear = np.tan(np.radians(settings.shear * either_way("shear")))
    angle = np.radians(settings.rotation * either_way("rotation"))
    shift = np.stack([height * either_way("shift_rows"), width * either_way("shift_columns")], 1)
    shift *= settings.shift

    size = (settings.crop, settings.crop) if settings.crop else (height, width)
    spare = np.array([height, width]) - size
    corner = np.stack([number("crop_row"), number("crop_column")], 1) * (spare + 1)
    corner = corner.astype(np.int64)

    # Backwards, from a pixel made to where it comes from: the last move is undone first.
    one, none = np.ones(count), np.zeros(count)
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    matrix = _matrices(cosine, sine, -sine, cosine)
    matrix = _product(_matrices(one, none, -shear, one), matrix)
    quarter_cosine, quarter_sine = np.array([1, 0, -1, 0])[turns], np.array([0, 1, 0, -1])[turns]
    back = _matrices(quarter_cosine, quarter_sine, -quarter_sine, quarter_cosine)
    matrix = _product(back, matrix)
    matrix = matrix * np.where(flips, -1, 1)[:, :, None]
    middle = np.array([height - 1, width - 1]) / 2
    offset = middle + np.einsum("nij,nj->ni", matrix, corner - middle - shift)
    return Moves(matrix, offset, flips, turns, corner, size)


def _matrices(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """[[a, b], [c, d]] of each: float64 (k, 2, 2)."""
    return np.stack([a, b, c, d], axis=1).reshape(-1, 2, 2).astype(np.float64)


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("nij,njk->nik", left, right)


def augmented(
    pictures: np.ndarray, galaxies: np.ndarray, settings: Augment, seed: int, epoch: int
) -> np.ndarray:
    """The pictures as drawn for their galaxies in an epoch: uint8 (k, height, width, channels).

    Values are rounded once where they are moved, and once where they are changed.

    Args:
        pictures: uint8 (k, h, w, channels), left as they are.
        galaxies: int (k,), the number of each picture's galaxy.
    """
    count, height, width, channels = pictures.shape
    drawn = draws.uniforms(seed, epoch, galaxies)
    where = moves(settings, drawn, height, width)
    made = np.empty((count, *where.size, channels), dtype=np.uint8)
    for row in range(count):
        if settings.resampled:
            _interpolated(pictures[row], where, row, settings, made[row])
        else:
            made[row] = _turned(pictures[row], where, row)
    if settings.lit:
        for row, galaxy in enumerate(galaxies):
            made[row] = _lit(made[row], settings, drawn[row], (seed, epoch, int(galaxy)))
    return made


def _interpolated(
    picture: np.ndarray, where: Moves, row: int, settings: Augment, made: np.ndarray
) -> None:
    """Write the moved picture into `made`, channel by channel; rounded half up."""
    from scipy import ndimage

    for channel in range(picture.shape[2]):
        ndimage.affine_transform(
            picture[..., channel],
            where.matrix[row],
            where.offset[row],
            output=made[..., channel],
            output_shape=where.size,
            order=_ORDERS[settings.interpolation],
            mode=_MODES[settings.edge],
            prefilter=False,
        )


def _turned(picture: np.ndarray, where: Moves, row: int) -> np.ndarray:
    """The picture flipped, turned and cropped: nothing lies between pixels."""
    rows, columns = where.flips[row]
    picture = picture[:: -1 if rows else 1, :: -1 if columns else 1]
    picture = np.rot90(picture, where.turns[row])
    top, left = where.corner[row]
    return picture[top : top + where.size[0], left : left + where.size[1]]


def _lit(
    picture: np.ndarray, settings: Augment, drawn: np.ndarray, key: tuple[int, int, int]
) -> np.ndarray:
    """The picture with contrast, brightness and noise: float32, not rounded; (h, w, channels)."""

    def factor(name: str, most: float) -> np.float32:
        return np.float32(1 + most * (2 * drawn[draws.PLACES[name]] - 1))

    values = picture.astype(np.float32)
    if settings.contrast:
        mean = np.float32(picture.mean(dtype=np.float64))
        values = mean + factor("contrast", settings.contrast) * (values - mean)
    if settings.brightness:
        values *= factor("brightness", settings.brightness)
    if settings.noise:
        values += np.float32(255 * settings.noise) * draws.normals(*key, picture.shape)
    return np.clip(np.rint(values), 0, 255)
