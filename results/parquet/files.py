"""Writing a file of the store whole or not at all, with one clear error when it cannot be."""

import contextlib
import errno
import os
import sys
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from results.names import printable

_TEMPORARY = ".tmp-"  # what a killed writer leaves behind starts with this, and is never read
_STALE_SECONDS = 24 * 3600


class StoreError(OSError):
    """The store cannot be written or read; the message names the directory and the remedy."""

    def __str__(self) -> str:
        return str(self.strerror)


class DamagedFileWarning(UserWarning):
    """A file of the store was skipped; the message names it and says why."""


@contextlib.contextmanager
def damage_on_stderr() -> Iterator[None]:
    """Print a warning of a damaged file as one plain line, for the commands."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"warning: {printable(message)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DamagedFileWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def whole_file(path: Path, store: Path) -> Iterator[BinaryIO]:
    """A file to write to, renamed to `path` when the block ends well and removed when it fails.

    Args:
        path: the final name, inside the store.
        store: the store's directory, created if need be; named in the error.

    Raises:
        StoreError: the file cannot be written.
    """
    temporary = path.parent / f"{_TEMPORARY}{os.getpid()}-{uuid.uuid4().hex}"
    try:
        store.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and not isinstance(error, StoreError):
            raise StoreError(
                error.errno,
                f"cannot write to the results store {store}: "
                f"{error.strerror or error}; {_remedy(error)}",
            ) from error
        raise


def flush_directory(path: Path) -> None:
    """Have the directory's names written to disk, where the system can (fsync(2))."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_stale(store: Path) -> None:
    """Remove what killed writers left behind, if it is a day old."""
    for path in store.glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, or name another directory with --store"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "make it writable, or name another directory with --store"
    return "name another directory with --store"
