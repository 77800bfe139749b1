"""Writing files and directories whole or not at all, and removing what killed writers left.

A writer writes under a temporary name, flushes to the disk and renames. While it lives it holds a
lock (flock) on its temporary file; the kernel lets go of the lock when the process ends, however
it ends, also in another container or on another node. So the next writer in the same directory
knows which temporary files belong to nobody, and removes them. A process id says none of this: it
is valid on one machine.

The lock is on the temporary file itself: `filelock` would leave a second file beside each. A
directory has its lock in a file of the same name with `.lock`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".galaxy-benchmark-"  # begins the name of everything that is not finished
_LOCK, _REPLACED = ".lock", ".replaced"
_STALE_SECONDS = 24 * 3600  # where the file system has no locks
_AT_FDCWD, _EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h (RENAME_EXCHANGE); macOS: RENAME_SWAP
_CLAIMS = 100

_cleaned: set[Path] = set()  # directories that this process has cleaned


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to. It gets its name when the block ends well, and is removed when it fails.

    A reader sees the old content or the new, never a part. A link is followed, and a device or a
    pipe (`/dev/stdout`) is written to directly.

    Args:
        path: the final name; its directory is there.

    Raises:
        OSError: the file cannot be written; `filename` is the path.
    """
    target = Path(os.path.realpath(path))
    with _named(target):
        if os.path.exists(path) and not os.path.isfile(path):  # open() refuses a directory
            with _device(path) as device:  # of a pipe in /dev/fd the target is no path
                yield device
            return
        _clean_once(target.parent)
        temporary, descriptor = _claim(target.parent)
        with open(descriptor, "wb") as file:
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
                yield file
                file.flush()
                os.fsync(descriptor)
                temporary.replace(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise
        flush_directory(target.parent)


def write(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file whole or not at all; text as UTF-8.

    Raises:
        OSError: the file cannot be written; `filename` is the path.
    """
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty directory to fill. It takes the place of `path`, and of all that was in it, when the
    block ends well; it is removed when the block fails.

    Args:
        path: the final name; the directory that holds it is there.

    Raises:
        OSError: the directory cannot be written; `filename` is the path.
    """
    target = Path(os.path.realpath(path))
    with _named(target), _temporary_directory(target.parent, 0o777) as made:
        yield made
        for folder, _, names in os.walk(made):
            for name in names:
                _flush(Path(folder, name))
            flush_directory(Path(folder))
        _put(made, target)
        flush_directory(target.parent)


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for temporary files, removed at the end; those of killed processes go as well.

    Raises:
        OSError: there is no temporary directory to write to.
    """
    try:
        with contextlib.ExitStack() as stack:
            parent = Path(os.path.realpath(tempfile.gettempdir()))
            path = stack.enter_context(_temporary_directory(parent, 0o700))
            ending = stack.pop_all()
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot make a temporary directory: {error.strerror or error}; "
            "set TMPDIR to a directory with room",
        ) from error
    with ending:
        yield path


@contextlib.contextmanager
def locked(
    path: str | os.PathLike[str], *, alone: bool = True, wait: bool = True
) -> Iterator[bool]:
    """Hold a lock (flock) on a file, made if need be; gives whether it is held.

    The kernel lets go of it when the process ends, however it ends.

    Args:
        path: the file; its directory is there.
        alone: nobody else may hold it; otherwise others who do not ask to be alone may, too.
        wait: until it can be had.

    Raises:
        OSError: the file cannot be made, or its file system has no locks.
    """
    import fcntl  # POSIX alone has it; `cli` says so on Windows

    kind = (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, kind)
            held = True
        except BlockingIOError:
            held = False
        yield held
    finally:
        os.close(descriptor)


def clean(directory: str | os.PathLike[str], nested: bool = False) -> None:
    """Remove what killed writers left in a directory; those that live keep theirs.

    Args:
        directory: it need not be there.
        nested: also in its folders.
    """
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if nested and not name.startswith(".")]
        for name in names:
            if name.startswith(TEMPORARY):
                with contextlib.suppress(OSError):
                    _remove_dead(Path(folder, name))


def flush_directory(path: Path) -> None:
    """Have the directory's names written to disk, where the system can (fsync(2))."""
    with contextlib.suppress(OSError):
        _flush(path)


# ---- inside


def _device(path: str | os.PathLike[str]) -> BinaryIO:
    """A device or pipe, open for writing; raises OSError for a pipe that nothing reads."""
    try:  # without waiting for a reader
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            error.strerror = "it is a pipe that nothing reads"
        raise
    os.set_blocking(descriptor, True)
    return open(descriptor, "wb")


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the temporary file are told of the path that the user knows."""
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename and TEMPORARY not in str(error.filename)):
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def _temporary_directory(parent: Path, mode: int) -> Iterator[Path]:
    clean(parent)
    lock, descriptor = _claim(parent, _LOCK)
    directory = lock.with_suffix("")
    try:
        directory.mkdir(mode)
        yield directory
    finally:
        _remove_directory(lock)
        os.close(descriptor)


def _claim(directory: Path, suffix: str = "") -> tuple[Path, int]:
    """A new temporary file that this process holds the lock of, and its descriptor."""
    for _ in range(_CLAIMS):
        path = directory / f"{TEMPORARY}{uuid.uuid4().hex}{suffix}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks
            if not _lock(descriptor) or not path.exists():
                os.close(descriptor)  # another was cleaning up, before it was locked
                continue
        return path, descriptor
    raise OSError(errno.EBUSY, "its temporary files are removed by another program", str(directory))


def _lock(descriptor: int) -> bool:
    """Take the lock of an open file; False when another process has it.

    Raises:
        OSError: the file system has no locks.
    """
    import fcntl  # POSIX alone has it; `cli` says so on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clean_once(directory: Path) -> None:
    if directory not in _cleaned:
        _cleaned.add(directory)
        clean(directory)


def _remove_dead(path: Path) -> None:
    """Remove a temporary file, or the directory of a lock, if its writer is gone."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        try:
            free = _lock(descriptor)
        except OSError:
            free = time.time() - path.stat().st_mtime > _STALE_SECONDS
        if free and path.suffix == _LOCK:
            _remove_directory(path)
        elif free:
            path.unlink()
    finally:
        os.close(descriptor)


def _remove_directory(lock: Path) -> None:
    """Remove a temporary directory, then its lock; one that cannot be removed keeps its lock."""
    parts = lock.with_suffix(""), lock.with_suffix(_REPLACED)
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
    if not any(map(os.path.lexists, parts)):
        with contextlib.suppress(OSError):
            lock.unlink()


def _put(made: Path, target: Path) -> None:
    """Give a directory its name; what had the name before stands in its place, to be removed."""
    if not target.exists():
        made.rename(target)
        return
    made.chmod(stat.S_IMODE(target.stat().st_mode))
    if not _exchanged(made, target):
        target.rename(made.with_suffix(_REPLACED))  # killed here, neither has the name
        made.rename(target)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange the names of two directories at once; False where the system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            return library.renamex_np(*names, _EXCHANGE) == 0
        return library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) == 0
    except AttributeError:
        return False


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
