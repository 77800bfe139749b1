"""Writing a file of the store whole or not at all, with one clear error when it cannot be."""

import contextlib
import errno
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from results import writer
from results.output import say

_EARLIER = ".tmp-"  # began the names of what earlier versions had not finished; they held no lock
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
        say(f"warning: {message}", error=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DamagedFileWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def whole_file(path: Path, store: Path) -> Iterator[BinaryIO]:
    """A file of the store to write to: `writer.whole_file`, with the store's own error.

    Args:
        path: the final name, inside the store.
        store: the store's directory, created if need be; named in the error.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with writer.whole_file(path) as file:
            yield file
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            error.errno,
            f"cannot write to the results store {store}: "
            f"{error.strerror or error}; {_remedy(error)}",
        ) from error


def remove_stale(store: Path) -> None:
    """Remove what killed writers left behind anywhere in the store."""
    writer.clean(store, nested=True)
    for path in store.rglob(f"{_EARLIER}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, or name another directory with --store"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "make it writable, or name another directory with --store"
    return "name another directory with --store"
