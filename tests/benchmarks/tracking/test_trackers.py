"""Curves in the files of experiment trackers, read back with the trackers' own packages."""

import struct
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.track import main
from results.store import Store
from tests.helpers.tracking_store import add_session

BLOCK = 32 * 1024


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    store = Store("runs")
    add_session(store, "monday", [1.0], framework="jax", architecture="c2")
    return store


def expected(history: Store) -> dict[tuple[str, int], float]:
    """Accuracy by split and epoch, of the one run."""
    epochs = history.epochs()
    assert epochs["execution_id"].nunique() == 1
    return {
        (f"accuracy/{row['split']}", row["epoch"]): row["accuracy"]
        for row in epochs.to_dict("records")
        if row["accuracy"] == row["accuracy"]
    }


@pytest.mark.parametrize(
    ("form", "package"), [("mlflow", "mlflow-skinny"), ("wandb", "wandb"), ("tensorboard",) * 2]
)
@pytest.mark.usefixtures("history")
def test_a_tracker_that_is_not_installed_is_one_message(form, package, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, form, None)
    assert main(["export", "--format", form, "--output", "out"]) == 2
    assert f"pip install -c constraints.txt {package}" in capsys.readouterr().err


@pytest.mark.usefixtures("history")
def test_a_tracker_needs_a_directory(capsys) -> None:
    assert main(["export", "--format", "mlflow"]) == 2
    assert "name it with --output" in capsys.readouterr().err


def test_mlflow_reads_what_was_written_and_twice_is_once(history: Store, capsys) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mlflow")
    assert main(["export", "--format", "mlflow", "--output", "ml"]) == 0
    assert "1 run" in capsys.readouterr().err
    assert main(["export", "--format", "mlflow", "--output", "ml"]) == 0
    assert "0 runs" in capsys.readouterr().err
    from mlflow.tracking import MlflowClient

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = MlflowClient(tracking_uri=Path("ml").resolve().as_uri())
        experiment = client.get_experiment_by_name("galaxy-training-benchmark")
        (run,) = client.search_runs([experiment.experiment_id])
        found = {
            (name, one.step): one.value
            for name in ("accuracy/train", "accuracy/validation")
            for one in client.get_metric_history(run.info.run_id, name)
        }
    assert found == pytest.approx(expected(history))
    assert run.data.params["framework"] == "jax"
    assert run.data.params["architecture"] == "c2"
    assert run.info.status == "FINISHED"
    stored = history.runs().iloc[0]
    assert run.data.metrics["test_accuracy"] == pytest.approx(stored["test_accuracy"])


def records(content: bytes) -> Iterator[bytes]:
    """The records of a `.wandb` file: LevelDB's log format (doc/log_format.md there) after seven
    bytes of its own."""
    assert content[:4] == b":W&B"
    place, parts = 7, b""
    while place + 7 <= len(content):
        if (left := BLOCK - place % BLOCK) < 7:  # a block ends in zeros
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def test_weights_and_biases_reads_what_was_written(history: Store, capsys) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("wandb")
        from wandb.proto.wandb_internal_pb2 import Record
    assert main(["export", "--format", "wandb", "--output", "wb"]) == 0
    assert "1 run" in capsys.readouterr().err
    (file,) = Path("wb").rglob("run-*.wandb")
    assert "offline-run-" in str(file)
    found: dict[tuple[str, int], float] = {}
    settings = {}
    for data in records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            items = {(one.key or "/".join(one.nested_key)): one for one in record.history.item}
            for key, one in items.items():
                if key.startswith("accuracy/"):
                    found[key, record.history.step.num] = float(one.value_json)
        if record.HasField("run"):
            settings |= {one.key: one.value_json for one in record.run.config.update}
    assert found == pytest.approx(expected(history))
    assert settings["framework"] == '"jax"'
