"""Errors about files that cannot be used, and the bytes of those that can."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from results.names import in_line
from results.vocabulary import near_miss
from results.words import count

_LONGEST = 300  # characters of a library's own words that are worth reading


class FileError(OSError, ValueError):
    """A file that cannot be used; the message names it, the place in it, and the remedy."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissingFileError(FileError, FileNotFoundError):
    """A file that is not there; the message names it, and the file beside it that is meant."""


class ToldError(ValueError):
    """The base of errors whose message is whole already: the door lets them pass."""


@contextmanager
def reading(path: str | os.PathLike[str], what: str, remedy: str = "") -> Iterator[None]:
    """Whatever is raised inside becomes a `FileError`; for the calls of a library alone.

    Libraries raise what a byte of the file leads them to: any list of exceptions would be a guess.

    Args:
        path: named in the message.
        what: the file is to be, with its article: "a checkpoint".
        remedy: the end of the message.

    Raises:
        FileError: whatever went wrong; `MissingFileError` where there is no such file.
        ToldError: as it was raised inside.
    """
    try:
        yield
    except (FileError, ToldError):
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such file{_beside(Path(path))}") from error
    except Exception as error:
        if found := instead(path, remedy):
            raise FileError(f"{path}: not {what}{found}") from error
        told = f"{path}: cannot be read as {what}: {reason(error)}"
        raise FileError(f"{told}; {remedy}" if remedy else told) from error


def instead(path: str | os.PathLike[str], remedy: str = "") -> str:
    """The leftover of a failed download, and its remedy: words that follow "not a ...".

    Args:
        path: its first bytes are read; "" is returned where they tell of no such thing.
        remedy: the words for an empty file.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError:
        return ""
    if not start:
        return f": it is empty; {remedy}" if remedy else ": it is empty"
    if start.startswith(b"version https://git-lfs"):
        return " but a pointer of Git LFS; get the file with: git lfs pull"
    if start.lstrip()[:64].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return " but a web page: the download was refused; get it again"
    return ""


def reason(error: BaseException) -> str:
    """An error in one short line."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, IsADirectoryError):
        return "it is a directory"
    if isinstance(error, OSError) and error.strerror:
        text = str(error.strerror)
    else:
        quoted = isinstance(error, KeyError) and error.args  # as Python shows a key
        text = str(error.args[0] if quoted else error) or type(error).__name__
    text = in_line(text.strip())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def regular(path: Path, what: str, most: int | None = None) -> int:
    """The size in bytes of a file on a disk; a device or a pipe could be read for ever.

    Args:
        what: the file is to be, with its article.
        most: bytes that such a file has at the most.

    Raises:
        FileError: it is not there, no regular file, or larger.
    """
    with reading(path, what):
        found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise FileError(f"{path}: is a directory, not {what}")
    if not stat.S_ISREG(found.st_mode):
        raise FileError(f"{path}: is no regular file; copy what it gives into one")
    if most is not None and found.st_size > most:
        raise FileError(
            f"{path}: has {count(found.st_size, 'byte')}, and {what} has {most:,} at the most"
        )
    return found.st_size


def content(path: Path, what: str, remedy: str = "", most: int | None = None) -> bytes:
    """The bytes of a file.

    Raises:
        FileError: as `regular`, or it cannot be read.
    """
    regular(path, what, most)
    with reading(path, what, remedy):
        return path.read_bytes()


def _beside(path: Path) -> str:
    """The near miss among the files beside it."""
    try:
        names = [other.name for other in path.parent.iterdir()]
    except OSError:
        return ""
    return near_miss(path.name, names)
