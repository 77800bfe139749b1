"""Augmented copies of the galaxies as a view: pure functions of (galaxy, copy), made on demand.

Of each galaxy there are so many copies, always in the same order, and row r of the augmented data
set is copy r % copies of galaxy r // copies. Nothing is random and nothing is kept: a batch is
gathered from the pictures themselves, so that memory holds these and the batch.

=========  ======  =============================================================================
none       1       the picture
dihedral   8       its flips and rotations by quarter turns, the symmetries of a square
crops40    40      five crops, the centre and the corners, each in those eight orientations: as
                   in PHYS449_FinalProject, Data/PyTorch_Data_Loading.py, 100 pixels of 110
=========  ======  =============================================================================

Copy 0 is the centre, neither turned nor transposed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

TURNS = 8  # (turned by 0, 90, 180, 270 degrees) x (as it is, transposed)
CROPS = 5  # the centre, top left, top right, bottom left, bottom right
COUNTS = {"none": 1, "crops40": CROPS * TURNS, "dihedral": TURNS}  # copies of each galaxy
_CROP, _OUT_OF = 100, 110  # pixels, in PHYS449


@dataclass(frozen=True)
class Copies:
    """The copies made of each picture of `side` x `side` pixels.

    crop: side of a copy, in pixels; `side` where nothing is cropped.
    """

    augmentation: str
    side: int
    crop: int

    @property
    def count(self) -> int:
        """Copies of each galaxy."""
        return COUNTS[self.augmentation]

    @property
    def cropped(self) -> bool:
        """True if a copy is a part of the picture."""
        return self.augmentation == "crops40"

    def corner(self, copy: int) -> tuple[int, int]:
        """Row and column in the picture of the copy's first pixel, before it is turned."""
        last = self.side - self.crop
        places = (last // 2, last // 2), (0, 0), (0, last), (last, 0), (last, last)
        return places[copy // TURNS]

    def turn(self, copy: int) -> tuple[int, bool]:
        """Quarter turns counter-clockwise (`numpy.rot90`), and whether it is transposed then."""
        return copy % 4, copy % TURNS >= 4

    def sha256(self) -> str:
        """Hash of what every copy is."""
        numbers = range(self.count)
        content = [self.side, self.crop, [[*self.corner(n), *self.turn(n)] for n in numbers]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def copies_of(
    height: int, width: int, augmentation: str = "none", crop_size: int | None = None
) -> Copies:
    """The copies of pictures of height x width pixels.

    Args:
        augmentation: one of ``COUNTS``.
        crop_size: side of the crops of crops40, in pixels; by default 100/110 of the picture's.

    Raises:
        ValueError: an unknown augmentation, pictures that are not square, or a crop that does not
            fit in them.
    """
    if augmentation not in COUNTS:
        raise ValueError(
            f"augmentation: unknown {augmentation!r}; choose one of {', '.join(COUNTS)}"
        )
    if crop_size is not None and augmentation != "crops40":
        raise ValueError(
            f"crop_size: is {crop_size}, and nothing is cropped; use augmentation crops40, or "
            "image_size to resize"
        )
    if augmentation == "none":
        return Copies(augmentation, height, height)
    if height != width:
        raise ValueError(
            f"augmentation: {augmentation} turns pictures by 90 degrees, so they must be square, "
            f"and these are {height}x{width}; use augmentation none, or square pictures"
        )
    if augmentation == "dihedral":
        return Copies(augmentation, height, height)
    most = height - 2  # with a single pixel to spare, two of the five would be one
    crop = min(round(height * _CROP / _OUT_OF), most) if crop_size is None else crop_size
    if not 1 <= crop <= most:
        raise ValueError(
            f"crop_size: {crop} pixels of pictures of {height}x{width} make no five different "
            f"crops; use at most {most}, or augmentation dihedral, which crops nothing"
        )
    return Copies(augmentation, height, crop)


class AugmentedImages:
    """All copies of the pictures `base`, as if they were one array of uint8 (n, h, w, c).

    Indexed by an array of rows, a slice or one row; what comes back is a new contiguous array.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, base: np.ndarray, copies: Copies) -> None:
        """base: uint8 (galaxies, copies.side, copies.side, c), C-contiguous, left as it is.

        Raises:
            ValueError: a base of another kind.
        """
        if base.dtype != np.uint8 or base.ndim != 4 or base.shape[1:3] != (copies.side,) * 2:
            raise ValueError(
                f"augmentation: pictures must be uint8 (n, {copies.side}, {copies.side}, "
                f"channels), got {base.dtype} {base.shape}"
            )
        if not base.flags.c_contiguous:
            raise ValueError("augmentation: pictures must be contiguous in memory")
        self.base = base
        self.copies = copies
        channels = base.shape[3]
        self.shape = (len(base) * copies.count, copies.crop, copies.crop, channels)
        # A pixel moves as one item, not as `channels` of them: NumPy copies by item.
        self._pixels = base.view(f"V{channels}")[..., 0] if channels > 1 else base[..., 0]

    @property
    def nbytes(self) -> int:
        """Bytes in memory: those of the base."""
        return self.base.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice | int) -> np.ndarray:
        """The copies of these rows, in their order: uint8 (k, h, w, c); one row: (h, w, c).

        Raises:
            IndexError: a row that there is not.
        """
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        wanted = np.asarray(rows)
        if wanted.ndim == 0:
            return self[wanted[None]][0]
        if wanted.dtype.kind not in "ui" and len(wanted):
            raise IndexError(f"rows are whole numbers, not {wanted.dtype}")
        wanted = wanted.astype(np.int64)
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"rows outside 0..{len(self) - 1}")
        side, channels = self.copies.crop, self.shape[3]
        out = np.empty((len(wanted), side, side), dtype=self._pixels.dtype)
        galaxies, numbers = np.divmod(wanted, self.copies.count)
        order = np.argsort(numbers, kind="stable")
        ends = np.flatnonzero(np.diff(numbers[order])) + 1
        for places in np.split(order, ends) if len(order) else ():  # all of one number at a time
            out[places] = self._copy(int(numbers[places[0]]), galaxies[places])
        return out.view(np.uint8).reshape(len(wanted), side, side, channels)

    def _copy(self, number: int, galaxies: np.ndarray) -> np.ndarray:
        """Copy `number` of these galaxies: pixels (k, side, side)."""
        row, column = self.copies.corner(number)
        side = self.copies.crop
        turns, transposed = self.copies.turn(number)
        pictures = self._pixels[:, row : row + side, column : column + side][galaxies]
        pictures = np.rot90(pictures, turns, axes=(1, 2))
        return pictures.swapaxes(1, 2) if transposed else pictures
