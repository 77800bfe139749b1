"""The HDF5 file that a conversion writes: whole or not at all, also where the disk is full."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from results.writer import whole_file

if TYPE_CHECKING:
    import h5py


class Written:
    """A file for HDF5, which crashes the process where a write fails as it closes.

    So it is told of no failure: `check` raises the first one.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._failed = file, None

    _failed: OSError | ValueError | None

    def check(self) -> None:
        """Raise OSError or ValueError where something could not be written."""
        if self._failed is not None:
            raise self._failed

    def _tried(self, do: Callable[..., Any], instead: object, *given: object) -> Any:
        try:
            return do(*given)
        except (OSError, ValueError) as error:  # ValueError: HDF5 lets go of it after its end
            self._failed = self._failed or error
            return instead

    def write(self, content: bytes) -> int:
        return self._tried(self._file.write, len(content), content)

    def read(self, size: int = -1) -> bytes:
        """As `readinto`; HDF5 takes only what has this method for a file."""
        return self._tried(self._file.read, bytes(max(size, 0)), size)

    def readinto(self, buffer: memoryview) -> int:
        """All of the buffer is filled: HDF5 does not look at how much was read."""
        found = self._tried(self._file.read, b"", len(buffer))
        buffer[:] = found.ljust(len(buffer), b"\0")
        return len(buffer)

    def seek(self, *place: int) -> int:
        return self._tried(self._file.seek, place[0], *place)

    def tell(self) -> int:
        return self._tried(self._file.tell, 0)

    def truncate(self, size: int) -> int:
        return self._tried(self._file.truncate, size, size)

    def flush(self) -> None:
        self._tried(self._file.flush, 0)


@contextmanager
def made_file(output: Path) -> Iterator[tuple[h5py.File, Written]]:
    """An HDF5 file to write; it gets its name when the block ends well.

    Raises:
        OSError: it cannot be written; of the source's errors (`FileError`) none is changed.
    """
    import h5py

    try:
        # HDF5 reads back what it has written, which a file to write alone does not let it.
        with whole_file(output) as whole, os.fdopen(os.dup(whole.fileno()), "w+b") as both:
            written = Written(both)
            with h5py.File(written, "w") as file:
                yield file, written
            written.flush()
            written.check()
    except OSError as error:
        if isinstance(error, ValueError):  # of the source (`FileError`), in its own words
            raise
        raise OSError(f"{output}: cannot be written ({error.strerror or error})") from error
