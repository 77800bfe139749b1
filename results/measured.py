"""Our side of a reported figure: the value of each seed, from the frames of a store."""

from __future__ import annotations

import json
from collections.abc import Container

import numpy as np
import pandas as pd

from results.reported import Declared, Reported
from results.reproduction import Ours

_COLUMNS = {
    "test_accuracy": "test_accuracy",
    "test_loss": "test_loss",
    "best_validation_accuracy": "best_validation_accuracy",
    "best_validation_epoch": "best_validation_epoch",
    "lowest_validation_loss_epoch": "lowest_validation_loss_epoch",
    "parameters": "parameters",
    "epoch_seconds": "epoch_seconds_median",
}
# What a network's parameters depend on; how much it is trained, and on what, changes none.
_SHAPING = ("architectures", "image_size", "crop_size", "augmentation", "channels", "labels")
_IMAGES = {"test": "test_images", "train": "train_images", "validation": "validation_images"}


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
    refusals = changed_fields(declared, _SHAPING) if of_network else refused(runs, declared)
    ok = runs[runs["status"] == "ok"]
    by_execution, images = _values(reported, ok, epochs, predictions)
    seeds = ok.set_index("execution_id")["seed"]
    by_seed = by_execution.dropna().groupby(seeds.reindex(by_execution.dropna().index)).mean()
    return Ours(
        tuple(float(value) for value in by_seed),
        images,
        _deviation(ok) if reported.metric.endswith("loss") else None,
        refusals,
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
    for status in ("diverged", "oom", "timeout", "error", "skipped"):
        seeds = sorted(set(runs.loc[runs["status"] == status, "seed"].dropna()))
        if seeds:
            reasons.append(f"{status}: seed {', '.join(map(str, seeds))}")
    return tuple(reasons)


def changed_fields(declared: Declared, of: Container[str] | None = None) -> tuple[str, ...]:
    """The fields that options overrode, in words; only those in `of` where that is given."""
    return tuple(
        f"other {name.replace('_', ' ')} ({_short(now)}, not {_short(was)})"
        for name, (was, now) in declared.changed.items()
        if of is None or name in of
    )


def _values(
    reported: Reported, ok: pd.DataFrame, epochs: pd.DataFrame, predictions: pd.DataFrame
) -> tuple[pd.Series, int | None]:
    """By execution_id the value, and how many images it is a mean over."""
    metric = reported.metric
    part = metric.split("_")[0]
    if metric == "recall":
        return _recall(reported, ok, predictions)
    if metric in _COLUMNS:
        values = ok.set_index("execution_id")[_COLUMNS[metric]].astype("float64")
        if metric == "best_validation_accuracy":
            return values, _common(ok, "validation_images")
        return values, _common(ok, _IMAGES[part]) if part == "test" else None
    if metric == "lowest_validation_loss":
        rows = _curve(epochs, ok, "validation", "loss")
        return rows.groupby("execution_id")["loss"].min(), _common(ok, "validation_images")
    measure = metric.removeprefix(f"{part}_")
    rows = _curve(epochs, ok, part, measure)
    if reported.epoch is not None:
        rows = rows[rows["epoch"] == reported.epoch]
    last = rows.sort_values("epoch").drop_duplicates("execution_id", keep="last")
    return last.set_index("execution_id")[measure], _common(ok, _IMAGES[part])


def _curve(epochs: pd.DataFrame, ok: pd.DataFrame, split: str, measure: str) -> pd.DataFrame:
    """The rows of these runs' training from epoch 1 on that have a value."""
    if epochs.empty:
        return pd.DataFrame({"execution_id": [], "epoch": [], measure: []})
    mine = epochs["execution_id"].isin(ok["execution_id"]) & (epochs["split"] == split)
    return epochs[mine & (epochs["epoch"] >= 1)].dropna(subset=[measure])


def _recall(
    reported: Reported, ok: pd.DataFrame, predictions: pd.DataFrame
) -> tuple[pd.Series, int | None]:
    if predictions.empty:
        return pd.Series(dtype="float64"), None
    mine = predictions["execution_id"].isin(ok["execution_id"]) & (predictions["split"] == "test")
    rows = predictions[mine & (predictions["label"] == reported.label)]
    right = (rows["predicted"] == rows["label"]).groupby(rows["execution_id"])
    sizes = right.size()
    return right.mean(), int(sizes.min()) if len(sizes) else None


def _common(ok: pd.DataFrame, column: str) -> int | None:
    """The number of images of these runs, which share a split; the least if they do not."""
    found = ok[column].dropna()
    return int(found.min()) if len(found) and found.min() > 0 else None


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
