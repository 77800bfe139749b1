"""Pictures that are files of their own (JPEG, PNG, TIFF, FITS, ...), wherever their bytes lie."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from datasets.convert import fits
from datasets.convert.bad import NO_BYTES, OTHER_SIZE, UNREADABLE, UNSTRETCHED, Bad
from datasets.convert.fitting import Fit
from results.door import sizes
from results.words import count

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm")
_BLOCK_BYTES = 1 << 22
_PIXEL_BYTES = 4  # at the most, as Pillow holds them
_GREY = ("1", "L", "LA", "La", "I", "F")  # and I;16 in its byte orders
# The row, its name, and what opens its bytes; None where there are none.
Contents = Callable[[], Iterator[tuple[int, str, Callable[[], IO[bytes]] | None]]]


@dataclass(frozen=True)
class _Header:
    height: int
    width: int
    grey: bool
    pictures: int = 1  # in the file


class EncodedPictures:
    """`Pictures` of files.

    Args:
        contents: gives every row anew each time it is called, in order.
        fit: how each is cut and scaled.
        stretch: of FITS, "" where the user gave none.
    """

    def __init__(self, contents: Contents, fit: Fit, stretch: str = "") -> None:
        self._contents, self._fit, self._stretch = contents, fit, stretch
        self._shape = (0, 0, 0)

    def survey(self, wanted: np.ndarray, bad: Bad, done: list[str]) -> tuple[int, int, int]:
        """The result of `Pictures.survey`; the size that most pictures have is the right one.

        Raises:
            ValueError: not one picture can be read.
        """
        sizes: dict[int, tuple[str, tuple[int, int]]] = {}
        grey, most = True, 1
        for row, name, content in self._contents():
            if not wanted[row]:
                continue
            if content is None:
                bad.add(NO_BYTES, name, row)
                continue
            header = self._header(name, content)
            if isinstance(header, str):
                bad.add(header, name, row)
                continue
            fitted = self._fit.result(header.height, header.width)
            if isinstance(fitted, str):
                bad.add(fitted, f"{name} {header.width}x{header.height}", row)
                continue
            sizes[row] = name, fitted
            grey &= header.grey
            most = max(most, header.pictures)
        if not sizes:
            helps = "; ".join(["", *bad.remedies()])
            told = bad.words() or "there is none"
            raise ValueError(f"not one picture can be taken: {told}{helps}")
        ((height, width), _), *_ = Counter(size for _, size in sizes.values()).most_common(1)
        for row, (name, size) in sizes.items():
            if size != (height, width):
                bad.add(OTHER_SIZE, f"{name} {size[1]}x{size[0]}, most {width}x{height}", row)
        first = f"the first of up to {count(most, 'picture')} in a FITS file" if most > 1 else ""
        done.extend(filter(None, (self._fit.words(), "grey pictures" if grey else "", first)))
        self._shape = height, width, 1 if grey else 3
        return self._shape

    def blocks(self, wanted: np.ndarray, bad: Bad) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The result of `Pictures.blocks`."""
        size = max(1, _BLOCK_BYTES // max(1, int(np.prod(self._shape))))
        rows: list[int] = []
        block = np.empty((size, *self._shape), dtype=np.uint8)
        for row, name, content in self._contents():
            if not wanted[row] or content is None:
                continue
            picture = self._decoded(name, content)
            if picture is None:
                bad.add(UNREADABLE, name, row)
                continue
            block[len(rows)] = picture
            rows.append(row)
            if len(rows) == size:
                yield np.array(rows, dtype=np.int64), block
                rows = []
        if rows:
            yield np.array(rows, dtype=np.int64), block[: len(rows)]

    def _header(self, name: str, content: Callable[[], IO[bytes]]) -> _Header | str:
        """Size and colour of a picture, or what is wrong with it."""
        if fits.is_fits(name):
            found = fits.survey(content)
            if isinstance(found, str):
                return found
            (height, width, bands), pictures = found
            return _Header(height, width, bands == 1, pictures) if self._stretch else UNSTRETCHED
        try:
            with content() as file, _opened(file) as image:
                _check_size(image.height * image.width, file)
                return _Header(image.height, image.width, _is_grey(image))
        except broken():
            return UNREADABLE

    def _decoded(self, name: str, content: Callable[[], IO[bytes]]) -> np.ndarray | None:
        """The picture as it is kept, uint8 of the shape surveyed; None of one that is damaged."""
        if fits.is_fits(name):
            values = fits.picture(content, self._stretch)
            if values is None:
                return None
            if values.shape[2] != self._shape[2]:
                values = np.repeat(values, 3, axis=2)
            return self._fit.of_array(values[None])[0]
        try:
            with content() as file, _opened(file) as image:
                _check_size(image.height * image.width, file)
                fitted = self._fit.apply(_of_8_bits(image, "L" if self._shape[2] == 1 else "RGB"))
                return np.asarray(fitted).reshape(self._shape)
        except broken():
            return None


def _check_size(pixels: int, file: IO[bytes]) -> None:
    """Raise ValueError where a picture's header says more pixels than its file can hold."""
    size = pixels * _PIXEL_BYTES
    if size > sizes.PICTURE:  # its length need not be known otherwise
        place = file.tell()
        sizes.check_whole(size, file.seek(0, 2), "it", sizes.PICTURE)
        file.seek(place)


def broken() -> tuple[type[BaseException], ...]:
    """The exceptions that Pillow and zip files raise for damaged content."""
    from PIL import Image

    return (
        *(OSError, SyntaxError, ValueError, EOFError, RuntimeError),
        *(zipfile.BadZipFile, zlib.error, Image.DecompressionBombError),
    )


def _opened(file: IO[bytes]) -> Image.Image:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes and metadata: the pixels are what counts
        return Image.open(file)


def _is_grey(image: Image.Image) -> bool:
    return image.mode in _GREY or image.mode.startswith("I;16")


def _of_8_bits(image: Image.Image, mode: str) -> Image.Image:
    """The picture in "L" or "RGB"; of 16 bits the upper eight, as `advice.of_pixels` says.

    Raises:
        ValueError: numbers whose white is not known.
    """
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("its white is not known")
        image = Image.fromarray((values.astype(np.uint32) >> 8).astype(np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transparency in a palette
        return image.convert(mode)
