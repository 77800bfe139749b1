"""A source made into a file of galaxies, block by block: no more than some blocks are in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.convert.bad import Bad
from datasets.convert.classes import numbered
from datasets.convert.convert import check_output, decoder
from datasets.convert.form import Asked, Form, Rows
from datasets.convert.made import made_file
from datasets.convert.opening import open_source
from datasets.progress import of_pictures
from results.door.apart import alive, done_apart
from results.words import count as counted
from results.writer import clean

if TYPE_CHECKING:
    import h5py

_CHUNK = 64  # pictures that are compressed together
_CHUNK_BYTES = 1 << 22  # at the most, but for one picture


@dataclass(frozen=True)
class Converted:
    """The file made of a source. bad: rows left out; done: the changes made, in words."""

    output: Path
    count: int
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    sha256: str
    bad: Bad
    done: tuple[str, ...]

    def words(self) -> str:
        """The file, its content and what was left out, in lines for the user."""
        height, width, channels = self.shape
        colour = "grey " if channels == 1 else ""
        what = "; ".join(self.done) or "nothing had to be converted"
        left_out = f"\nleft out: {self.bad.words()}" if len(self.bad) else ""
        return (
            f"{self.output}: {counted(self.count, f'{colour}galaxy')} of {height}x{width} pixels "
            f"in {counted(len(self.class_names), 'class')}; {what}{left_out}\ncontent SHA-256 "
            f"{self.sha256}"
        )


def convert_source(source: Path, output: Path, asked: Asked) -> Converted:
    """Make a file of galaxies of a source of any form; whole or not at all.

    Args:
        source: see `opening.FORMS`. output: the file to write; it must not be there yet.

    Raises:
        FileExistsError: the output is there.
        ValueError, OSError: a source that cannot be read or whose meaning is not known, or more bad
            pictures than are tolerated; the message names the source and the remedy.
    """
    check_output(output)
    try:
        return done_apart(
            lambda: _converted(source, output, asked),
            *(source, "a source of galaxies", source.stat().st_size if source.exists() else 0),
            "get it again",
        )
    finally:
        clean(output.parent)  # of a conversion that was killed


def _converted(source: Path, output: Path, asked: Asked) -> Converted:
    with open_source(source, asked) as form:
        key = f"'{asked.label_key}'" if asked.label_key else "its labels"
        names: tuple[str, ...]
        labels, names = numbered(form.rows, asked.class_names, form.bad, f"{form.where}: {key}")
        count = len(form.rows.names)
        if len(labels) != count:
            raise ValueError(
                f"{form.where}: {counted(count, 'picture')}, and {counted(len(labels), 'label')}"
            )
        shape = _surveyed(form, asked)
        return _write(form, labels, names, shape, asked, output)


def _surveyed(form: Form, asked: Asked) -> tuple[int, int, int]:
    wanted = ~form.bad.rows(len(form.rows.names))
    if not wanted.any():
        form.bad.check(form.where, -1)
    try:
        return form.pictures.survey(wanted, form.bad, form.rows.done)
    except ValueError as error:
        told = str(error)
        raise ValueError(
            told if told.startswith(form.where) else f"{form.where}: {told}"
        ) from error


def _write(
    form: Form,
    labels: np.ndarray,
    names: tuple[str, ...],
    shape: tuple[int, int, int],
    asked: Asked,
    output: Path,
) -> Converted:
    rows, bad = form.rows, form.bad
    wanted = ~bad.rows(len(rows.names))
    digest = hashlib.sha256()
    taken: list[np.ndarray] = []
    filled = 0
    with made_file(output) as (file, written):
        pictures = _Growing(file, int(wanted.sum()), shape)
        with of_pictures(output.name, int(wanted.sum())) as progress:
            for block_rows, block in form.pictures.blocks(wanted, bad):
                alive()
                digest.update(np.ascontiguousarray(block).data)
                pictures.add(block)
                taken.append(block_rows)
                filled += len(block_rows)
                progress.advance(len(block_rows))
                written.check()
        bad.check(form.where, asked.skip_bad)
        pictures.close()
        kept = np.concatenate(taken) if taken else np.empty(0, np.int64)
        digest.update(np.ascontiguousarray(labels[kept], dtype="<i8").data)
        _add_columns(file, rows, labels, names, kept)
        sha256 = digest.hexdigest()
        file.attrs["source"] = rows.source or f"The source {Path(form.where).name}."
        file.attrs["converted"] = "; ".join(rows.done)
        file.attrs["decoder"] = decoder()
        file.attrs["content_sha256"] = sha256
        if len(bad):
            file.attrs["left_out"] = bad.words()
    return Converted(output, filled, shape, names, sha256, bad, tuple(rows.done))


class _Growing:
    """The dataset of pictures, written in whole chunks and cut to its length at the end."""

    def __init__(self, file: h5py.File, count: int, shape: tuple[int, int, int]) -> None:
        size = max(1, min(_CHUNK, _CHUNK_BYTES // int(np.prod(shape)), max(count, 1)))
        self._made = file.create_dataset(
            "images",
            (count, *shape),
            np.uint8,
            chunks=(size, *shape),
            maxshape=(None, *shape),
            compression="gzip",
            compression_opts=1,
        )
        self._waiting: list[np.ndarray] = []
        self._size, self._filled = size, 0

    def add(self, block: np.ndarray) -> None:
        """More pictures, uint8 (k, height, width, channels)."""
        held = np.concatenate([*self._waiting, block]) if self._waiting else block
        whole = len(held) // self._size * self._size
        self._put(held[:whole])
        self._waiting = [held[whole:].copy()] if whole < len(held) else []

    def close(self) -> None:
        """Write what is left, and forget the rows that never came."""
        self._put(np.concatenate(self._waiting) if self._waiting else np.empty(0))
        self._made.resize(self._filled, axis=0)

    def _put(self, block: np.ndarray) -> None:
        if len(block):
            self._made[self._filled : self._filled + len(block)] = block
            self._filled += len(block)


def _add_columns(
    file: h5py.File, rows: Rows, labels: np.ndarray, names: tuple[str, ...], kept: np.ndarray
) -> None:
    import h5py

    file["ans"] = labels[kept]
    file["ans"].attrs["class_names"] = np.array(names, dtype=h5py.string_dtype())
    for name, values in rows.columns.items():
        file[name] = values[kept]
    if rows.votes is not None:
        file["votes"] = rows.votes[kept]
        file["votes"].attrs["vote_names"] = np.array(rows.vote_names, dtype=h5py.string_dtype())
    if rows.parts is not None:
        file["split"] = np.char.encode(rows.parts[kept])
