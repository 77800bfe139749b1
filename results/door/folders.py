"""A folder, or a zip file of one: its files by their paths inside, read one at a time."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from results import words
from results.door import apart, sizes
from results.door.refusal import FileError, reading, regular

_MOST_FILES = 10_000_000


class Folder:
    """The files of a folder or zip file.

    path: of it. names: relative paths with `/`, sorted as text, without hidden files. twice: names
    that a zip file has for several of its files, of which the last is read.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile | None = None) -> None:
        self.path, self._archive = path, archive
        self._size = path.stat().st_size
        self._members = dict(_members(archive)) if archive else {}
        found = [name for name, _ in _members(archive)] if archive else list(_files(path))
        self.names = sorted(set(found))
        self.twice = sorted(name for name, count in Counter(found).items() if count > 1)

    def open(self, name: str) -> IO[bytes]:
        """A file of it; whatever the file system or the zip file raises comes through."""
        if self._archive is not None:
            member = self._members[name]
            sizes.check_member(member, self._size)
            return self._archive.open(member)
        regular(self.path / name, "a file of it")
        return (self.path / name).open("rb")

    def content(self, name: str, most: int) -> bytes:
        """The bytes of a file.

        Raises:
            FileError: it cannot be read, or has more than so many bytes.
        """
        with reading(f"{self.path}/{name}", "a file"), self.open(name) as file:
            if self._archive is not None:
                member = self._members[name]
                sizes.check_whole(member.file_size, member.compress_size, name)
            found = file.read(most + 1)
        if len(found) > most:
            raise FileError(f"{self.path}/{name}: has more than {words.count(most, 'byte')}")
        return found


def is_zip(path: Path) -> bool:
    """True if a file is a zip file, whatever it is called.

    Raises:
        FileError: it is not there, or no regular file.
    """
    regular(path, "a source of galaxies")
    return zipfile.is_zipfile(path)


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """A folder or zip file, open for reading.

    Raises:
        FileError: there is none, or the zip file is damaged.
    """
    if path.is_dir():
        with reading(path, "a folder"):
            folder = Folder(path)
        yield folder
        return
    with reading(path, "a zip file", "get it again"):
        archive = zipfile.ZipFile(path)
    with archive:
        with reading(path, "a zip file", "get it again"):
            folder = Folder(path, archive)
        yield folder


def _files(path: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise error

    count = 0
    for directory, folders, files in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in files:
            if not _hidden(name):
                yield Path(directory, name).relative_to(path).as_posix()
                count += 1
                apart.alive()
                if count > _MOST_FILES:
                    raise ValueError(f"it has more than {_MOST_FILES:,} files")


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Its files by name; some programs of Windows write backslashes."""
    for member in archive.infolist():
        name = member.filename.replace("\\", "/")
        if not name.endswith("/") and not any(map(_hidden, name.split("/"))):
            yield name, member


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
