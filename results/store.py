"""The store: a directory of Parquet files, read as three tidy frames.

One finished execution is one file, written under a temporary name and renamed: whole or not at
all, by as many writers at once as there are. `compact` packs such files into few. An execution
may be found twice (a merge, a compaction that was killed half way): reading keeps one.
"""

import contextlib
import os
import re
import uuid
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.door.refusal import FileError
from results.parquet.files import DamagedFileWarning, StoreError, remove_stale, whole_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from results.parquet.examples import Examples

__all__ = ["DEFAULT_STORE", "DamagedFileWarning", "Store", "StoreError"]

DEFAULT_STORE = Path("runs")
_OWN = "run-"  # begins the name of a file of one execution
MANY_FILES = 300  # each costs a reader about a millisecond


@dataclass(frozen=True)
class Latest:
    """Result of `Store.latest_frames`; `history` covers every execution."""

    runs: "pd.DataFrame"
    epochs: "pd.DataFrame"
    predictions: "pd.DataFrame"
    history: "pd.DataFrame"


class Store:
    """The runs kept in one directory. Nothing is created before the first write.

    Args:
        path: the directory.
    """

    def __init__(self, path: str | os.PathLike[str] = DEFAULT_STORE) -> None:
        self.path = Path(path)

    # Writing

    def check_writable(self) -> None:
        """Create the directory and try a write, before hours are spent on runs to keep; remove what
        killed writers left there.

        Raises:
            StoreError: the store cannot be written; the message names directory and remedy.
        """
        probe = self.path / f"probe-{uuid.uuid4().hex}"
        with whole_file(probe, self.path) as file:
            file.write(b"probe")
        probe.unlink()
        remove_stale(self.path)

    def append(
        self,
        run: Mapping[str, Any],
        epochs: Iterable[Mapping[str, Any]] = (),
        predictions: Iterable[Mapping[str, Any]] = (),
    ) -> Path:
        """Keep one execution, whole or not at all.

        Args:
            run: values by column (results/schema.py); `run_id`, `execution_id` and `status` are
                needed, a column left out is null. JSON columns take a mapping or a JSON string.
            epochs: rows by column; `execution_id` and `run_id` may be left out.
            predictions: likewise.

        Returns:
            The file written.

        Raises:
            ValueError: an unknown column, a wrong type, or an execution_id already stored.
            StoreError: the directory cannot be written.
        """
        import pyarrow.parquet as pq

        from results.parquet.record import record

        table = record(run, epochs, predictions)
        execution = str(run["execution_id"])
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", execution):
            raise ValueError(f"runs: execution_id {execution!r} does not make a file name")
        path = self._file(execution)
        if path.exists():
            raise ValueError(f"runs: execution_id {execution!r} is already stored in {path}")
        with whole_file(path, self.path) as file:
            pq.write_table(
                table,
                file,
                compression="zstd",
                use_dictionary=False,  # one row: a dictionary and statistics would double it
                write_statistics=False,
                write_page_checksum=True,
            )
        return path

    def save_examples(
        self,
        images: "npt.NDArray[np.uint8]",
        labels: "npt.NDArray[np.int64]",
        class_names: Iterable[str],
        *,
        dataset: str,
        dataset_sha256: str,
        label_view: str,
        channels: str,
    ) -> Path:
        """Keep a few images of a data set for the report, unless this view has some already.

        Args:
            images: uint8 (k, height, width, channels), best one or more of each class.
            labels: integers (k,), indices into `class_names`.
            class_names: by label.
            dataset, dataset_sha256, label_view, channels: as in the columns of `runs`, where
                `label_view` is the column `labels`.

        Raises:
            ValueError: shapes, types or labels that do not fit.
            StoreError: the directory cannot be written.
        """
        from results.parquet import examples

        return examples.save(
            self.path,
            examples.Examples(
                images, labels, tuple(class_names), dataset, dataset_sha256, label_view, channels
            ),
        )

    def merge(self, other: "Store | str | os.PathLike[str]") -> int:
        """Take over the executions of another store that are not held here, with its examples and
        what the ladder found.

        Returns:
            How many were new. A damaged file of the other store is warned of and left out.

        Raises:
            FileNotFoundError: the other store is no directory.
            StoreError: this store cannot be written.
        """
        from results.parquet import examples, findings

        source = other if isinstance(other, Store) else Store(other)
        if not source.path.is_dir():
            raise FileNotFoundError(f"no results store at {source.path}")
        held = {
            execution
            for _, table in self._tables(["execution_id"])
            for execution in table["execution_id"].to_pylist()
        }
        count = len(held)
        for path, table in source._tables(["execution_id"]):
            executions = set(table["execution_id"].to_pylist())
            if executions <= held:
                continue
            target = self.path / path.name
            if target.exists():  # a damaged file of the same name
                target = self.path / f"merged-{uuid.uuid4().hex}.parquet"
            with whole_file(target, self.path) as file:
                file.write(path.read_bytes())
            held |= executions
        for example in examples.load(source.path):
            examples.save(self.path, example)
        findings.merge(source.path, self.path)
        return len(held) - count

    def compact(self) -> int:
        """Pack the files into few large ones; safe to kill, safe beside writers.

        A packed file is on disk before the files that it replaces are removed, and reading keeps
        one of two equal executions, so nothing is lost or doubled at any moment.

        Returns:
            How many files were packed.

        Raises:
            StoreError: the directory cannot be written.
        """
        from results.parquet.pack import PACK_BYTES, pack

        remove_stale(self.path)
        small = []
        for path in self.files():
            with contextlib.suppress(FileNotFoundError):  # packed by someone else since the listing
                if path.stat().st_size < PACK_BYTES / 2:
                    small.append(path)
        return pack(self.path, small) if len(small) > 1 else 0

    def tidy(self) -> int:
        """Compact when there are so many files that reading slows; as safe as `compact`.

        Returns:
            How many files were packed.
        """
        return self.compact() if len(self.files()) > MANY_FILES else 0

    # Reading

    def runs(self, latest: bool = False, columns: Iterable[str] | None = None) -> "pd.DataFrame":
        """A row per execution, oldest first; `images_per_second` and the like are derived.

        Args:
            latest: of each run_id and machine only the latest execution that ended ok, or where
                none did, the latest.
            columns: only these columns (quicker); all by default.
        """
        from results.parquet import frames

        wanted = frames.run_columns(columns)
        table = self._read([*frames.ORDER, *frames.stored_columns(wanted)], latest)
        return frames.runs_frame(table, wanted)

    def latest_frames(self, history: Iterable[str] = ()) -> "Latest":
        """Runs, epochs and predictions of the latest executions, reading each file once.

        For reports: the frames are those of `runs`, `epochs` and `predictions` with `latest`,
        without probabilities; `execution_id` of the last two is categorical, which is quick to
        choose by.

        Args:
            history: columns of `runs` to give of every execution.
        """
        from results.parquet import frames
        from results.parquet.reading import latest_part

        names = [*frames.ORDER, *frames.stored_columns(frames.run_columns(None)), frames.EPOCHS]
        table = self._read([*names, *frames.prediction_parts(False)], False)
        latest = latest_part(table)
        return Latest(
            frames.runs_frame(latest, None),
            frames.epochs_frame(latest, coded=True),
            frames.predictions_frame(latest, False, coded=True),
            frames.runs_frame(table, history),
        )

    def table(self, columns: Iterable[str]) -> "pa.Table":
        """Columns of all executions, each once, oldest first, as Arrow holds them.

        For long histories: no pandas, and nothing else of the files is decoded.

        Args:
            columns: names of the file's columns, or `list.element.field` paths into its lists.
        """
        from results.parquet.reading import LATEST_BY

        return self._read(list(dict.fromkeys(["execution_id", *LATEST_BY, *columns])), False)

    def epochs(self, latest: bool = False) -> "pd.DataFrame":
        """A row per execution, epoch and split; see `runs` for `latest`."""
        from results.parquet import frames

        return frames.epochs_frame(self._read([*frames.ORDER, frames.EPOCHS], latest))

    def predictions(self, latest: bool = False, probabilities: bool = True) -> "pd.DataFrame":
        """A row per execution and test image; see `runs` for `latest`.

        Args:
            latest: of each run_id and machine only the latest execution that ended ok, or where
                none did, the latest.
            probabilities: with the column of probabilities, float32 (classes,) each; without it
                reading is much quicker.
        """
        from results.parquet import frames

        parts = frames.prediction_parts(probabilities)
        table = self._read([*frames.ORDER, *parts], latest)
        return frames.predictions_frame(table, probabilities)

    def examples(self) -> "list[Examples]":
        """The example images kept by `save_examples`; damaged files are warned of."""
        from results.parquet import examples

        return examples.load(self.path)

    def finished(self, machine_id: str | None = None) -> set[str]:
        """The run_ids of which an execution has ended with status ok.

        Args:
            machine_id: of this machine's executions alone; by default of any machine's.
        """
        columns = ["run_id", "status", "machine_id"]
        return {
            run_id
            for _, table in self._tables(columns)
            for run_id, status, machine in zip(
                *(table[name].to_pylist() for name in columns), strict=True
            )
            if status == "ok" and machine_id in (None, machine)
        }

    def rows(
        self, executions: Collection[str], columns: Iterable[str], packed: bool = True
    ) -> dict[str, dict[str, Any]]:
        """Stored rows of these executions, by execution_id; no other row is read.

        Args:
            columns: of `runs`, not the derived ones.
            packed: look in packed files, too; quicker without, where they cannot be there yet.
        """
        from results.parquet.reading import read_columns
        from results.parquet.values import check

        names = list(dict.fromkeys(["execution_id", *columns]))
        found: dict[str, dict[str, Any]] = {}
        for one in executions:
            with contextlib.suppress(FileError):  # not there, or packed since
                path = self._file(one)
                check(table := read_columns(path, names), path)
                found[one] = table.to_pylist()[0]
        left = set(executions) - found.keys()
        for _, table in self._tables(names, packed=True) if left and packed else ():
            found |= {
                row["execution_id"]: row for row in table.to_pylist() if row["execution_id"] in left
            }
        return found

    def files(self) -> list[Path]:
        """The store's files, without leftovers of killed writers; none if it is not there yet.

        Raises:
            StoreError: the path is not a directory, or may not be read.
        """
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                error.errno,
                f"cannot read the results store {self.path}: {error.strerror}; "
                "name a directory with --store",
            ) from error
        return [
            self.path / name
            for name in sorted(names)
            if name.endswith(".parquet") and not name.startswith(".")
        ]

    def _file(self, execution: str) -> Path:
        return self.path / f"{_OWN}{execution}.parquet"

    def _read(self, columns: list[str], latest: bool) -> "pa.Table":
        from results.parquet.reading import combined

        return combined([table for _, table in self._tables(columns)], columns, latest)

    def _tables(self, columns: list[str], packed: bool = False) -> "list[tuple[Path, pa.Table]]":
        """These columns of each readable file, or of the packed ones; damaged files are warned of.

        Raises:
            NewerVersionError: a file of a newer schema: to leave its runs out would mislead.
        """
        from results.parquet.reading import read_columns, sound

        for _ in range(5):  # a file that is gone was packed since the listing: list again
            tables: list[tuple[Path, pa.Table]] = []
            skipped: list[FileError] = []
            for path in self.files():
                if packed and path.name.startswith(_OWN):
                    continue
                try:
                    tables.append((path, read_columns(path, columns)))
                except FileError as error:
                    skipped.append(error)
            if not any(isinstance(reason, FileNotFoundError) for reason in skipped):
                break
        tables, refused = sound(tables)
        for reason in (*skipped, *refused):
            warnings.warn(f"skipped {reason}", DamagedFileWarning, stacklevel=4)
        return tables
