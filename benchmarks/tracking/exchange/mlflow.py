"""Curves of stored runs as MLflow's own files, a run each, which `mlflow ui` reads.

MLflow writes them itself, into a directory: no server is asked.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.tracking.exchange.curves import Curves, not_installed

EXPERIMENT = "galaxy-training-benchmark"
_EXECUTION = "execution_id"
_MOST = 1000  # metrics of one batch: MLflow's own limit


def export(found: Iterable[Curves], directory: Path) -> int:
    """Write the runs that the directory does not have yet; returns how many.

    Metrics are `accuracy/train`, `loss/validation`, ... by epoch, and those of the whole run;
    parameters are what was run.

    Raises:
        ValueError: MLflow is not installed.
        OSError: the directory cannot be written.
    """
    # MLflow 3 advises a database in place of files, and asks who wants files to say so
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mlflow.entities import Metric, Param
            from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise not_installed("mlflow", "mlflow-skinny", error) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own making, on files and on old Pythons
        client = MlflowClient(tracking_uri=directory.resolve().as_uri())
        return _written(client, found, Metric, Param)


def _written(client: Any, found: Iterable[Curves], metric: Any, param: Any) -> int:
    known = client.get_experiment_by_name(EXPERIMENT)
    experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT)
    written = 0
    for one in found:
        if client.search_runs([experiment], f"tags.{_EXECUTION} = '{one.execution}'"):
            continue
        began, ended = round(1000 * one.began), round(1000 * one.ended)
        run = client.create_run(
            experiment,
            start_time=began,
            tags={_EXECUTION: one.execution},
            run_name=f"{one.name}-{one.execution}",
        ).info.run_id
        metrics = [
            metric(name, value, round(1000 * (one.began + elapsed)), number)
            for number, elapsed, values in one.epochs
            for name, value in values.items()
        ]
        metrics += [metric(name, value, ended, 0) for name, value in one.results.items()]
        params = [param(name, str(value)) for name, value in one.settings.items()]
        client.log_batch(run, params=params)
        for start in range(0, len(metrics), _MOST):
            client.log_batch(run, metrics=metrics[start : start + _MOST])
        client.set_terminated(
            run, "FINISHED" if one.settings["status"] == "ok" else "FAILED", ended
        )
        written += 1
    return written
