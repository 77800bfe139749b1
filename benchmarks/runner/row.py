"""A finished run as rows of the results tables."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Protocol

import msgspec
import numpy as np

from benchmarks.config.plan import PlannedRun
from benchmarks.limits.found import Limits
from benchmarks.process.launch import Outcome
from benchmarks.runner.context import Session
from frameworks.spec.losses import name_of
from frameworks.spec.roofline import least_seconds
from results.schema import NETWORK_CHECK
from results.studies.reported import IN_EXTRA


class Classes(Protocol):
    """Facts on the galaxies that a row stores besides the run's configuration."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, by label."""

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Galaxies of each class."""

    @property
    def left_out(self) -> str:
        """Galaxies that their conversion left out, in words, or ""."""


def run_row(
    run: PlannedRun,
    outcome: Outcome,
    *,
    session: Session,
    galaxies: Classes,
    execution_id: str,
    started_at: datetime,
) -> dict[str, Any]:
    """The row of `runs` (see results/schema.py): what was asked for, and what came out."""
    config = run.config
    row = {
        **outcome.facts,  # first: what the harness knows is not for a worker to say
        "run_id": run.run_id,
        "cell_id": run.cell_id,
        "task_id": run.task_id,
        "execution_id": execution_id,
        "session_id": session.session_id,
        "started_at": started_at,
        "node": session.node or None,
        "engine": session.engine,
        "job_id": session.job_id,
        "block": run.block or None,
        "experiment": run.part_of.name if run.part_of else None,
        "scale": run.part_of.scale if run.part_of else None,
        "framework": config.framework,
        "architecture": config.architecture.name,
        "architecture_hash": run.architecture_hash,
        "dataset": config.data.dataset,
        "dataset_sha256": config.data.sha256,
        "labels": config.data.labels,
        "channels": config.data.channels,
        "image_height": config.data.height,
        "image_width": config.data.width,
        "image_channels": config.data.image_channels,
        "classes": config.data.classes,
        "class_names": list(galaxies.class_names),
        "fraction": config.data.fraction,
        "augmentation": config.data.augmentation,
        "split_by": config.split.by,
        "test_copies": config.split.test_copies,
        "seed": config.seed,
        "repeat": config.repeat,
        "control": config.control,
        "parity": config.parity,
        "tuning": config.tuning,
        "precision": config.precision,
        "device": config.device,
        "threads": config.threads,
        "replicas": config.replicas,
        "side_by_side": config.side_by_side,
        "status": outcome.status,
        "reason": outcome.reason,
        "parameters": run.network.parameters(),
        "train_images": run.images_per_epoch,
        "validation_images": run.sizes.validation,
        "test_images": run.sizes.test,
        "class_counts": list(galaxies.class_counts),
        "epochs": config.recipe.epochs,
        "batch_size": config.recipe.batch_size,
        "optimizer": str(config.recipe.optimizer.__struct_config__.tag),
        "learning_rate": config.recipe.optimizer.rate,
        "loss": name_of(config.recipe.loss),
        "outputs": run.network.classes,
        "recipe": msgspec.to_builtins(config.recipe),
        "config": msgspec.to_builtins(config),
        "wall_seconds": outcome.wall_seconds,
        "flops_per_image": float(run.network.flops(training=True)),
        "machine": dict(session.machine),
        "machine_id": session.machine_id,
        "commit": session.commit,
        "dirty": session.dirty,
        "log": outcome.log,
        **limit_columns(run, session.limits.get(config.device)),
        **best_epochs(outcome.epochs),
    }
    row["extra"] = {**outcome.facts.get("extra", {}), **opening(run, session)}
    if galaxies.left_out:
        row["extra"]["galaxies_left_out"] = galaxies.left_out
    if (checked := session.parity.of(config)) is not None:
        row["parity_checked"] = checked.passed
    if config.device == "cpu":  # frameworks say no more than "cpu"
        row["device_name"] = session.machine.get("cpu")
    return row


def limit_columns(run: PlannedRun, limits: Limits | None) -> dict[str, Any]:
    """The machine's limits for this run, and what a training step takes at least by them."""
    config = run.config
    if limits is None:
        return {}
    peak, bandwidth = limits.peak(config.precision), limits.bandwidth
    if peak is None or bandwidth is None:
        return {}
    return {
        "peak_flops_per_second": peak,
        "bandwidth_bytes_per_second": bandwidth,
        "roofline_seconds": least_seconds(
            run.network,
            config.recipe.batch_size,
            config.recipe.optimizer,
            config.precision,
            flops_per_second=peak,
            bytes_per_second=bandwidth,
        ),
    }


def opening(run: PlannedRun, session: Session) -> dict[str, Any]:
    """Results of the session's checks that belong to this run, for the column `extra`.

    They are its experiment, the machine's limits, and its parity checks; each where there is one.
    """
    found: dict[str, Any] = {}
    if run.part_of:
        found[IN_EXTRA] = dict(run.part_of.declared)
    limits = session.limits.get(run.config.device)
    if limits is not None:
        found["limits"] = limits.summary(run.config.precision)
    if (known := session.networks.of(run.config)) is not None:
        found[NETWORK_CHECK] = known
    checked = session.parity.of(run.config)
    if checked is not None and checked.failures:
        found["parity_failures"] = list(checked.failures)
    return found


def best_epochs(epochs: list[dict[str, Any]]) -> dict[str, Any]:
    """Best validation accuracy, its epoch, and the epoch of the lowest validation loss.

    Of epochs from 1 on; the first of equals. Empty when there is none.
    """
    rows = [
        row
        for row in epochs
        if row["split"] == "validation" and row["epoch"] >= 1 and math.isfinite(row["loss"])
    ]
    if not rows:
        return {}
    best = max(rows, key=lambda row: row["accuracy"])
    return {
        "best_validation_accuracy": best["accuracy"],
        "best_validation_epoch": best["epoch"],
        "lowest_validation_loss_epoch": min(rows, key=lambda row: row["loss"])["epoch"],
    }


def prediction_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """The rows of `predictions`; none when the run did not come to them."""
    if outcome.predictions is None:
        return []
    with outcome.predictions.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        columns = {name: file[name] for name in ("index", "label", "predicted", "probabilities")}
        votes = file.get("votes")
    return [
        {
            "split": "test",
            "index": int(columns["index"][row]),
            "label": int(columns["label"][row]),
            "predicted": int(columns["predicted"][row]),
            "probabilities": columns["probabilities"][row],
            "votes": None if votes is None else votes[row],
        }
        for row in range(len(columns["index"]))
    ]
