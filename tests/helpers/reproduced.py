"""Invented executions of an experiment, and what the page says of them."""

from __future__ import annotations

from typing import Any

import msgspec

from report.section import Table
from results.store import Store
from results.studies.reported import Declared, Reported, Sizes
from results.views.views import Frames
from tests.helpers.factory import synthetic_run

SHA = "a" * 64


METRICS = ("test_accuracy", "test_loss", "validation_accuracy", "lowest_validation_loss")


def declared_of(name: str = "unam", **fields: Any) -> Declared:
    reported = tuple(Reported(metric=metric, value=0.5, source="a notebook") for metric in METRICS)
    usual: dict[str, Any] = {
        "name": name,
        "title": f"Title of {name}",
        "source": "a notebook",
        "dataset": "galaxy10",
        "sha256": SHA,
        "sizes": Sizes(train=1393, validation=348, test=400),
        "reported": reported,
        "traps": {"leak": "Copies crossed the split."},
    }
    return Declared(**(usual | fields))


def run_of(
    framework: str = "keras",
    seed: int = 0,
    *,
    declared: Declared | None = None,
    split_seed: int = 0,
    **changes: Any,
) -> tuple[dict, list[dict], list[dict]]:
    """An invented execution of an experiment, as `Store.append` takes it."""
    declared = declared or declared_of()
    extra = {"experiment": msgspec.to_builtins(declared), "test_cross_entropy_deviation": 0.9}
    fields = {
        "dataset": "galaxy10",
        "dataset_sha256": SHA,
        "experiment": declared.name,
        "scale": 1.0,
        "extra": extra,
    } | changes
    run, epochs, predictions = synthetic_run(framework, "unam", seed, epochs=4, **fields)
    run["config"] |= {"split": {"seed": split_seed}}
    if split_seed:
        run["split_hash"] = f"split {split_seed}" if run["status"] == "ok" else None
    for column in ("run_id", "cell_id", "execution_id"):
        mark = f"{declared.name}{fields['scale']:g}{fields['dataset_sha256'][:2]}{split_seed}"
        mark += run["parity"] + run["precision"]
        run[column] = f"{run[column]}-{mark}-{len(declared.changed)}"
    return run, epochs, predictions


def frames_of(tmp_path, *executions) -> Frames:
    store = Store(tmp_path / "runs")
    for execution in executions:
        store.append(*execution)
    return Frames.load(store)


def three(**fields: Any) -> list:
    return [run_of("keras", seed, **fields) for seed in range(3)]


def tables(section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]
