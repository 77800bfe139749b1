"""Fetch a file over HTTP: with progress, resumed where it broke off, checked, whole or not at all.

What has come so far is kept as ``NAME.part`` and goes on from there, in this call or a later one.
Only a file with the published SHA-256 gets its name. (pooch would do all of this but resume.)
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets.progress import Progress, of_bytes
from results.door.refusal import regular
from results.output import say
from results.words import count

CACHE_VARIABLE = "GALAXY_BENCHMARK_CACHE"

_CHUNK_BYTES = 1 << 20
_SILENCE_SECONDS = 60.0
_ATTEMPTS = 5
# What a lost or silent connection raises; other OSErrors are the disk's.
_BROKEN = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


@dataclass(frozen=True)
class RemoteFile:
    """A published file. ``size`` in bytes, where it is known."""

    url: str
    filename: str
    sha256: str
    size: int | None = None


class DownloadError(OSError):
    """A file could not be had; the message says from where, what is kept, and what to do."""


def cache_directory(override: str | os.PathLike[str] | None = None) -> Path:
    """Folder of the downloads.

    It is ``override``, else $GALAXY_BENCHMARK_CACHE, else the user's cache directory of the
    operating system.
    """
    chosen = override or os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(os.path.expanduser(chosen))
    import pooch

    return Path(pooch.os_cache("galaxy-training-benchmark"))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    regular(path, "a file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    remote: RemoteFile,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Path of the file in the cache directory, downloaded first if it is not there.

    A broken connection is taken up again, until five attempts in a row bring nothing; ``pause``
    waits the given seconds between two.

    Raises:
        DownloadError: it cannot be had, or what is there or came is not the published file.
    """
    directory = cache_directory(cache_dir)
    target = directory / remote.filename
    if target.exists():
        _check_cached(target, remote)
        return target
    part = directory / f"{remote.filename}.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory / f"{remote.filename}.lock"):
            # Another process may have fetched it while this one waited its turn.
            if target.exists():
                _check_cached(target, remote)
                return target
            _download(remote, part, target, pause)
            _check_downloaded(remote, part, target)
            os.replace(part, target)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{target}: {error.strerror or error}; set {CACHE_VARIABLE} to a directory with room "
            f"that you may write to. {_by_hand(remote, target)}"
        ) from error
    return target


def _download(remote: RemoteFile, part: Path, target: Path, pause: Callable[[float], None]) -> None:
    _check_room(remote, part)
    failures = 0
    with of_bytes(remote.filename, remote.size) as progress:
        while True:
            before = _size(part)
            try:
                _receive(remote, part, progress)
                return
            except urllib.error.HTTPError as error:
                error.close()
                reason = f"the server answers {error.code} {error.reason}"
                # Other refusals will not change for asking again.
                if error.code < 500 and error.code not in (408, 429):
                    raise DownloadError(
                        f"{remote.url}: {reason}. {_by_hand(remote, target)}"
                    ) from error
            except _BROKEN as error:
                reason = str(getattr(error, "reason", None) or error)
            failures = 0 if _size(part) > before else failures + 1
            if failures == _ATTEMPTS:
                kept = (
                    f"{count(_size(part), 'byte')} are kept in {part}: the same command goes "
                    "on there. "
                )
                raise DownloadError(
                    f"{remote.url}: cannot be downloaded ({reason}). "
                    f"{kept if _size(part) else ''}{_by_hand(remote, target)}"
                )
            seconds = 2.0 ** max(failures - 1, 0)
            progress.note(f"{reason}; trying again in {seconds:.0f} s")
            pause(seconds)


def _receive(remote: RemoteFile, part: Path, progress: Progress) -> None:
    """Append what is missing to ``part``; raises when the connection breaks off."""
    have = _size(part)
    request = urllib.request.Request(remote.url, headers={"User-Agent": "galaxy-benchmark"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        # Nothing lies beyond what is here already: it is whole, or not this file; the hash tells.
        error.close()
        return
    with response:
        resumed = response.status == 206 and _range_start(response) == have
        if have and not resumed:
            have = 0  # a server that cannot resume sends all of it again
        length = response.headers.get("Content-Length")
        expected = have + int(length) if length else None
        progress.start(have, expected)
        with part.open("ab" if have else "wb") as file:
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                progress.advance(len(chunk))
    if expected is not None and _size(part) < expected:
        raise ConnectionError(
            f"the connection broke off at {_size(part):,} of {count(expected, 'byte')}"
        )


def _range_start(response: http.client.HTTPResponse) -> int | None:
    """First byte of an answer to a range request ("Content-Range: bytes 100-199/200")."""
    unit, _, rest = (response.headers.get("Content-Range") or "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else None


def _check_cached(target: Path, remote: RemoteFile) -> None:
    found = file_sha256(target)
    if found != remote.sha256:
        raise DownloadError(
            f"{target}: not the published file (SHA-256 {found}, published {remote.sha256}), so "
            f"it is not used; move it away to have it downloaded again, or name it as a data set "
            f"of its own: --dataset {target}"
        )


def _check_downloaded(remote: RemoteFile, part: Path, target: Path) -> None:
    found = file_sha256(part)
    if found == remote.sha256:
        return
    aside = target.with_name(f"{target.name}.wrong")
    os.replace(part, aside)
    raise DownloadError(
        f"{remote.url}: what came is not the published file (SHA-256 {found}, published "
        f"{remote.sha256}); it is not used, but kept for a look as {aside}. The same command "
        f"downloads it anew. {_by_hand(remote, target)}"
    )


def _check_room(remote: RemoteFile, part: Path) -> None:
    if remote.size is None:
        return
    free, missing = shutil.disk_usage(part.parent).free, remote.size - _size(part)
    if free < missing:
        raise DownloadError(
            f"{part.parent}: {count(free, 'byte')} free, and {missing:,} needed for "
            f"{remote.filename}; make room, or set {CACHE_VARIABLE} to another directory"
        )


def _by_hand(remote: RemoteFile, target: Path) -> str:
    return (
        f"Or download {remote.url} by other means and put it at {target}, "
        f"or name a file of your own: --dataset FILE.h5"
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process downloads the same file (on POSIX; freed if one is killed)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{lock.stem}: another process is downloading it; waiting", error=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
