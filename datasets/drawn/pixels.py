"""Pictures changed as drawn: moved by one interpolation of SciPy's, then their values."""

from __future__ import annotations

import numpy as np

from datasets.drawn import draws
from datasets.drawn.moves import Moves, moves
from datasets.drawn.settings import Augment
from datasets.drawn.values import valued

_ORDERS = {"bilinear": 1, "nearest": 0}
# SciPy's "constant" does not interpolate towards the constant; "grid-constant" does.
_MODES = {"reflect": "reflect", "nearest": "nearest", "constant": "grid-constant"}


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
        picture = pictures[row]
        if where.part_first:
            picture = _part(picture, where, row)
        if settings.resampled:
            _interpolated(picture, where, row, settings, made[row])
        else:
            made[row] = _turned(picture, where, row)
    if settings.valued:
        for row, galaxy in enumerate(galaxies):
            made[row] = valued(made[row], settings, drawn[row], (seed, epoch, int(galaxy)))
    return made


def _part(picture: np.ndarray, where: Moves, row: int) -> np.ndarray:
    top, left, height, width = where.part[row]
    return picture[top : top + height, left : left + width]


def _interpolated(
    picture: np.ndarray, where: Moves, row: int, settings: Augment, made: np.ndarray
) -> None:
    """Write the moved picture into `made`, channel by channel; rounded half up."""
    from scipy import ndimage

    how = {"order": _ORDERS[settings.interpolation], "mode": _MODES[settings.edge]}
    places = where.places(row) if where.aslant[row] else None
    for channel in range(picture.shape[2]):
        plane, into = picture[..., channel], {**how, "output": made[..., channel]}
        if places is not None:
            ndimage.map_coordinates(plane, places, prefilter=False, **into)
        else:
            ndimage.affine_transform(
                plane,
                where.matrix[row],
                where.offset[row],
                output_shape=where.size,
                prefilter=False,
                **into,
            )


def _turned(picture: np.ndarray, where: Moves, row: int) -> np.ndarray:
    """The picture flipped, turned and cropped: nothing lies between pixels."""
    rows, columns = where.flips[row]
    picture = picture[:: -1 if rows else 1, :: -1 if columns else 1]
    picture = np.rot90(picture, where.turns[row])
    return picture if where.part_first else _part(picture, where, row)
