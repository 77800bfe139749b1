"""Pictures and labels in other forms than ours: what they are, and the conversion right for them.

The advice is computed from the values. A conversion is offered as code and made by
``python -m datasets convert FILE OUT.h5``; both are this one rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

_DEPTHS = (10, 12, 14, 16)  # bits of a camera's or scanner's pixels that are kept in 16
_WHOLE_IN_FLOAT = 2**53  # beyond it a float64 has lost digits of a whole number


@dataclass(frozen=True)
class Conversion:
    """Conversion of values to our form.

    Attributes:
        code: NumPy code for an array ``x``.
        apply: the same as a function.
    """

    code: str
    apply: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Found:
    """Kind of values, in words, and the conversion that is right for them; None without one."""

    what: str
    conversion: Conversion | None = None

    def words(self, output: str) -> str:
        """The end of a message: what was found, and the conversion.

        Args:
            output: the command that converts the file.
        """
        if self.conversion is None:
            return self.what
        return f"{self.what}: convert by {self.conversion.code}, or all of the file by {output}"


def of_pixels(low: float, high: float, dtype: np.dtype) -> Found:
    """Diagnose pixel values that are not uint8.

    Args:
        low, high: the smallest and the largest value of all pictures; NaN if a value is NaN.
        dtype: of the values.
    """
    span = f"values from {low:g} to {high:g}"
    if dtype.kind == "b":
        return Found("are flags, not pictures")
    if dtype.kind not in "uif":
        return Found("are no numbers")
    if not (np.isfinite(low) and np.isfinite(high)):
        return Found("have values that are no numbers (NaN or infinity); replace them first")
    if dtype.kind == "f":
        if low >= 0 and high <= 1:
            return Found(span, Conversion("np.round(255 * x).astype(np.uint8)", _unit))
        if low >= -1 and high <= 1:
            return Found(span, Conversion("np.round(127.5 * (x + 1)).astype(np.uint8)", _signed))
        if low >= 0 and high <= 255:
            return Found(span, Conversion("np.round(x).astype(np.uint8)", _rounded))
        return Found(
            f"{span}, whose white and black are not known; scale them to 0..255, round them, and "
            "store them as uint8"
        )
    if low >= 0 and high <= 255:
        return Found(span, Conversion("x.astype(np.uint8)", _rounded))
    if low >= 0 and dtype.itemsize == 2:
        bits = next(bits for bits in _DEPTHS if high < 2**bits)
        code = f"(x >> {bits - 8}).astype(np.uint8)"
        return Found(f"{span} of {bits} bits", Conversion(code, partial(_high, shift=bits - 8)))
    return Found(
        f"{span}, whose white and black are not known; scale them to 0..255, and store them as "
        "uint8"
    )


def of_labels(values: np.ndarray) -> Found | None:
    """Diagnose labels that are no whole numbers from 0 on, (n,); None for good labels.

    Args:
        values: as the file has them, of any shape and type.
    """
    if values.ndim == 2 and 1 in values.shape and len(values):
        side = "[:, 0]" if values.shape[1] == 1 else "[0]"
        code = f"x{side}" if values.dtype.kind in "uib" else f"x{side}.astype(np.int64)"
        what = f"has shape {values.shape}, not (n,); one number each, in a table of one line"
        return Found(what, Conversion(code, np.ravel))
    if values.ndim == 2 and values.dtype.kind in "uifb":
        what = f"has shape {values.shape}, not (n,); give one class number per picture"
        rows = values.astype(np.float64)
        hot = bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all())
        of = (
            "the argmax of one-hot rows" if hot else "the argmax of rows of votes, not one-hot rows"
        )
        return Found(f"{what} ({of})", Conversion("x.argmax(axis=1)", _argmax))
    if values.ndim != 1:
        return Found(f"has shape {values.shape}, not (n,); give one class number per picture")
    if values.dtype.kind in "SUO":
        what = f"is {values.dtype}; labels are class numbers from 0 on, with the names beside them"
        code = "names, numbers = np.unique(x, return_inverse=True)"
        return Found(what, Conversion(code, _numbered))
    if values.dtype.kind == "b":
        what = "is bool; labels are class numbers from 0 on"
        return Found(what, Conversion("x.astype(np.uint8)", _flags))
    if values.dtype.kind not in "uif":
        return Found(f"is {values.dtype}; labels are class numbers from 0 on")
    return None


def of_groups(values: np.ndarray) -> Found | None:
    """Diagnose group numbers (n,) that are floats; None for whole numbers and strings."""
    if values.dtype.kind != "f":
        return None
    whole = np.isfinite(values) & (values == np.round(values))
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        return Found(f"has {values[row]} in row {row}: groups are whole numbers or strings")
    if len(values) and np.abs(values).max() > _WHOLE_IN_FLOAT:
        return Found(
            "has numbers beyond 2**53 as floats, which have lost digits (an objid?); take them "
            "from the catalogue again, as int64 or as strings"
        )
    return Found(
        "is float: groups are whole numbers or strings",
        Conversion("x.astype(np.int64)", lambda x: x.astype(np.int64)),
    )


def _unit(x: np.ndarray) -> np.ndarray:
    return np.round(255 * x.astype(np.float64)).astype(np.uint8)


def _signed(x: np.ndarray) -> np.ndarray:
    return np.round(127.5 * (x.astype(np.float64) + 1)).astype(np.uint8)


def _rounded(x: np.ndarray) -> np.ndarray:
    return np.round(x).astype(np.uint8)


def _high(x: np.ndarray, shift: int) -> np.ndarray:
    return (x >> shift).astype(np.uint8)


def _argmax(x: np.ndarray) -> np.ndarray:
    return x.argmax(axis=1)


def _numbered(x: np.ndarray) -> np.ndarray:
    return np.unique(x, return_inverse=True)[1]


def _flags(x: np.ndarray) -> np.ndarray:
    return x.astype(np.uint8)
