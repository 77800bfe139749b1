"""The history of a store: every execution as columns, and the series that they make.

A series is what may be set side by side over time: one machine, one cell (the hash of framework,
network, recipe, data view, split, parity, tuning, precision, device and threads). What may change
along it, commit and versions, is not part of its key. Built on Arrow and NumPy alone, so that a
history of 100,000 runs answers at once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmarks.tracking.metrics import IMPORTED, Metric
from frameworks.backend import without_version
from results.schema import USUAL
from results.words import count

if TYPE_CHECKING:
    import pyarrow as pa

    from results.store import Store

Rows = npt.NDArray[np.int64]

IMPORTED_DIRECTORY = "imported"  # below the store: what other tools measured, in the same form
_COLUMNS = (
    *("execution_id", "run_id", "cell_id", "session_id", "started_at", "status", "reason"),
    *("framework", "architecture", "dataset", "labels", "channels", "parity", "tuning"),
    *("precision", "device", "threads", "epochs", "batch_size", "seed", "repeat", "control"),
    *("augmentation", "fraction", "experiment"),
    *(
        "machine_id",
        "train_images",
        "compile_seconds",
        "peak_memory_bytes",
        "test_accuracy",
        "versions",
    ),
    *("commit", "dirty"),
)
_STORED = {
    "compile-time": "compile_seconds",
    "peak-memory": "peak_memory_bytes",
    "accuracy": "test_accuracy",
}
# The distributions whose version is a framework's.
_VERSIONED = {
    "keras": ("keras", "tensorflow", "tensorflow-cpu"),
    "keras@torch": ("keras", "torch"),
    "keras@jax": ("keras", "jax"),
    "torch": ("torch",),
    "jax": ("jax", "flax", "optax"),
}


@dataclass(frozen=True)
class Series:
    """The executions of one cell on one machine, oldest first.

    rows: indices into the history.
    """

    machine_id: str
    cell_id: str
    label: str
    framework: str
    rows: Rows


@dataclass(frozen=True)
class Point:
    """Runs of one series that follow each other with the same commit and versions.

    rows: those with a value; value: median over processes, in the metric's unit.
    """

    rows: Rows
    value: float
    started_at: datetime
    commit: str
    version: str


class History:
    """The executions of a store, oldest first, column by column.

    Args:
        table: with the columns of `read`.
    """

    def __init__(self, table: pa.Table, imported: Sequence[int] = ()) -> None:
        self._table = table
        # (n,) which rows were measured by other tools.
        self.imported = np.isin(np.arange(table.num_rows), imported)
        self._encoded: dict[str, tuple[Rows, list[Any]]] = {}

    def __len__(self) -> int:
        return self._table.num_rows

    @classmethod
    def read(cls, store: Store) -> History:
        """The history of a store, what was imported into it included.

        A damaged file is warned of and left out.
        """
        import pyarrow as pa

        from results.parquet.arrow import indices, integers
        from results.parquet.derived import EPOCH_SECONDS
        from results.store import Store

        columns = [*_COLUMNS, EPOCH_SECONDS]
        table = store.table(columns)
        other = Store(store.path / IMPORTED_DIRECTORY)
        if not other.path.is_dir():
            return cls(table)
        from_others = other.table(columns)
        if not table.num_rows:  # its columns have no values, and so no types of their own
            return cls(from_others, range(from_others.num_rows))
        both = pa.concat_tables([table, from_others]) if from_others.num_rows else table
        order = np.argsort(integers(both["started_at"]), kind="stable")
        return cls(both.take(indices(order)), np.flatnonzero(order >= table.num_rows).tolist())

    def codes(self, column: str) -> tuple[Rows, list[Any]]:
        """A column as indices (n,) into the list of its distinct values, None among them."""
        if column not in self._encoded:
            from results.parquet.arrow import codes

            self._encoded[column] = codes(self._table[column])
        return self._encoded[column]

    def value(self, column: str, row: int) -> Any:
        """One value of a column, None where there is none."""
        return self._table[column][int(row)].as_py()

    def values(self, column: str, rows: Iterable[int]) -> list[Any]:
        """Values of a column at some rows."""
        codes, distinct = self.codes(column)
        return [distinct[codes[int(row)]] for row in rows]

    def where(self, column: str, value: object) -> npt.NDArray[np.bool_]:
        """(n,) mask of the rows that have this value."""
        codes, distinct = self.codes(column)
        if value not in distinct:
            return np.zeros(len(self), dtype=np.bool_)
        return codes == distinct.index(value)

    @cached_property
    def started(self) -> Rows:
        """(n,) start of each execution, microseconds since 1970, UTC."""
        from results.parquet.arrow import integers

        return integers(self._table["started_at"])

    def time(self, row: int) -> datetime:
        """Start of an execution, UTC."""
        return datetime.fromtimestamp(int(self.started[row]) / 1e6, UTC)

    @cached_property
    def ok(self) -> npt.NDArray[np.bool_]:
        """(n,) mask of the executions that ended well."""
        return self.where("status", "ok")

    def epoch_seconds(self, row: int) -> npt.NDArray[np.float64]:
        """The seconds of the timed epochs of a run, in their order."""
        from results.parquet.record import EPOCHS

        epochs = self.value(EPOCHS, row) or []
        seconds = [epoch["epoch_seconds"] for epoch in epochs]
        return np.array([one for one in seconds if one is not None], dtype=np.float64)

    @cached_property
    def _epoch_seconds(self) -> npt.NDArray[np.float64]:
        from results.parquet.derived import median_and_count
        from results.parquet.record import EPOCHS

        return median_and_count(self._table[EPOCHS])[0]

    def metric(self, metric: Metric) -> npt.NDArray[np.float64]:
        """(n,) the metric in its unit; NaN for what was not measured, failed, or a control."""
        from results.parquet.arrow import floats

        if metric.name in _STORED:
            found = floats(self._table[_STORED[metric.name]])
        elif metric.name == "images-per-second":
            with np.errstate(divide="ignore", invalid="ignore"):
                found = floats(self._table["train_images"]) / self._epoch_seconds
        else:
            found = self._epoch_seconds
        of_other_tools = self.imported == (metric.name in IMPORTED)
        # A control is the second of an A/A pair: a block has one run of a cell.
        wanted = self.ok & of_other_tools & ~self.where("control", True)
        return np.where(wanted, found * metric.scale, np.nan)

    def version(self, row: int) -> str:
        """The framework's versions in a row, as in `keras 3.15.1, tensorflow-cpu 2.21.0`."""
        codes, _ = self.codes("versions")
        versions = self._parsed_versions[int(codes[row])]
        framework = without_version(self.value("framework", row) or "")
        wanted = _VERSIONED.get(framework, (framework,))
        return ", ".join(f"{name} {versions[name]}" for name in wanted if name in versions)

    def versions(self, row: int) -> dict[str, str]:
        """All recorded versions of a row."""
        return self._parsed_versions[int(self.codes("versions")[0][row])]

    @cached_property
    def _parsed_versions(self) -> list[dict[str, str]]:
        return [json.loads(text) if text else {} for text in self.codes("versions")[1]]

    def series(self, rows: Rows | None = None) -> list[Series]:
        """The series of these rows (of all by default), by framework and network."""
        if rows is None:
            rows = np.arange(len(self))
        machines, machine_names = self.codes("machine_id")
        cells, cell_names = self.codes("cell_id")
        keys = machines[rows] * max(len(cell_names), 1) + cells[rows]
        order = np.argsort(keys, kind="stable")
        bounds = np.flatnonzero(np.diff(keys[order])) + 1
        found = []
        for group in np.split(rows[order], bounds):
            if group.size:
                found.append(
                    Series(
                        str(machine_names[machines[group[0]]]),
                        str(cell_names[cells[group[0]]]),
                        self.label(int(group[-1])),
                        str(self.values("framework", group[:1])[0]),
                        group,
                    )
                )
        uses = Counter((one.label, one.machine_id) for one in found)
        told_apart = [  # what differs is in no column, as the learning rate: show the hash
            replace(one, label=f"{one.label} [{one.cell_id[:8]}]")
            if uses[one.label, one.machine_id] > 1
            else one
            for one in found
        ]
        return sorted(told_apart, key=lambda one: (one.label, one.machine_id, one.cell_id))

    def label(self, row: int) -> str:
        """The run in few words: framework, network, data, and every setting that is not usual."""
        usual = {
            "labels": (None, "native"),
            "channels": (None, "rgb"),
            "parity": (None, "matched"),
            "tuning": (None, "idiomatic"),
            "precision": (None, "float32"),
            "device": (None, "cpu"),
            "augmentation": (None, USUAL["augmentation"]),
            "experiment": (None,),
        }
        words = [self.value(name, row) for name in ("framework", "architecture", "dataset")]
        for name, known in usual.items():
            value = self.value(name, row)
            words.append(value if value not in known else None)
        batch, threads = self.value("batch_size", row), self.value("threads", row)
        words += [
            f"batch {batch}" if batch else None,
            count(threads, "thread") if threads else None,
        ]
        fraction = self.value("fraction", row)
        words.append(f"fraction {fraction:g}" if fraction not in (None, 1.0) else None)
        return " ".join(str(word) for word in words if word)

    def points(self, series: Series, values: npt.NDArray[np.float64]) -> list[Point]:
        """The points of a series, oldest first: one for each stretch of one commit and versions.

        Args:
            values: (n,) of `metric`; rows without a value are left out.
        """
        rows = series.rows[~np.isnan(values[series.rows])]
        if not rows.size:
            return []
        commits, names = self.codes("commit")
        dirty, _ = self.codes("dirty")
        versions, _texts = self.codes("versions")
        key = np.stack([commits[rows], dirty[rows], versions[rows]])
        bounds = np.flatnonzero((np.diff(key, axis=1) != 0).any(axis=0)) + 1
        starts = np.concatenate([[0], bounds])
        medians = _medians(values[rows], starts)
        return [
            Point(
                group,
                float(median),
                self.time(int(group[0])),
                _commit(names[commits[group[0]]], bool(self.value("dirty", int(group[0])))),
                self.version(int(group[0])),
            )
            for group, median in zip(np.split(rows, bounds), medians, strict=True)
        ]


