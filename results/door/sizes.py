"""The one rule of sizes, checked before memory is taken for what a file says that it holds.

| form                                      | memory at the most                              |
|-------------------------------------------|-------------------------------------------------|
| not packed (`.npy`, plain HDF5, FITS)     | the bytes that the file has of it               |
| packed, read in blocks (pictures)         | a block, of which one row may be the largest    |
| packed, read whole (labels, weights, CSV) | `FREE`, or `TIMES` the bytes that are packed    |
| Parquet                                   | the same, by the numbers that its footer counts |

More than a method can make of what is there (`DEFLATE`, `OTHER`) is damage. A few bytes can be
packed zeros without end: therefore the bound. Twice the file cannot be the bound of what is packed,
as sound pictures and weights are packed to a tenth.
"""

from __future__ import annotations

import zipfile

from results.words import count

DEFLATE = 1032  # times its size at the most is what deflate, and lzf, unpacks to (zlib's manual)
OTHER = 100_000  # the same of other methods, whose limits are not known: zstd of equal values
FREE = 1 << 25  # bytes that are read whole without a question
PICTURE = 1 << 26  # the same of one picture
TIMES = 100  # pictures and weights are packed to a tenth at the best


def check_possible(size: int, held: int, name: str, times: int = DEFLATE) -> None:
    """Raise ValueError where so many bytes cannot be unpacked from those that are held."""
    if size > times * held:
        raise ValueError(f"'{name}' says that it is larger than the file can hold")


def check_whole(size: int, held: int, name: str, free: int | None = None) -> None:
    """Raise ValueError where something is too large to be unpacked whole.

    Args:
        size: bytes unpacked. held: bytes that the file holds of it. free: bytes allowed in any
            case, by default `FREE`.
    """
    if size > max(FREE if free is None else free, TIMES * held):
        raise ValueError(
            f"{name} would unpack to {count(size, 'byte')}, {size // max(held, 1):,} times what "
            "the file holds of it; save it without compression if it is so large"
        )


def check_member(member: zipfile.ZipInfo, size: int) -> None:
    """Raise ValueError where a zip file of this size in bytes cannot hold what a member says."""
    name = member.filename.removesuffix(".npy")
    check_possible(member.compress_size, size, name, times=1)
    check_possible(member.file_size, member.compress_size, name)


def check_members(members: zipfile.ZipFile, size: int) -> None:
    """Raise ValueError where the members of a zip file, all of which are read, are too large."""
    for member in members.infolist():
        check_member(member, size)
    unpacked = sum(member.file_size for member in members.infolist())
    check_whole(unpacked, size, "it")
