"""The rows of a store as the page carries them: columns, compressed, as text that is safe in HTML.

Each part is JSON, gzip, base64: base64 has no character that could end a script element. A column
is one constant (`c`), distinct values with an index for each row (`d`, `i`), or its values (`v`).
"""

import base64
import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from report import chart, command
from report.section import Picture
from results.schema import DERIVED_COLUMNS, RUN_COLUMNS
from results.stats.intervals import wilson
from results.studies import galaxies
from results.views.views import Frames

FACETS = (
    *("framework", "architecture", "tuning", "precision", "dataset", "labels", "parity"),
    *("device", "batch_size", "status"),
)
# What the command that repeats a run is made of.
_TOLD = (
    *("framework", "architecture", "experiment", "scale", "seed", "repeat", "dataset"),
    *("class_counts", "config", "commit"),
)
_MEGA = 2**20


def _field(name: str, label: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "label": label} | more


# In the order of the explorer's table. axis: the figure may have it; narrow: a phone shows it.
FIELDS = (
    _field("framework", "framework", listed=True, narrow=True),
    _field("architecture", "network", listed=True, narrow=True),
    _field(
        "test_accuracy",
        "test accuracy",
        listed=True,
        narrow=True,
        number=True,
        axis=True,
        low="accuracy_low",
        high="accuracy_high",
        why="95 %",
    ),
    _field("seed", "seed", listed=True, number=True, axis=True),
    _field(
        "epoch_seconds_median",
        "epoch, s",
        listed=True,
        narrow=True,
        number=True,
        axis=True,
        low="epoch_low",
        high="epoch_high",
        why="its fastest to slowest epoch",
    ),
    _field("test_cross_entropy", "cross-entropy", listed=True, number=True, axis=True),
    _field("test_rmse", "RMSE of votes", number=True, axis=True),
    _field("test_auc", "AUC", number=True, axis=True),
    _field("images_per_second", "images/s", listed=True, number=True, axis=True),
    _field("compile_seconds", "compile, s", listed=True, number=True, axis=True),
    _field("wall_seconds", "whole run, s", number=True, axis=True),
    _field("peak_memory_mib", "peak, MiB", listed=True, number=True, axis=True),
    _field("tuning", "tuning", listed=True),
    _field("precision", "precision", listed=True),
    _field("parity", "parity", listed=True),
    _field("dataset", "galaxies", listed=True),
    _field("labels", "labels"),
    _field("device", "device"),
    _field("batch_size", "batch", number=True, axis=True),
    _field("epochs_trained", "epochs", number=True, axis=True),
    _field("status", "status", listed=True),
    _field("reason", "reason"),
    _field("run_id", "run"),
)
_SHOWN = ("execution_id", *(field["name"] for field in FIELDS))


def parts(frames: Frames, pictures: Iterable[Picture], anchor: Any) -> dict[str, str]:
    """The page's data by name: runs, details, epochs and charts, each packed."""
    runs = every_run(frames)
    return {
        "runs": packed(_runs(runs, frames)),
        "details": packed(_details(runs)),
        "epochs": packed(_epochs(runs, frames.epochs)),
        "charts": packed({anchor(one.name): _chart(one.shown) for one in pictures}),
    }


def every_run(frames: Frames) -> pd.DataFrame:
    """The runs with the second runs of A/A pairs, by when they began."""
    both = [one for one in (frames.runs, frames.controls) if len(one)]
    if not both:
        return frames.runs
    return pd.concat(both).sort_values("started_at", kind="stable").reset_index(drop=True)


def packed(tree: Any) -> str:
    """JSON, gzip, base64."""
    content = json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    raw = content.encode("utf-8", "replace")
    return base64.b64encode(gzip.compress(raw, 6, mtime=0)).decode("ascii")


def unpacked(text: str) -> Any:
    """The value that `packed` was given."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def column(values: Sequence[Any]) -> dict[str, Any]:
    """A column in the shortest of its forms."""
    distinct: dict[Any, int] = {}
    index = [distinct.setdefault((type(value), value), len(distinct)) for value in values]
    known = [value for _, value in distinct]
    if len(known) == 1:
        return {"c": known[0]}
    if any(isinstance(value, str | bool) for value in known) or 2 * len(known) < len(values):
        return {"d": known, "i": index}
    return {"v": list(values)}


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): [_plain(value) for value in frame[name].tolist()] for name in frame}


def _plain(value: Any) -> Any:
    """A value as JSON has it; text for what it has not."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, tuple | list):
        return json.dumps([_plain(one) for one in value], ensure_ascii=False)
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return str(value)


