"""Curves of stored runs as Weights & Biases' offline files, which `wandb sync` sends.

Weights & Biases writes them itself, with its service on this machine; nothing is sent.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.tracking.exchange.curves import Curves, not_installed
from results.names import file_name

PROJECT = "galaxy-training-benchmark"


def export(found: Iterable[Curves], directory: Path) -> int:
    """Write a directory `wandb/offline-run-*` for each run; returns how many.

    A run has its execution's id, so that one sent twice is one there. The step is the epoch.

    Raises:
        ValueError: Weights & Biases is not installed, or its service does not start.
        OSError: the directory cannot be written.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import wandb
    except ImportError as error:
        raise not_installed("wandb", "wandb", error) from error
    quiet = wandb.Settings(
        silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True
    )
    try:
        return sum(_written(one, directory, quiet) for one in found)
    except wandb.errors.Error as error:
        raise ValueError(f"--format wandb: {' '.join(str(error).split())[:300]}") from error
    finally:
        wandb.teardown()  # the service ends, and with it what it still had to write


def _written(one: Curves, directory: Path, settings: Any) -> int:
    import wandb

    run = wandb.init(
        project=PROJECT,
        dir=str(directory),
        mode="offline",
        id=file_name(one.execution),
        name=f"{one.name}-{one.execution}",
        group=str(one.settings.get("cell_id", "")) or None,
        config=one.settings,
        reinit="create_new",
        settings=settings,
    )
    for number, elapsed, values in one.epochs:
        run.log({**values, "seconds": elapsed}, step=number)
    run.summary.update(one.results)
    run.finish(exit_code=0 if one.settings["status"] == "ok" else 1)
    return 1
