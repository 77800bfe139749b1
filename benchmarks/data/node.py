"""The galaxies of one view and split, staged once for all blocks that run on a node.

They lie in the node's temporary directory, under a name made of what decides them. One block writes
them, under a lock, while the others wait; a hash of each file is kept beside them, and looked at
before they are used again. What nobody has used for a day goes when the next block starts.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from benchmarks.config.plan import SplitSizes
from benchmarks.config.runconfig import DataView
from benchmarks.config.suite import Suite
from benchmarks.data import staging
from benchmarks.data.cache import view_key
from benchmarks.data.staging import Galaxies
from benchmarks.system import machine
from results.door.documents import json_file
from results.door.refusal import FileError
from results.names import beneath
from results.writer import locked, whole_directory, write

KEPT_SECONDS = 24 * 3600.0
_MANIFEST, _DATA = "galaxies.json", "data"


class _Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of `Galaxies` without the directory, and the SHA-256 of each file."""

    view: DataView
    sizes: SplitSizes
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    counts: dict[str, tuple[int, ...]]
    source: str
    notes: tuple[str, ...]
    left_out: str = ""
    files: dict[str, str]


@contextlib.contextmanager
def staged_here(suite: Suite, view: DataView) -> Iterator[Galaxies]:
    """The galaxies of a suite on this node's disk, which stay there while the block lasts.

    Args:
        view: what they were when the runs were planned.

    Raises:
        ValueError, OSError: as `staging.load` and `staging.stage`; or they are others here than
            where the runs were planned.
    """
    parent = beneath(
        Path(os.path.realpath(tempfile.gettempdir())), f"galaxy-benchmark-{os.getuid()}"
    )
    parent.mkdir(mode=0o700, exist_ok=True)
    _remove_unused(parent)
    content = msgspec.json.encode([view_key(suite), view])
    directory = parent / hashlib.sha256(content).hexdigest()[:32]
    with locked(directory.with_suffix(".used"), alone=False):
        os.utime(directory.with_suffix(".used"))
        with locked(directory.with_suffix(".lock")):
            galaxies = _kept(directory) or _written(suite, directory)
        if galaxies.view != view:
            raise ValueError(
                f"the galaxies of {suite.dataset} on node {machine.node()} are not those that the "
                f"runs were planned with (SHA-256 {galaxies.view.sha256[:12]}, planned "
                f"{view.sha256[:12]}); give the nodes the same file"
            )
        yield galaxies


def _kept(directory: Path) -> Galaxies | None:
    """Galaxies that an earlier block has staged; None if there are none, or if a file differs."""
    try:
        manifest = json_file(directory / _MANIFEST, _Manifest, "a list of staged galaxies")
        if _hashes(directory / _DATA) != manifest.files:
            return None
    except (FileError, OSError):
        return None
    fields = {name: getattr(manifest, name) for name in _FIELDS}
    return Galaxies(directory=directory / _DATA, **fields)


def _written(suite: Suite, directory: Path) -> Galaxies:
    with whole_directory(directory) as made:
        galaxies = staging.stage(staging.load(suite), suite, made / _DATA)
        fields = {name: getattr(galaxies, name) for name in _FIELDS}
        manifest = _Manifest(files=_hashes(made / _DATA), **fields)
        write(made / _MANIFEST, msgspec.json.encode(manifest))
    return replace(galaxies, directory=directory / _DATA)


_FIELDS = tuple(name for name in _Manifest.__struct_fields__ if name != "files")


def _hashes(directory: Path) -> dict[str, str]:
    found = {}
    for path in sorted(directory.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _remove_unused(parent: Path) -> None:
    """Remove galaxies that no block holds, and none has for a day."""
    for used in parent.glob("*.used"):
        with contextlib.suppress(OSError):
            if time.time() - used.stat().st_mtime < KEPT_SECONDS:
                continue
            with locked(used, wait=False) as free:
                if free:
                    shutil.rmtree(used.with_suffix(""), ignore_errors=True)
                    used.unlink()