def _runs(runs: pd.DataFrame, frames: Frames) -> dict[str, Any]:
    names = [name for name in _SHOWN if name in runs]
    columns = _columns(runs[names])
    memory = _columns(runs[["peak_memory_bytes"]])["peak_memory_bytes"]
    columns["peak_memory_mib"] = [None if v is None else round(v / _MEGA, 1) for v in memory]
    columns |= _intervals(runs, frames.epochs)
    told = runs[list(_TOLD)].astype(object)
    rows = [
        dict(zip(_TOLD, values, strict=True))
        for values in told.where(told.notna(), None).itertuples(index=False, name=None)
    ]
    columns["command"] = [command.command(row) for row in rows]
    columns["command_note"] = [command.remark(row) for row in rows]
    packed_columns = {name: column(values) for name, values in columns.items()}
    for name in FACETS:  # to filter by, whatever their type
        if name in columns and "d" not in packed_columns[name]:
            distinct = sorted(set(columns[name]), key=lambda one: (one is None, str(one)))
            place = {value: number for number, value in enumerate(distinct)}
            packed_columns[name] = {"d": distinct, "i": [place[value] for value in columns[name]]}
    return {
        "n": len(runs),
        "fields": list(FIELDS),
        "facets": list(FACETS),
        "columns": packed_columns,
        "looks": {
            name: {"name": look.name, "colour": look.colour, "marker": look.marker}
            for name, look in frames.looks.items()
        },
    }


def _intervals(runs: pd.DataFrame, epochs: pd.DataFrame) -> dict[str, list[Any]]:
    """Wilson's interval of each accuracy, and the range of each run's epochs."""
    needed = ["test_accuracy", "test_images", "train_images", "validation_images"]
    needed += ["augmentation", "split_by", "test_copies", "class_counts"]
    low: list[Any] = []
    high: list[Any] = []
    known: dict[tuple[Any, ...], tuple[Any, Any]] = {}
    for values in runs[needed].itertuples(index=False, name=None):
        if values not in known:
            known[values] = _wilson(dict(zip(needed, values, strict=True)))
        low.append(known[values][0])
        high.append(known[values][1])
    found = {"accuracy_low": low, "accuracy_high": high}
    if epochs.empty:
        return found
    ends = epochs.groupby("execution_id")["epoch_seconds"].agg(["min", "max"])
    ends = ends.reindex(runs["execution_id"].astype(object))
    found["epoch_low"] = [_plain(value) for value in ends["min"].tolist()]
    found["epoch_high"] = [_plain(value) for value in ends["max"].tolist()]
    return found


def _wilson(run: Mapping[str, Any]) -> tuple[Any, Any]:
    number = galaxies.of_part(run, "test")  # type: ignore[arg-type]
    if pd.isna(run["test_accuracy"]) or pd.isna(number) or number < 1:
        return None, None
    found = wilson(float(run["test_accuracy"]) * round(number), round(number))
    return _plain(found.low), _plain(found.high)


def _details(runs: pd.DataFrame) -> dict[str, Any]:
    """Every column with its meaning; those of the explorer's table are in the part `runs`."""
    known = [one for one in (*RUN_COLUMNS, *DERIVED_COLUMNS) if one.name in runs]
    own = runs[[one.name for one in known if one.name not in _SHOWN]]
    return {
        "meanings": [[one.name, one.meaning] for one in known],
        "columns": {name: column(values) for name, values in _columns(own).items()},
    }


def _epochs(runs: pd.DataFrame, epochs: pd.DataFrame) -> dict[str, Any]:
    """The curves, run after run: `starts[row]` is where those of a row begin."""
    if epochs.empty:
        return {"starts": [0] * (len(runs) + 1), "epoch": [], "split": []}
    place = {name: row for row, name in enumerate(runs["execution_id"])}
    rows = epochs["execution_id"].astype(object).map(place)
    mine = epochs[rows.notna()].assign(row=rows.dropna().astype("int64"))
    mine = mine.sort_values(["row", "split", "epoch"], kind="stable")
    counts = mine["row"].value_counts().reindex(range(len(runs)), fill_value=0)
    return {
        "starts": [0, *counts.cumsum().tolist()],
        "epoch": mine["epoch"].tolist(),
        "split": (mine["split"] != "train").astype(int).tolist(),
        "accuracy": _short(mine["accuracy"]),
        "loss": _short(mine["loss"]),
    }


def _short(values: pd.Series) -> list[float | None]:
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values.tolist()]


def _chart(shown: chart.Shown) -> Any:
    if isinstance(shown, chart.Chart):
        return {"panels": chart.as_json(shown)}
    if isinstance(shown, chart.Grids):
        return {
            "grids": [
                {
                    "title": grid.title,
                    "rows": list(grid.rows),
                    "columns": list(grid.columns),
                    "values": [list(line) for line in grid.counts],
                }
                for grid in shown.grids
            ]
        }
    return None
