"""Pictures that are files of their own (JPEG, PNG, TIFF, FITS, ...), wherever their bytes lie."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

import numpy as np

from datasets import advice
from datasets.convert import fits
from datasets.convert.bad import NO_BYTES, NOT_FINITE, OTHER_SIZE, UNREADABLE, UNSTRETCHED, Bad
from datasets.convert.fitting import Fit
from results.door import sizes
from results.door.apart import alive
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
    span: tuple[float, float, bool] | None = None  # least, most, floats: of more than 8 bits


class EncodedPictures:
    """`Pictures` of files.

    Args:
        contents: gives every row anew each time it is called, in order.
        fit: how each is cut and scaled.
        stretch: of FITS and of other pictures whose white and black are not known, "" where the
            user gave none.
    """

    def __init__(self, contents: Contents, fit: Fit, stretch: str = "") -> None:
        self._contents, self._fit, self._stretch = contents, fit, stretch
        self._shape = (0, 0, 0)
        self._conversion: dict[bool, advice.Conversion] = {}  # of floats, of whole numbers

    def survey(self, wanted: np.ndarray, bad: Bad, done: list[str]) -> tuple[int, int, int]:
        """The result of `Pictures.survey`; the size that most pictures have is the right one.

        Raises:
            ValueError: not one picture can be read.
        """
        sizes: dict[int, tuple[str, tuple[int, int]]] = {}
        spans: dict[int, tuple[float, float, bool]] = {}
        grey, most = True, 1
        for row, name, content in self._contents():
            alive()
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
            if header.span is not None:
                spans[row] = header.span
            grey &= header.grey
            most = max(most, header.pictures)
        for row in self._unknown(spans, done):
            bad.add(UNSTRETCHED, sizes.pop(row)[0], row)
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
            alive()
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
                header = _Header(image.height, image.width, _is_grey(image))
                values = _numbers(image)
        except broken():
            return UNREADABLE
        if values is None:
            return header
        if not np.isfinite(values).all():
            return NOT_FINITE
        return replace(header, span=(values.min(), values.max(), values.dtype.kind == "f"))

    def _unknown(self, spans: dict[int, tuple[float, float, bool]], done: list[str]) -> list[int]:
        """The rows of pictures of more than 8 bits whose white and black are not known; what is
        made of the others, by the rule for arrays, is kept."""
        unknown: list[int] = []
        for floats in (False, True):
            rows = [row for row, (*_, kind) in spans.items() if kind == floats]
            if not rows:
                continue
            low, high = min(spans[row][0] for row in rows), max(spans[row][1] for row in rows)
            whole = np.uint16 if low >= 0 and high <= 0xFFFF else np.int64
            found = advice.of_pixels(low, high, np.dtype(np.float32 if floats else whole))
            if found.conversion is not None:
                self._conversion[floats] = found.conversion
                pictures = count(len(rows), "picture")
                done.append(f"{pictures} of {found.what} by {found.conversion.code}")
            elif not self._stretch:
                unknown += rows
        return unknown

    def _decoded(self, name: str, content: Callable[[], IO[bytes]]) -> np.ndarray | None:
        """The picture as it is kept, uint8 of the shape surveyed; None of one that is damaged."""
        if fits.is_fits(name):
            values = fits.picture(content, self._stretch)
            if values is None:
                return None
            if values.shape[2] != self._shape[2]:
                values = np.repeat(values, 3, axis=2)
            return self._fit.of_array(values[None])[0]
        from PIL import Image

        try:
            with content() as file, _opened(file) as opened:
                _check_size(opened.height * opened.width, file)
                image, values = opened, _numbers(opened)
                if values is not None:
                    image = Image.fromarray(self._of_8_bits(values))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of transparency in a palette
                    image = image.convert("L" if self._shape[2] == 1 else "RGB")
                return np.asarray(self._fit.apply(image)).reshape(self._shape)
        except broken():
            return None

    def _of_8_bits(self, values: np.ndarray) -> np.ndarray:
        conversion = self._conversion.get(values.dtype.kind == "f")
        if conversion is not None:
            return conversion.apply(values)
        return fits.stretched(values, self._stretch)


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


def _numbers(image: Image.Image) -> np.ndarray | None:
    """The values of a grey picture of more than 8 bits; None of any other."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image)
    return None
