"""FITS cut-outs, read by astropy (an extra) and stretched to bytes as the user says."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import IO, Any

import numpy as np

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


def shape(content: Callable[[], IO[bytes]]) -> tuple[int, int, int] | None:
    """Height, width and channels (1 or 3) of the first picture in a file; None without one."""
    values = _values(content)
    return None if values is None else values.shape


def picture(content: Callable[[], IO[bytes]], stretch: str) -> np.ndarray | None:
    """Bytes of the picture, uint8 (height, width, channels): rows from the top, bands in order.

    All bands together: the 0.5th percentile is black and the 99.5th white; "asinh" brightens the
    faint in between (astropy's AsinhStretch). None of a file that is damaged.
    """
    values = _values(content)
    if values is None:
        return None
    from astropy.visualization import AsinhStretch, LinearStretch

    low, high = np.percentile(values, [_LOW, _HIGH])
    scaled = np.clip((values - low) / max(high - low, np.finfo(float).tiny), 0, 1)
    made = {"asinh": AsinhStretch, "linear": LinearStretch}[stretch]()(scaled)
    return np.round(255 * np.asarray(made)).astype(np.uint8)


def _values(content: Callable[[], IO[bytes]]) -> np.ndarray | None:
    """float64 (height, width, channels) of the first picture, the first row at the top."""
    import warnings

    from astropy.io import fits

    try:
        with warnings.catch_warnings(), content() as file:
            warnings.simplefilter("ignore")  # of headers: the pixels are what counts
            held = file.seek(0, 2)
            file.seek(0)
            with fits.open(file, memmap=False) as units:
                found: Any = next((_data(unit, held) for unit in units if _is_picture(unit)), None)
    except Exception:  # astropy raises what a byte leads it to
        return None
    if found is None:
        return None
    values = np.asarray(found, dtype=np.float64)
    bands = values[None] if values.ndim == 2 else values
    if bands.shape[0] not in (1, 3) or not np.isfinite(bands).all():
        return None
    return bands[:, ::-1].transpose(1, 2, 0)


def _is_picture(unit: Any) -> bool:
    """True if a unit's header says that it is a picture, or one of three bands."""
    return unit.is_image and len(unit.shape) in (2, 3)


def _data(unit: Any, held: int) -> Any:
    """Raises ValueError where the header says of it what so many bytes cannot hold."""
    sizes.check_whole(np.dtype(float).itemsize * prod(unit.shape), held, "it", sizes.PICTURE)
    return unit.data