def _medians(values: npt.NDArray[np.float64], starts: Rows) -> npt.NDArray[np.float64]:
    """(k,) the median of each stretch of the values, by one sort."""
    ends = np.append(starts[1:], values.size)
    stretch = np.repeat(np.arange(starts.size), ends - starts)
    ordered = values[np.lexsort((values, stretch))]
    counts = ends - starts
    return (ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]) / 2


def _commit(commit: str | None, dirty: bool) -> str:
    return f"{commit[:10]}{'+' if dirty else ''}" if commit else "-"


def changes(history: History, before: int, after: int) -> list[str]:
    """Differences between two executions of a series, in words: commit, changed files, versions."""
    found = []
    commits = [
        _commit(history.value("commit", row), bool(history.value("dirty", row)))
        for row in (before, after)
    ]
    if commits[0] != commits[1]:
        found.append(f"commit {commits[0]} -> {commits[1]}")
    first, second = history.versions(before), history.versions(after)
    for name in sorted({*first, *second}):
        if first.get(name) != second.get(name):
            found.append(f"{name} {first.get(name, 'none')} -> {second.get(name, 'none')}")
    return found


def latest_session(history: History, rows: Sequence[int] | Rows | None = None) -> Rows:
    """The rows of the session that began last (of these rows; of all by default)."""
    wanted = np.arange(len(history)) if rows is None else np.asarray(rows, dtype=np.int64)
    if not wanted.size:
        return wanted
    codes, _ = history.codes("session_id")
    return wanted[codes[wanted] == codes[wanted[-1]]]
