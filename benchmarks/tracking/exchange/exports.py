"""The history in the formats of other people's tools."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.tracking.exchange import curves
from benchmarks.tracking.history import History, Rows, Series
from benchmarks.tracking.metrics import Metric
from results.names import beneath
from results.output import say
from results.stats.intervals import Interval, median_of_medians
from results.words import count
from results.writer import write

if TYPE_CHECKING:
    from results.store import Store

TRACKERS = ("tensorboard", "mlflow", "wandb")  # a module each, beside this one


@dataclass(frozen=True)
class Value:
    """One cell's value of one metric: the median over `rows`, with its interval or range."""

    series: Series
    metric: Metric
    interval: Interval
    rows: Rows

    @property
    def name(self) -> str:
        """Unique and the same from run to run: what was run, and the cell's hash."""
        cell = f" [{self.series.cell_id[:8]}]"
        return f"{self.series.label.removesuffix(cell)}{cell}"


def export(
    form: str,
    history: History,
    rows: Rows,
    metrics: Sequence[Metric],
    store: Store,
    output: Path | None,
) -> str:
    """Write a selection in a format; returns what was written, in words.

    Args:
        form: `github` (github-action-benchmark), `bencher` (Bencher Metric Format), `asv`
            (a results directory of airspeed velocity), or one of `TRACKERS` (the curves).
        output: a file, or for asv and the trackers a directory; None is standard output.

    Raises:
        ValueError: nothing to export, a format that needs a directory, metrics of both directions
            for a format that knows one per file, a tracker not installed.
        OSError: the output cannot be written.
    """
    if form in TRACKERS:
        directory = curves.directory_for(output, form)
        tracker = importlib.import_module(f"benchmarks.tracking.exchange.{form}")
        written = tracker.export(curves.of_selection(history, rows, store), directory)
        return count(written, "run")
    values = list(_values(history, rows, metrics))
    if not values:
        raise ValueError("no finished run of the selection has the metric asked for")
    if form == "asv":
        return count(asv(history, values, curves.directory_for(output, form)), "file")
    content = github(values) if form == "github" else bencher(values)
    text = json.dumps(content, indent=1) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)
    if form == "github":
        tool = "customBiggerIsBetter" if metrics[0].larger_is_better else "customSmallerIsBetter"
        say(f"for github-action-benchmark with tool: {tool}", error=True)
    return count(len(values), "value")


def github(values: Sequence[Value]) -> list[dict[str, Any]]:
    """github-action-benchmark's custom format: name, unit, value, range and extra.

    Raises:
        ValueError: metrics of both directions; the tool is told one for the file.
    """
    if len({value.metric.larger_is_better for value in values}) > 1:
        raise ValueError(
            "github-action-benchmark takes one direction per file: export metrics of which larger "
            "is better (images-per-second, accuracy) apart from the others, with --metric"
        )
    return [
        {
            "name": f"{value.name}: {value.metric.title}",
            "unit": value.metric.unit or "share",
            "value": value.interval.value,
            **({"range": value.interval.words(".6g")} if value.interval.name else {}),
            "extra": f"machine {value.series.machine_id}\nprocesses {len(value.rows)}",
        }
        for value in values
    ]


def bencher(values: Sequence[Value]) -> dict[str, dict[str, dict[str, float]]]:
    """Bencher Metric Format: benchmark, measure, value with its bounds."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for value in values:
        measure = {"value": value.interval.value}
        if value.interval.name:
            measure |= {"lower_value": value.interval.low, "upper_value": value.interval.high}
        found.setdefault(value.name, {})[value.metric.name] = measure
    return found


def asv(history: History, values: Sequence[Value], directory: Path) -> int:
    """A results directory as airspeed velocity keeps it; returns the number of files.

    machine.json and a result file for each machine, commit and version (asv's result format 2),
    and benchmarks.json. Values are medians, with the samples of the processes.
    """
    files: dict[Path, dict[str, Any]] = {}
    benchmarks: dict[str, Any] = {"version": 2}
    for value in values:
        name = f"{_identifier(value.series.label)}_{value.series.cell_id[:8]}"
        key = f"{value.metric.name.replace('-', '_')}.{name}"
        kind = "time" if value.metric.unit == "s" else "track"
        benchmarks[key] = {
            "name": key,
            "pretty_name": f"{value.metric.title}: {value.series.label}",
            "type": kind,
            "unit": "seconds" if kind == "time" else value.metric.unit or "share",
            "params": [],
            "param_names": [],
            "version": value.series.cell_id,
            "code": "",
        }
        samples = history.metric(value.metric)
        for rows in _by_commit(history, value.rows):
            path, result = _asv_file(history, value.series, int(rows[0]), directory)
            result = files.setdefault(path, result)
            points = samples[rows]
            quarter, three = np.quantile(points, [0.25, 0.75]).tolist()
            started = int(history.started[rows[0]] // 1000)
            result["results"][key] = [
                [float(np.median(points))],
                [],
                value.series.cell_id,
                started,
                None,
                [None],
                [None],
                [quarter],
                [three],
                [1],
                [len(points)],
                [points.tolist()],
            ]
        machine = {"machine": value.series.machine_id, "version": 1}
        files[beneath(directory, value.series.machine_id) / "machine.json"] = machine
    files[directory / "benchmarks.json"] = benchmarks
    for path, content in files.items():
        _write(path, json.dumps(content, indent=1) + "\n")
    return len(files)


_ASV_COLUMNS = [
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples"),
]


def _asv_file(
    history: History, series: Series, row: int, directory: Path
) -> tuple[Path, dict[str, Any]]:
    commit = history.value("commit", row) or "unknown"
    versions = history.versions(row)
    environment = _identifier(f"{series.framework} {history.version(row)}")
    path = beneath(directory, series.machine_id, f"{commit[:8]}-{environment}", ending=".json")
    return path, {
        "commit_hash": commit,
        "env_name": environment,
        "date": int(history.started[row] // 1000),
        "params": {"machine": series.machine_id, "python": versions.get("python", "")},
        "python": versions.get("python", ""),
        "requirements": {name: text for name, text in versions.items() if name != "python"},
        "env_vars": {},
        "result_columns": _ASV_COLUMNS,
        "results": {},
        "durations": {},
        "version": 2,
    }


def _by_commit(history: History, rows: Rows) -> list[Rows]:
    """The rows by commit and versions."""
    commits, _ = history.codes("commit")
    versions, names = history.codes("versions")
    keys = commits[rows] * len(names) + versions[rows]
    return [rows[keys == key] for key in dict.fromkeys(keys.tolist())]


def _values(history: History, rows: Rows, metrics: Sequence[Metric]) -> Iterator[Value]:
    for metric in metrics:
        values = history.metric(metric)
        for series in history.series(rows):
            mine = series.rows[~np.isnan(values[series.rows])]
            if mine.size:
                interval = median_of_medians([[value] for value in values[mine]])
                yield Value(series, metric, interval, mine)


def _identifier(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", text).strip("_")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, text)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
