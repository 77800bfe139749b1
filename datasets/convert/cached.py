"""Sources of other forms as data sets: converted once into the cache, known by their content."""

from __future__ import annotations

import hashlib
import os
from dataclasses import astuple
from pathlib import Path

from datasets.convert.convert import convert, decoder
from datasets.convert.form import Asked
from datasets.convert.recipes import recipe_of
from datasets.convert.stream import convert_source
from datasets.convert.table import TABLES
from datasets.download import cache_directory, file_sha256
from results.door import folders
from results.names import beneath
from results.output import say

_FORMAT = 2  # of what is made of a source: another number has all sources converted anew


def cached(path: Path, asked: Asked, cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The file of galaxies made of a source; made now, unless it is in the cache.

    The public files of a recipe become what the recipe makes of them.

    It is looked for by the bytes of the source's files, their names, and what was asked for: a
    source that changes is converted anew, one that moves is not.

    Raises:
        ValueError, OSError: as `stream.convert_source`.
    """
    key = hashlib.sha256(
        repr((_FORMAT, decoder(), astuple(asked), _content(path))).encode()
    ).hexdigest()[:16]
    directory = cache_directory(cache_dir) / "converted"
    made = beneath(directory, key, ending=".h5")
    if made.exists():
        return made
    directory.mkdir(parents=True, exist_ok=True)
    say(f"{path}: converting once, into {made}", flush=True)
    try:
        recipe = recipe_of(path)
        if recipe is not None:
            told = convert(recipe, path, made)
        else:
            told = convert_source(path, made, asked).words()
    except FileExistsError:  # another process was quicker
        return made
    except ValueError as error:
        message = f"{error} (options of: python -m datasets convert {path} OUT.h5)"
        raise ValueError(message) from error
    say(told.removeprefix(f"{made}: "), flush=True)
    return made


def _content(path: Path) -> str:
    """A hash of the names and bytes of a source's files."""
    if not path.is_dir():
        beside = path.suffix.lower() in (*TABLES, ".npy")
        return _content(path.parent) + path.name if beside else file_sha256(path)
    digest = hashlib.sha256()
    with folders.opened(path) as folder:
        for name in folder.names:
            digest.update(f"{name}\0{file_sha256(path / name)}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()
