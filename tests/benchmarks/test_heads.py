"""Every kind of head from the command to the row, the predictions and the page."""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from benchmarks.run import main
from benchmarks.system import machine
from results.store import Store
from tests.helpers import fake_backend

ROWS = 60
NETWORK = 'layers = [{type = "flatten"}, {type = "dense", units = "classes"}]'
SOFTMAX = "docs.examples.softmax_numpy:Softmax"


@pytest.fixture
def voted(tmp_path, monkeypatch) -> Path:
    """A working directory with galaxies of two classes and four votes each, which the red channel
    tells, and the example of a framework, whose gradient is the reference's."""
    labels = np.arange(ROWS) % 2
    images = np.random.default_rng(0).integers(0, 60, (ROWS, 6, 6, 3)).astype(np.uint8)
    images[..., 0] += (150 * labels[:, None, None]).astype(np.uint8)
    directory = fake_backend.working_directory(tmp_path, monkeypatch, images, labels)
    (directory / "linear.toml").write_text(NETWORK)
    own = os.environ["PYTHONPATH"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(machine.ROOT), own]))
    shares = np.stack([labels, 1 - labels, 0.75 * labels, np.full(ROWS, 0.25)], axis=1)
    with h5py.File("galaxies.h5", "a") as file:
        file["votes"] = shares.astype(np.float32)
    return directory


def run(*options: str) -> int:
    usual = ["--dataset", "galaxies.h5", "--architectures", "linear.toml", "--batch-size", "16"]
    usual += ["--epochs", "6", "--threads", "1", "--frameworks", SOFTMAX, "--learning-rate", "0.01"]
    return main([*usual, *options])


@pytest.mark.parametrize(
    ("loss", "outputs", "scores"),
    [
        ("cross_entropy,label_smoothing=0.1", 2, {"test_cross_entropy"}),
        ("binary_cross_entropy", 1, {"test_cross_entropy", "test_auc"}),
        ("binary_cross_entropy,targets=one_hot", 2, {"test_cross_entropy", "test_auc"}),
        (
            "binary_cross_entropy,targets=votes",
            4,
            {"test_cross_entropy", "test_auc", "test_rmse"},
        ),
        ("mean_squared_error,outputs=sigmoid", 4, {"test_rmse"}),
        ("cross_entropy,targets=votes", 4, {"test_cross_entropy", "test_rmse"}),
    ],
)
def test_a_head_is_trained_tested_and_stored(
    voted: Path, capsys: Any, loss: str, outputs: int, scores: set[str]
) -> None:
    assert run("--loss", loss, "--report", "page") == 0
    (row,) = Store("runs").runs().to_dict("records")
    assert (row["status"], row["self_checked"]) == ("ok", True)
    assert (row["loss"], row["outputs"], row["classes"]) == (loss.split(",")[0], outputs, 2)
    named = ("test_cross_entropy", "test_rmse", "test_auc")
    assert {name for name in named if row[name] == row[name] and row[name] is not None} == scores
    assert row["test_accuracy"] >= 0.7
    predictions = Store("runs").predictions()
    given = np.stack(predictions["probabilities"].tolist())
    with h5py.File("galaxies.h5") as file:
        labels, votes = file["ans"][()], file["votes"][()]
    index = predictions["index"].to_numpy()
    assert (predictions["label"] == labels[index]).all()
    if "test_rmse" in scores:
        np.testing.assert_array_equal(np.stack(predictions["votes"].tolist()), votes[index])
        wanted, right = votes[index], (given > 0.5) == (votes[index] > 0.5)
        if loss.startswith("cross_entropy"):  # one question
            wanted = wanted / wanted.sum(axis=1, keepdims=True)
            right = given.argmax(axis=1) == wanted.argmax(axis=1)
        assert row["test_rmse"] == pytest.approx(
            np.sqrt(np.square(given - wanted).mean()), rel=1e-5
        )
        assert row["test_accuracy"] == pytest.approx(right.mean())
        assert (predictions["predicted"] == -1).all()
    else:
        assert (given.argmax(axis=1) == predictions["predicted"]).all()
        accuracy = (predictions["predicted"] == predictions["label"]).mean()
        assert row["test_accuracy"] == pytest.approx(accuracy)
        assert predictions["votes"].isna().all()
    epochs = Store("runs").epochs()
    validated = epochs[epochs["split"] == "validation"]
    assert validated["rmse"].notna().all() == ("test_rmse" in scores)
    assert validated["auc"].notna().all() == ("test_auc" in scores)
    assert validated["loss"].iloc[-1] < validated["loss"].iloc[0]
    page = (voted / "page" / "index.html").read_text()
    assert "This section failed" not in page
    assert ("Which classes were confused" in page) == ("test_rmse" not in scores)
    assert ("most common class" in page) == ("test_rmse" not in scores)
    assert ("RMSE: root mean squared error" in page) == ("test_rmse" in scores)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--loss", "mse"), "--loss: unknown loss 'mse' ('mse' is mean_squared_error here)"),
        (("--loss", "mean_squared_error"), "needs galaxies with votes: a dataset 'votes'"),
        (("--loss", "binary_cross_entropy"), "needs labels of 2 classes, and these galaxies have"),
        (
            ("--loss", "cross_entropy,label_smoothing=2"),
            "label_smoothing is 2.0; must be in [0, 1)",
        ),
        (("--class-weight-mean", "weights"), "there are no class_weights"),
        (
            ("--loss", "mean_squared_error", "--class-weights", "balanced"),
            "field 'class_weights': are of classes, and the loss is of votes",
        ),
        (
            ("--loss", "mean_squared_error", "--keep-best", "validation_cross_entropy"),
            "mean_squared_error has none; use validation_loss",
        ),
    ],
)
def test_a_head_that_does_not_fit_is_one_message(work, capsys, options, message) -> None:
    """The galaxies have three classes and no votes."""
    assert run(*options, "--no-report") == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors


def test_votes_that_are_counts_are_refused_by_a_sigmoid(voted: Path, capsys: Any) -> None:
    with h5py.File("galaxies.h5", "a") as file:
        file["votes"][3, 1] = 12
    assert run("--loss", "binary_cross_entropy,targets=votes", "--no-report") == 2
    assert "'votes' of 1 of 60 galaxies cannot be trained towards: row 3, column 1 is 12" in (
        capsys.readouterr().err
    )


def test_a_framework_of_an_earlier_day_refuses_what_it_does_not_train(voted: Path) -> None:
    assert run("--loss", "binary_cross_entropy", "--frameworks", "fake", "--no-report") == 1
    (row,) = Store("runs").runs().to_dict("records")
    assert row["status"] == "error"
    assert "no loss but plain cross_entropy" in row["reason"]
