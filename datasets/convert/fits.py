"""FITS cut-outs, read by astropy (an extra) and stretched to bytes as the user says."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import IO, Any

import numpy as np

from datasets.convert.bad import NOT_FINITE, OTHER_BANDS, UNREADABLE
from results.door import sizes

ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz")
_LOW, _HIGH = 0.5, 99.5  # percentiles of a picture's values that become black and white
_REMEDY = "FITS is read by astropy: pip install -c constraints.txt -r requirements/fits.txt"


class MissingAstropyError(ValueError):
    """FITS is to be read, and astropy is not installed."""


def is_fits(name: str) -> bool:
    """True if a file of this name is FITS."""
    return name.lower().endswith(ENDINGS)


def check_installed(where: str) -> None:
    """Raise MissingAstropyError where FITS cannot be read."""
    try:
        import astropy.io.fits  # noqa: F401
    except ImportError as error:
        raise MissingAstropyError(f"{where}: {_REMEDY}") from error


def survey(content: Callable[[], IO[bytes]]) -> tuple[tuple[int, ...], int] | str:
    """Height, width and channels (1 or 3) of the first picture in a file, and the number of its
    pictures; or what is wrong with it."""
    found = _values(content)
    return found if isinstance(found, str) else (found[0].shape, found[1])


def picture(content: Callable[[], IO[bytes]], stretch: str) -> np.ndarray | None:
    """Bytes of the picture, uint8 (height, width, channels): rows from the top, bands in order.

    All bands together: the 0.5th percentile is black and the 99.5th white; "asinh" brightens the
    faint in between (astropy's AsinhStretch). None of a file that is damaged.
    """
    found = _values(content)
    if isinstance(found, str):
        return None
    return stretched(found[0], stretch)


def stretched(values: np.ndarray, stretch: str) -> np.ndarray:
    """Bytes of a picture of any values, uint8 of the same shape, as `picture` says."""
    from astropy.visualization import AsinhStretch, LinearStretch

    low, high = np.percentile(values, [_LOW, _HIGH])
    scaled = np.clip((values - low) / max(high - low, np.finfo(float).tiny), 0, 1)
    made = {"asinh": AsinhStretch, "linear": LinearStretch}[stretch]()(scaled)
    return np.round(255 * np.asarray(made)).astype(np.uint8)


def _values(content: Callable[[], IO[bytes]]) -> tuple[np.ndarray, int] | str:
    """float64 (height, width, channels) of the first picture, the first row at the top, and the
    number of pictures; or what is wrong."""
    import warnings

    from astropy.io import fits

    try:
        with warnings.catch_warnings(), content() as file:
            warnings.simplefilter("ignore")  # of headers: the pixels are what counts
            held = file.seek(0, 2)
            file.seek(0)
            with fits.open(file, memmap=False) as units:
                pictures = [unit for unit in units if _is_picture(unit)]
                found = _pixels(pictures[0], held) if pictures else None
    except Exception:  # astropy raises what a byte leads it to
        return UNREADABLE
    if found is None:
        return UNREADABLE
    values = np.asarray(found, dtype=np.float64)
    bands = values[None] if values.ndim == 2 else values
    if bands.shape[0] not in (1, 3) and bands.shape[2] in (1, 3):
        bands = bands.transpose(2, 0, 1)
    if bands.shape[0] not in (1, 3):
        return OTHER_BANDS
    if not np.isfinite(bands).all():
        return NOT_FINITE
    return bands[:, ::-1].transpose(1, 2, 0), len(pictures)


def _is_picture(unit: Any) -> bool:
    """True if a unit's header says that it is a picture: of two axes, or three, beside axes of one
    ahead of rows and columns (radio pictures have two: Stokes parameter and frequency)."""
    return unit.is_image and len(_axes(unit)) in (2, 3)


def _axes(unit: Any) -> tuple[int, ...]:
    axes = tuple(unit.shape)
    while len(axes) > 2 and axes[0] == 1:
        axes = axes[1:]
    return axes


def _pixels(unit: Any, held: int) -> np.ndarray | None:
    """The pixels of a unit, without axes of one; None of an empty unit.

    Raises:
        ValueError: the header says of it what so many bytes cannot hold.
    """
    sizes.check_whole(np.dtype(float).itemsize * prod(unit.shape), held, "it", sizes.PICTURE)
    return None if unit.data is None else np.asarray(unit.data).reshape(_axes(unit))
