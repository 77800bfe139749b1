"""Our side of a reported figure: the value of each seed, from the frames of a store."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable

import numpy as np
import pandas as pd

from results.studies import galaxies
from results.studies.reported import Declared, Reported, part_of
from results.studies.reproduction import Ours

_COLUMNS = {
    "test_accuracy": "test_accuracy",
    "test_loss": "test_loss",
    "best_validation_accuracy": "best_validation_accuracy",
    "best_validation_epoch": "best_validation_epoch",
    "lowest_validation_loss_epoch": "lowest_validation_loss_epoch",
    "parameters": "parameters",
    "epoch_seconds": "epoch_seconds_median",
}
# Fields that say how much a network is trained, or on what: none of its parameters depends on them.
_OF_TRAINING = frozenset(
    {
        *("epochs", "batch_size", "optimizer", "class_weights"),
        *("early_stopping", "reduce_on_plateau", "keep_best"),
        *("image_key", "label_key", "demo_images", "fraction"),
        *("split_by", "test_copies", "test_fraction", "validation_fraction", "fold"),
    }
)
# A published run is one in float32; what rounds more coarsely may end elsewhere.
_COARSE = ("tf32", "float16", "bfloat16")


def measured(
    reported: Reported,
    runs: pd.DataFrame,
    epochs: pd.DataFrame,
    predictions: pd.DataFrame,
    declared: Declared,
) -> Ours:
    """The values of our runs for one reported figure, several processes of a seed averaged.

    Args:
        runs: executions of one configuration in one framework, whatever their status.
        epochs, predictions: rows of the store's frames; those of other runs are left out.
        declared: the experiment that they are runs of.
    """
    of_network = reported.metric == "parameters"
    refusals = changed_fields(declared, but=_OF_TRAINING) if of_network else refused(runs, declared)
    ok = runs[runs["status"] == "ok"]
    by_execution = _values(reported, ok, epochs, predictions)
    seeds = ok.set_index("execution_id")["seed"]
    by_seed = by_execution.dropna().groupby(seeds.reindex(by_execution.dropna().index)).mean()
    distinct, images = _behind(reported, ok, predictions)
    return Ours(
        tuple(float(value) for value in by_seed),
        distinct,
        _deviation(ok) if reported.metric.endswith("loss") else None,
        refusals,
        copies=images / distinct if images and distinct else 1.0,
        epochs=int(ok["epochs"].max()) if ok["epochs"].notna().any() else None,
    )


def refused(runs: pd.DataFrame, declared: Declared) -> tuple[str, ...]:
    """Why these runs are not the experiment as it was published; empty when they are."""
    first = runs.iloc[0]
    reasons = []
    if not pd.isna(first["scale"]) and first["scale"] != 1:
        reasons.append(f"scaled to {first['scale']:g}")
    if declared.sha256 is not None and first["dataset_sha256"] != declared.sha256:
        reasons.append(f"other galaxies ({first['dataset']}, not {declared.dataset})")
    reasons += changed_fields(declared)
    if first["precision"] in _COARSE and first["precision"] not in declared.precision:
        reasons.append(f"computed in {first['precision']}, not {' or '.join(declared.precision)}")
    for status in ("diverged", "oom", "timeout", "error", "skipped", "lost"):
        seeds = sorted(set(runs.loc[runs["status"] == status, "seed"].dropna()))
        if seeds:
            reasons.append(f"{status}: seed {', '.join(map(str, seeds))}")
    return tuple(reasons)


def changed_fields(declared: Declared, but: Container[str] = ()) -> tuple[str, ...]:
    """The fields that options overrode, in words, without those in `but`."""
    return tuple(
        f"other {name.replace('_', ' ')} ({_short(now)}, not {_short(was)})"
        for name, (was, now) in declared.changed.items()
        if name not in but
    )


def _values(
    reported: Reported, ok: pd.DataFrame, epochs: pd.DataFrame, predictions: pd.DataFrame
) -> pd.Series:
    """The value of each run by execution_id."""
    metric = reported.metric
    if metric == "recall":
        rows = _tested(reported, ok, predictions)
        if rows.empty:
            return pd.Series(dtype="float64")
        return (rows["predicted"] == rows["label"]).groupby(rows["execution_id"]).mean()
    if metric in _COLUMNS:
        return ok.set_index("execution_id")[_COLUMNS[metric]].astype("float64")
    if metric == "lowest_validation_loss":
        rows = _curve(epochs, ok, "validation", "loss")
        return rows.groupby("execution_id")["loss"].min()
    part = metric.split("_")[0]
    measure = metric.removeprefix(f"{part}_")
    rows = _curve(epochs, ok, part, measure)
    if reported.epoch is not None:
        rows = rows[rows["epoch"] == reported.epoch]
    last = rows.sort_values("epoch").drop_duplicates("execution_id", keep="last")
    return last.set_index("execution_id")[measure]


def _behind(
    reported: Reported, ok: pd.DataFrame, predictions: pd.DataFrame
) -> tuple[int | None, int | None]:
    """Distinct galaxies and images that the figure is a mean over, None where it is none.

    The runs share a split; the least if they do not.
    """
    part = part_of(reported.metric)
    if part is None or ok.empty:
        return None, None
    if part == "test":
        rows = _tested(reported, ok, predictions)
        if not rows.empty:
            images = rows.groupby("execution_id").size()
            return int(galaxies.distinct(rows).min()), int(images.min())
        if reported.metric == "recall":
            return None, None
    of_each = [galaxies.of_part(run, part) for _, run in ok.iterrows()]
    return _least(of_each), _least(ok[f"{part}_images"])


def _least(numbers: Iterable[float]) -> int | None:
    known = [number for number in numbers if number > 0]  # NaN is not
    return round(min(known)) if known else None


def _curve(epochs: pd.DataFrame, ok: pd.DataFrame, split: str, measure: str) -> pd.DataFrame:
    """The rows of these runs' training from epoch 1 on that have a value."""
    if epochs.empty:
        return pd.DataFrame({"execution_id": [], "epoch": [], measure: []})
    mine = epochs["execution_id"].isin(ok["execution_id"]) & (epochs["split"] == split)
    return epochs[mine & (epochs["epoch"] >= 1)].dropna(subset=[measure])


def _tested(reported: Reported, ok: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """The test predictions of these runs; of a recall those of its class."""
    if predictions.empty:
        return predictions
    mine = predictions["execution_id"].isin(ok["execution_id"]) & (predictions["split"] == "test")
    if reported.metric == "recall":
        mine &= predictions["label"] == reported.label
    return predictions[mine]


def _deviation(ok: pd.DataFrame) -> float | None:
    """The standard deviation of the test cross-entropy between images, averaged over the runs."""
    found = [
        json.loads(extra).get("test_cross_entropy_deviation")
        for extra in ok["extra"].dropna()
        if isinstance(extra, str)
    ]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def _short(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(str(item).rpartition("/")[2] for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item is not None)
    return str(value)
