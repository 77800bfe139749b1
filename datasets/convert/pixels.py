"""Pictures that lie in one array of numbers, of any type and layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from datasets import advice
from datasets.convert.bad import NOT_FINITE, Bad
from datasets.convert.fitting import Fit
from results.door.apart import alive

_PIECE_BYTES = 1 << 22  # converted at once: what is computed on the way is larger


class Array(Protocol):
    """An array in a file, read block by block."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, ...)."""

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The first row of each block, and its values."""


@dataclass(frozen=True)
class Layout:
    """A change of shape from (n, ...) to (n, height, width, channels); words: the change, or ""."""

    height: int
    width: int
    channels: int
    apply: Callable[[np.ndarray], np.ndarray]
    words: str = ""


def layout(shape: tuple[int, ...]) -> Layout | str:
    """The layout of pictures of this shape, or why there is none: the end of a message."""
    if 0 in shape:
        return "is empty"
    if len(shape) == 3:
        return Layout(*shape[1:], 1, lambda block: block[..., None])
    if len(shape) == 4 and shape[3] in (1, 3):
        return Layout(*shape[1:], lambda block: block)
    if len(shape) == 4 and shape[1] in (1, 3):
        channels, height, width = shape[1:]
        turned = "channels first: transposed by (0, 2, 3, 1)"
        return Layout(height, width, channels, lambda block: block.transpose(0, 2, 3, 1), turned)
    if len(shape) == 4 and shape[3] == 4:
        return Layout(*shape[1:3], 3, lambda block: block[..., :3], "the alpha channel left out")
    told = (
        f"has shape {shape}; pictures are (n, h, w), (n, h, w, 1), (n, h, w, 3) or channels first"
    )
    if len(shape) == 2:
        side = round((shape[1] / 3) ** 0.5)
        return f"{told}; reshape its rows, as in x.reshape(-1, {side}, {side}, 3)"
    if len(shape) == 4:
        return f"{told}; choose three bands, as in x[..., [0, 1, 2]]"
    return told


class ArrayPictures:
    """`Pictures` of one or several arrays, whose rows follow one another.

    Args:
        arrays: each with its name in messages; of one shape but for the rows, and one type.
        where: the source, in messages.
    """

    def __init__(self, arrays: list[tuple[str, Array]], where: str, fit: Fit) -> None:
        self._arrays, self._where, self._fit = arrays, where, fit
        self._layout: Layout | None = None
        self._conversion: advice.Conversion | None = None

    def survey(self, wanted: np.ndarray, bad: Bad, done: list[str]) -> tuple[int, int, int]:
        """The result of `Pictures.survey`; ValueError for values or shapes of no known meaning."""
        name, first = self._arrays[0]
        found = layout(first.shape)
        if isinstance(found, str):
            raise ValueError(f"{self._where}: '{name}' {found}")
        for other, array in self._arrays[1:]:
            if array.shape[1:] != first.shape[1:] or array.dtype != first.dtype:
                raise ValueError(
                    f"{self._where}: '{other}' is {array.dtype} {array.shape}, and '{name}' is "
                    f"{first.dtype} {first.shape}: pictures of one source are of one form"
                )
        fitted = self._fit.result(found.height, found.width)
        if isinstance(fitted, str):
            raise ValueError(
                f"{self._where}: '{name}' has pictures of {found.height}x{found.width}: {fitted}"
            )
        self._layout = found
        if first.dtype != np.uint8:
            self._conversion = self._converted(first.dtype, wanted, bad, done)
        done.extend(filter(None, (found.words, self._fit.words())))
        return *fitted, found.channels

    def _converted(
        self, dtype: np.dtype, wanted: np.ndarray, bad: Bad, done: list[str]
    ) -> advice.Conversion:
        low, high = np.inf, -np.inf
        for start, block in self._values() if dtype.kind in "uif" else ():
            kept = block[wanted[start : start + len(block)]]
            if dtype.kind == "f":
                rows = start + np.flatnonzero(wanted[start : start + len(block)])
                finite = np.isfinite(kept.reshape(len(kept), -1)).all(axis=1)
                for row in rows[~finite].tolist():
                    bad.add(NOT_FINITE, f"row {row}", row)
                kept = kept[finite]
            if kept.size:
                low, high = min(low, float(kept.min())), max(high, float(kept.max()))
        name = self._arrays[0][0]
        if low > high and dtype.kind in "uif":
            raise ValueError(f"{self._where}: '{name}': every picture is {NOT_FINITE}")
        found = advice.of_pixels(low, high, dtype)
        if found.conversion is None:
            raise ValueError(f"{self._where}: '{name}' is {dtype}: {found.what}")
        done.append(f"'{name}' by {found.conversion.code}")
        return found.conversion

    def blocks(self, wanted: np.ndarray, bad: Bad) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The result of `Pictures.blocks`."""
        assert self._layout is not None
        for start, block in self._values():
            kept = np.flatnonzero(wanted[start : start + len(block)])
            rows = max(1, _PIECE_BYTES // max(1, block[:1].nbytes))
            for first in range(0, len(kept), rows):
                piece = kept[first : first + rows]
                values = block[piece]
                if self._conversion is not None:
                    values = self._conversion.apply(values)
                yield start + piece, self._fit.of_array(self._layout.apply(values))

    def _values(self) -> Iterator[tuple[int, np.ndarray]]:
        first = 0
        for _, array in self._arrays:
            for start, block in array.blocks():
                alive()
                yield first + start, block
            first += array.shape[0]
