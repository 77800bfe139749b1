"""The state of a training in a file: whole or not at all, checked when it is read, never pickled.

A checkpoint is an uncompressed `.npz` whose last 64 bytes, the comment of the ZIP archive, are the
SHA-256 of all that stands before them. The newest two are kept, so that one damaged file costs an
epoch or two and not the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from results.door.arrays import archive_bytes
from results.door.documents import json_bytes
from results.door.refusal import FileError
from results.version import check_format
from results.writer import whole_file

NEWEST, PREVIOUS = "checkpoint.npz", "checkpoint.previous.npz"
_FACTS = "facts.json"
FORMAT = 1  # of a file that states none, too
_DIGEST_BYTES = 64
# PKWARE, APPNOTE.TXT, 4.3.16: the archive ends with two bytes for the length of its comment
_LENGTH = _DIGEST_BYTES.to_bytes(2, "little")


class DamagedError(ValueError):
    """A file that is not the checkpoint that was written; the message names it."""


@dataclass(frozen=True)
class State:
    """State of a training: arrays by name, as in `weights/conv1/kernel`, and plain values."""

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]

    def group(self, name: str) -> dict[str, np.ndarray]:
        """The arrays whose names begin with `name/`, without that."""
        start = f"{name}/"
        return {
            key.removeprefix(start): array
            for key, array in self.arrays.items()
            if key.startswith(start)
        }


def to_bytes(state: State) -> bytes:
    """The content of a checkpoint file."""
    facts = np.frombuffer(json.dumps({"format": FORMAT, **state.facts}).encode(), np.uint8)
    archive = io.BytesIO()
    np.savez(archive, **{_FACTS: facts}, **state.arrays)  # type: ignore[arg-type]
    content = archive.getvalue()[: -len(_LENGTH)] + _LENGTH
    return content + hashlib.sha256(content).hexdigest().encode()


def from_bytes(content: bytes, origin: str) -> State:
    """The state in a checkpoint file's content; `origin` names the file in the message.

    Raises:
        DamagedError: it is not what was written.
        NewerVersionError: a newer version of this project wrote it.
    """
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise DamagedError(f"{origin} is damaged: its checksum does not fit its content")
    try:
        arrays = archive_bytes(content, origin, "a checkpoint")
        if _FACTS not in arrays:
            raise DamagedError(f"{origin} is damaged: it has no {_FACTS}")
        text = arrays.pop(_FACTS).tobytes()
        facts = json_bytes(text, dict[str, Any], origin, "a checkpoint")
    except FileError as error:
        raise DamagedError(str(error)) from error
    found = facts.pop("format", 1)
    check_format(found if isinstance(found, int) else 1, FORMAT, origin)
    return State(arrays, facts)


class Checkpoints:
    """The checkpoints of one run, in a directory of its own that need not be there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, state: State) -> None:
        """Keep a state as the newest, and the newest so far as the previous one.

        Killed at any moment, it leaves one of the two whole at the least.

        Raises:
            OSError: it cannot be written; those that there are stay.
        """
        newest = self.directory / NEWEST
        self.directory.mkdir(parents=True, exist_ok=True)
        with whole_file(newest) as file:
            file.write(to_bytes(state))
            file.flush()
            os.fsync(file.fileno())  # on the disk before the older ones are touched
            with contextlib.suppress(FileNotFoundError):
                newest.replace(self.directory / PREVIOUS)

    def read(self) -> tuple[State | None, list[str]]:
        """The newest state that is whole, None without one; and what is wrong with those before it.

        A damaged file is removed, so that it never takes the place of a whole one.
        """
        damage: list[str] = []
        for name in (NEWEST, PREVIOUS):
            path = self.directory / name
            try:
                return from_bytes(path.read_bytes(), str(path)), damage
            except FileNotFoundError:
                continue
            except (DamagedError, OSError) as error:
                damage.append(str(error))
                with contextlib.suppress(OSError):
                    path.unlink()
        return None, damage

    def check_format(self) -> None:
        """Raise NewerVersionError where a newer version of this project wrote one of them."""
        for name in (NEWEST, PREVIOUS):
            path = self.directory / name
            with contextlib.suppress(DamagedError, OSError):  # the run itself tells of these
                from_bytes(path.read_bytes(), str(path))

    def remove(self) -> None:
        """Remove them all, the directory, and the one that it is in if that is empty now."""
        shutil.rmtree(self.directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.directory.parent.rmdir()
