"""The numbers drawn for a galaxy: pure functions of (seed, epoch, galaxy)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_NUMBERS, _NOISE = 21, 22  # streams: shared with no order, mask or weights
TRIES = 10  # of a part that is to fit in the picture


def _of_part(name: str) -> tuple[str, ...]:
    """The numbers that a part is drawn by: areas, ratios, and its place."""
    each = (f"{name}_{kind}_{place}" for kind in ("area", "ratio") for place in range(TRIES))
    return (*each, f"{name}_row", f"{name}_column")


# Where each number stands in a galaxy's stream. One that is added goes to the end: a field of the
# settings then changes no draw of another.
PLACES = {
    name: place
    for place, name in enumerate(
        (
            *("flip_columns", "flip_rows", "turn", "shear", "zoom", "rotation"),
            *("shift_rows", "shift_columns", "crop_row", "crop_column"),
            *("contrast", "brightness"),
            *("shrink_rows", "shrink_columns", "saturation", "hue", "erase"),
            *_of_part("part"),
            *_of_part("erased"),
            "perspective",
            *(f"corner_{place}_{axis}" for place in range(4) for axis in ("rows", "columns")),
            *("partner", "share", "cut", "cut_row", "cut_column"),
        )
    )
}


def uniforms(seed: int, epoch: int, galaxies: Sequence[int] | np.ndarray) -> np.ndarray:
    """Uniform numbers of [0, 1) for each galaxy: float64 (galaxies, places), by `PLACES`.

    Counter-based (Philox, Salmon et al. 2011): key = (seed, stream), counter = (epoch, galaxy), so
    that what is drawn for a galaxy depends on no other, nor on its batch.
    """
    words = np.empty((len(galaxies), len(PLACES)), dtype=np.uint64)
    for row, galaxy in enumerate(galaxies):
        words[row] = _stream(_NUMBERS, seed, epoch, int(galaxy)).random_raw(len(PLACES))
    return (words >> np.uint64(11)) * 2.0**-53


def normals(seed: int, epoch: int, galaxy: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers for the pixels of a galaxy's picture, float32 of `shape`."""
    generator = np.random.Generator(_stream(_NOISE, seed, epoch, galaxy))
    return generator.standard_normal(shape, dtype=np.float32)


def _stream(stream: int, seed: int, epoch: int, galaxy: int) -> np.random.Philox:
    return np.random.Philox(key=[seed, stream << 32], counter=[0, 0, galaxy, epoch])
