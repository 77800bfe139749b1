"""The curves of stored runs, as experiment trackers want them: settings, and values by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.tracking.history import History, Rows

if TYPE_CHECKING:
    from results.store import Store

_CURVES = ("loss", "cross_entropy", "accuracy", "epoch_seconds", "learning_rate")
_SETTINGS = (
    *("framework", "architecture", "dataset", "labels", "channels", "parity", "tuning"),
    *("precision", "device", "threads", "epochs", "batch_size", "seed", "repeat", "augmentation"),
    *("fraction", "experiment", "train_images", "machine_id", "commit", "run_id", "cell_id"),
    *("session_id", "status"),
)
_RESULTS = ("test_accuracy", "compile_seconds", "peak_memory_bytes")


@dataclass(frozen=True)
class Curves:
    """One execution.

    name: framework and architecture. began: seconds since 1970. settings: what was run, with what
    is known of it. results: of the whole run. epochs: of each, its number, the seconds since the
    start, and values by name: `accuracy/train`, `loss/validation`, ...
    """

    execution: str
    name: str
    began: float
    settings: dict[str, Any]
    results: dict[str, float]
    epochs: list[tuple[int, float, dict[str, float]]]

    @property
    def ended(self) -> float:
        """Seconds since 1970 at the end of the last epoch."""
        return self.began + (self.epochs[-1][1] if self.epochs else 0.0)


def of_selection(history: History, rows: Rows, store: Store) -> Iterator[Curves]:
    """The curves of these executions; those that have none are left out.

    Time grows by the seconds of the epochs trained.

    Raises:
        ValueError: no run of the selection has curves.
    """
    wanted = dict(zip(history.values("execution_id", rows), rows.tolist(), strict=True))
    epochs = store.epochs()
    epochs = epochs[epochs["execution_id"].isin(list(wanted))]
    if epochs.empty:
        raise ValueError("no run of the selection has curves")
    for execution, table in epochs.groupby("execution_id", sort=False):
        row = wanted[str(execution)]
        known = {name: history.value(name, row) for name in (*_SETTINGS, *_RESULTS)}
        known = {name: value for name, value in known.items() if value is not None}
        yield Curves(
            execution=str(execution),
            name=f"{known['framework']}-{known['architecture']}",
            began=history.time(row).timestamp(),
            settings={name: known[name] for name in _SETTINGS if name in known},
            results={name: float(known[name]) for name in _RESULTS if name in known},
            epochs=list(_epochs(table)),
        )


def _epochs(table: Any) -> Iterator[tuple[int, float, dict[str, float]]]:
    elapsed = 0.0
    for number, splits in table.sort_values(["epoch", "split"]).groupby("epoch"):
        values = {}
        for row in splits.to_dict("records"):
            elapsed += row["epoch_seconds"] if row["epoch_seconds"] == row["epoch_seconds"] else 0.0
            for name in _CURVES:
                if row[name] == row[name]:
                    values[f"{name}/{row['split']}"] = float(row[name])
        yield int(number), elapsed, values


def directory_for(path: Path | None, form: str) -> Path:
    """The directory to write to, created.

    Raises:
        ValueError: none was named.
        OSError: it cannot be created.
    """
    if path is None:
        raise ValueError(f"--format {form} writes a directory: name it with --output")
    path.mkdir(parents=True, exist_ok=True)
    return path


def not_installed(form: str, package: str, error: ImportError) -> ValueError:
    """Error for a tracker whose own package is missing; it names the command that installs it."""
    return ValueError(
        f"--format {form} needs {package} ({error}). Install with: "
        f"python -m pip install -c constraints.txt {package}"
    )
