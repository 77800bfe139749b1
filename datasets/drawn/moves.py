"""Positions in the original pictures from which augmented pixels are taken, by the draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.drawn import draws
from datasets.drawn.settings import Augment

_FLIPPED: dict[str, tuple[str, ...]] = {
    "horizontal": ("flip_columns",),
    "vertical": ("flip_rows",),
    "both": ("flip_columns", "flip_rows"),
}


@dataclass(frozen=True)
class Moves:
    """Positions from which the pixels of augmented pictures are taken.

    A pixel comes from `matrix @ pixel + offset`, both (row, column), of the picture; or of the
    part of it that was taken first. Where the picture is seen aslant, the pixel is moved before by
    a projection of (row, column, 1), whose third number divides the other two.

    matrix: float64 (k, 2, 2); offset: float64 (k, 2); aslant: bool (k,); projection: float64 (k, 3,
    3), None where none is aslant; flips: bool (k, 2), rows and columns; turns: int64 (k,), quarter
    turns counter-clockwise after the flips; part: int64 (k, 4), top, left, height and width of what
    is taken; part_first: before all other moves; size: (height, width) of the pictures made.
    """

    matrix: np.ndarray
    offset: np.ndarray
    flips: np.ndarray
    turns: np.ndarray
    part: np.ndarray
    part_first: bool
    size: tuple[int, int]
    aslant: np.ndarray
    projection: np.ndarray | None

    def places(self, row: int) -> np.ndarray:
        """Sources of the pixels of a picture seen aslant: float64 (2, height, width)."""
        assert self.projection is not None
        moved = np.eye(3)
        moved[:2] = np.column_stack([self.matrix[row], self.offset[row]])
        rows, columns = np.indices(self.size)
        pixels = np.stack([rows, columns, np.ones(self.size)])
        found = np.tensordot(moved @ self.projection[row], pixels, 1)
        return np.asarray(found[:2] / found[2])


def moves(settings: Augment, drawn: np.ndarray, height: int, width: int) -> Moves:
    """The moves that `draws.uniforms` come to, for pictures of height x width pixels."""
    count = len(drawn)

    def number(name: str) -> np.ndarray:
        return drawn[:, draws.PLACES[name]]

    def either_way(name: str) -> np.ndarray:
        return 2 * number(name) - 1

    def between(limits: tuple[float, float], name: str) -> np.ndarray:
        return limits[0] + (limits[1] - limits[0]) * number(name)

    size = (settings.crop, settings.crop) if settings.crop else (height, width)
    moved = size if settings.crop_first else (height, width)  # size of what the moves move
    flips = np.zeros((count, 2), dtype=bool)
    for name in _FLIPPED.get(settings.flip, ()):
        flips[:, ("flip_rows", "flip_columns").index(name)] = (
            number(name) < settings.flip_probability
        )
    turns = np.zeros(count, dtype=np.int64)
    if settings.quarter_turns:
        turns = (4 * number("turn")).astype(np.int64)
    zoom = between(settings.zoom, "zoom")
    shear = np.tan(np.radians(settings.shear * either_way("shear")))
    angle = np.radians(settings.rotation * either_way("rotation"))
    shift = np.stack([either_way("shift_rows"), either_way("shift_columns")], 1)
    shift *= settings.shift * np.array(moved)
    shrink = np.stack([between(settings.shrink, f"shrink_{n}") for n in ("rows", "columns")], 1)

    # Backwards, from a pixel made to where it comes from: the last move is undone first.
    one, none = np.ones(count), np.zeros(count)
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    matrix = _matrices(cosine, sine, -sine, cosine)
    matrix = _product(_matrices(one, none, -shear, one), matrix)
    quarter_cosine, quarter_sine = np.array([1, 0, -1, 0])[turns], np.array([0, 1, 0, -1])[turns]
    back = _matrices(quarter_cosine, quarter_sine, -quarter_sine, quarter_cosine)
    matrix = _product(back, matrix)
    matrix = matrix * np.where(flips, -1, 1)[:, :, None]
    middle = (np.array(moved) - 1) / 2
    part = _taken(settings, drawn, height, width)
    scale = part[:, 2:] / np.array(size)  # pixels of the part for one that is made
    into = scale / 2 - 0.5  # where the first pixel made lies in it
    first = np.zeros((count, 2)) if settings.crop_first else part[:, :2] + into
    aslant = number("perspective") < settings.perspective
    projection = None
    if aslant.any():
        step = np.ones((count, 2)) if settings.crop_first else scale
        projection = _projections(settings.perspective_scale, drawn, moved, first, step)
    offset = middle + np.einsum("nij,nj->ni", matrix, shrink * (first - middle) - shift)
    matrix = matrix * shrink[:, None, :]
    if settings.crop_first:
        matrix, offset = scale[:, :, None] * matrix, scale * offset + into
    else:
        matrix = matrix * scale[:, None, :]
    return Moves(matrix, offset, flips, turns, part, settings.crop_first, size, aslant, projection)


def _projections(
    share: float, drawn: np.ndarray, size: tuple[int, int], first: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """Projections of made pixels that lead from four corners drawn to those of a picture of `size`:
    float64 (k, 3, 3). A made pixel p is `first + step * p` of that picture."""
    ends = np.array(size) - 1
    outer = np.array([(0, 0), (0, 1), (1, 1), (1, 0)]) * ends
    names = [[f"corner_{place}_{axis}" for axis in ("rows", "columns")] for place in range(4)]
    numbers = drawn[:, [[draws.PLACES[name] for name in pair] for pair in names]]
    most = (share * (np.array(size) // 2)).astype(np.int64)
    inwards = np.floor(numbers * (most + 1)) * np.where(outer > 0, -1, 1)
    inner = (outer + inwards - first[:, None]) / step[:, None]
    goal = (outer - first[:, None]) / step[:, None]
    rows = np.concatenate([inner, np.ones((len(drawn), 4, 1))], axis=2)
    none = np.zeros_like(rows)
    upper = np.concatenate([rows, none, -goal[..., :1] * inner], axis=2)
    lower = np.concatenate([none, rows, -goal[..., 1:] * inner], axis=2)
    system = np.concatenate([upper, lower], axis=1)
    right = np.concatenate([goal[..., 0], goal[..., 1]], axis=1)
    found = np.linalg.solve(system, right[..., None])[..., 0]
    whole = np.concatenate([found, np.ones((len(drawn), 1))], axis=1)
    return np.asarray(whole.reshape(-1, 3, 3))


def _taken(settings: Augment, drawn: np.ndarray, height: int, width: int) -> np.ndarray:
    """The part of each picture that is taken: int64 (k, 4), top, left, height, width."""
    if settings.resized:
        found, fits = parts("part", drawn, settings.area, settings.ratio, (height, width))
        return np.where(fits[:, None], found, _largest(settings.ratio, height, width))
    size = np.array([settings.crop, settings.crop] if settings.crop else [height, width])
    places = [drawn[:, draws.PLACES[name]] for name in ("crop_row", "crop_column")]
    corner = np.stack(places, 1) * (np.array([height, width]) - size + 1)
    return np.concatenate([corner.astype(np.int64), np.broadcast_to(size, corner.shape)], 1)


def parts(
    name: str,
    drawn: np.ndarray,
    area: tuple[float, float],
    ratio: tuple[float, float],
    size: tuple[int, int],
    *,
    spare: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """A part of each picture of `size`, (height, width), and whether one was found that fits: int64
    (k, 4), top, left, height, width, and bool (k,).

    Args:
        name: of the numbers that it is drawn by, "part" or "erased".
        area: (least, most) share; ratio: (least, most) width over height.
        spare: pixels by which a part must be smaller than the picture along each axis.
    """

    def numbers(kind: str) -> np.ndarray:
        return drawn[:, [draws.PLACES[f"{name}_{kind}_{place}"] for place in range(draws.TRIES)]]

    height, width = size
    areas = height * width * (area[0] + (area[1] - area[0]) * numbers("area"))
    low, high = np.log(ratio)
    ratios = np.exp(low + (high - low) * numbers("ratio"))
    sides = np.rint(np.sqrt(np.stack([areas / ratios, areas * ratios], axis=2)))
    room = np.array([height, width]) - sides
    fitting = ((sides > 0) & (room >= spare)).all(axis=2)
    first = fitting.argmax(axis=1)
    each = np.arange(len(drawn))
    places = [drawn[:, draws.PLACES[f"{name}_{axis}"]] for axis in ("row", "column")]
    corner = np.stack(places, 1) * (room[each, first] + 1)
    found = np.concatenate([np.floor(corner), sides[each, first]], axis=1).astype(np.int64)
    return found, fitting[each, first]


def _largest(ratio: tuple[float, float], height: int, width: int) -> np.ndarray:
    """The largest part in the middle whose ratio is allowed: int64 (4,)."""
    low, high = ratio
    tall, wide = height, width
    if width / height < low:
        tall = round(width / low)
    elif width / height > high:
        wide = round(height * high)
    return np.array([(height - tall) // 2, (width - wide) // 2, tall, wide])


def _matrices(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """[[a, b], [c, d]] of each: float64 (k, 2, 2)."""
    return np.stack([a, b, c, d], axis=1).reshape(-1, 2, 2).astype(np.float64)


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("nij,njk->nik", left, right)
