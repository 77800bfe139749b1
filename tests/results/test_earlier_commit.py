"""What commit 23b7b0d stored is read: a store, a broken-off run's checkpoint, saved models."""

import shutil
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest

from benchmarks.config.matrix import matrix
from benchmarks.config.plan import SplitSizes
from benchmarks.config.runconfig import RunConfig
from benchmarks.config.suite import Suite
from benchmarks.models import find
from benchmarks.worker.checkpoint import Checkpoints
from frameworks.numpy.backend import NumpyReference
from frameworks.spec import weights as canonical
from results.store import Store
from results.views.views import Frames
from tests.conftest import ROOT
from tests.helpers import small_galaxies

KEPT = ROOT / "tests" / "data" / "23b7b0d"
RUNS, BROKEN = KEPT / "runs", KEPT / "broken"
FRAMEWORKS = ["keras", "torch", "jax"]


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(RUNS)


def test_its_runs_are_all_there_with_the_ids_that_they_have_now(store: Store) -> None:
    runs = store.runs()
    assert sorted(runs["framework"]) == sorted(2 * FRAMEWORKS)
    for _, run in runs.iterrows():
        config = msgspec.json.decode(run["config"], type=RunConfig)
        assert (config.run_id, config.cell_id) == (run["run_id"], run["cell_id"])
    (broken,) = Store(BROKEN).runs().to_dict("records")
    config = msgspec.json.decode(broken["config"], type=RunConfig)
    assert (config.run_id, broken["status"] == "ok") == (broken["run_id"], False)


def test_its_runs_are_of_the_task_that_the_same_run_has_today(store: Store) -> None:
    runs = store.runs()
    config = msgspec.json.decode(runs["config"].iloc[0], type=RunConfig)
    suite = Suite(
        architectures=(str(KEPT / "small.toml"),),
        epochs=config.recipe.epochs,
        batch_size=(config.recipe.batch_size,),
        seeds=(0, 1),
    )
    sizes = SplitSizes(train=58, validation=14, test=18)
    planned = matrix(suite, config.data, sizes, devices={}, threads=config.threads)
    assert {run.run_id for run in planned} == set(runs["run_id"])
    assert {run.task_id for run in planned} == set(runs["task_id"])
    assert store.runs(columns=["task_id"])["task_id"].tolist() == runs["task_id"].tolist()


def test_a_run_of_today_joins_its_panel(store: Store, tmp_path: Path) -> None:
    shutil.copytree(RUNS, tmp_path / "runs")
    both = Store(tmp_path / "runs")
    row = store.runs().iloc[0].to_dict()
    known = {name: value for name, value in row.items() if isinstance(value, str | int | float)}
    stored = {name: known[name] for name in ("cell_id", "framework", "config", "task_id")}
    names = ("architecture", "architecture_hash", "dataset", "parity", "machine_id", "device")
    stored |= {name: known[name] for name in names}
    both.append(stored | {"run_id": "new", "execution_id": "new", "seed": 7, "status": "ok"})
    (panel,) = Frames.load(both).views[0].panels
    assert sorted(panel.of(row["framework"])["seed"]) == [0, 1, 7]


def test_its_epochs_and_predictions_are_whole(store: Store) -> None:
    runs, epochs, predictions = store.runs(), store.epochs(), store.predictions()
    assert epochs.groupby("run_id").size().to_dict() == dict.fromkeys(runs["run_id"], 5)
    assert predictions.groupby("run_id").size().to_dict() == dict.fromkeys(runs["run_id"], 18)
    right = (predictions["predicted"] == predictions["label"]).groupby(predictions["run_id"])
    assert right.mean().to_dict() == runs.set_index("run_id")["test_accuracy"].to_dict()


def test_its_report_is_drawn(store: Store) -> None:
    from report import page
    from report.section import Note

    frames = Frames.load(store)
    sections = page.build(frames)
    assert {"results", "same", "learning", "provenance"} <= {one.key for one in sections}
    assert len(list(page.pictures(sections))) > 5
    (verdict,) = (
        block
        for one in sections
        if one.key == "same"
        for block in one.blocks
        if isinstance(block, Note)
    )
    assert verdict.text == (
        "small: parameter count, split, batch order, initial weights and dropout masks are equal "
        "in every framework that finished, for 2 seeds."
    )
    assert len(frames.views[0].panels) == 1


def test_its_models_predict_what_was_stored(store: Store, tmp_path: Path) -> None:
    """By the NumPy reference, of the same galaxies, made again."""
    small_galaxies.write(tmp_path)
    with h5py.File(tmp_path / "galaxies.h5") as file:
        pictures = file["images"][...]
    stored = dict(list(store.predictions().groupby("run_id")))
    found = find(RUNS / "models")
    assert sorted(model.about.run_id for model in found) == sorted(stored)
    for model in found:
        weights = model.weights()
        assert canonical.sha256(weights) == model.about.weights_sha256
        config = msgspec.structs.replace(model.about.config, precision="float64")
        reference = NumpyReference(model.network, config.recipe, config.runtime(), weights)
        rows = stored[model.about.run_id]
        exponents = np.exp(reference.predict(pictures[rows["index"]]))
        probabilities = exponents / exponents.sum(axis=1, keepdims=True)
        assert np.allclose(probabilities, np.stack(rows["probabilities"]), atol=1e-5)


def test_its_checkpoint_is_whole() -> None:
    (directory,) = (BROKEN / "checkpoints").iterdir()
    state, damage = Checkpoints(directory).read()
    assert damage == []
    assert state is not None
    config = msgspec.convert(state.facts["config"], RunConfig, strict=False)
    assert config.run_id == directory.name
    assert set(state.group("weights")) == set(canonical.initial(config.network(), 0))
