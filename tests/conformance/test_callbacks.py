"""Whole runs with class weights and callbacks: every framework decides as the reference does,
epoch by epoch."""

import msgspec
import numpy as np
import pandas as pd
import pytest

from benchmarks.fidelity.measure.__main__ import ORACLE as FIRST
from benchmarks.run import main
from results.store import Store
from tests.conformance.conftest import FRAMEWORKS as INSTALLED

# The float64 reference is one of them, so that a framework alone is not compared with itself.
FRAMEWORKS = [FIRST, *([name for name in INSTALLED if "@" not in name] or INSTALLED)]
EPOCHS = 20
NETWORK = """
layers = [
  {type = "conv", filters = 4, kernel = 3, stride = 2, activation = "relu"},
  {type = "flatten"},
  {type = "dropout", rate = 0.25},
  {type = "dense", units = "classes", l2 = 0.0078125},
]
"""
PLATEAU = ["--reduce-on-plateau", "patience=1,factor=0.5,min_delta=0.001953125"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows, epochs and predictions: all with everything, and the reference for as many epochs as
    the best one with nothing but the plateau, which is to end where the others were tested."""
    folder = tmp_path_factory.mktemp("callbacks")
    network = folder / "tiny.toml"
    network.write_text(NETWORK)
    store = folder / "runs"
    usual = ["--architectures", str(network), "--dataset", "demo", "--demo-images", "150"]
    usual += ["--image-size", "12", "--batch-size", "32", "--optimizer", "sgd,momentum=0.875"]
    usual += ["--learning-rate", "1.0", "--precision", "float64", "--threads", "1"]
    usual += ["--class-weights", "balanced", *PLATEAU, "--no-report", "--store", str(store)]
    stop = ["--early-stopping", "patience=4", "--keep-best", "validation_cross_entropy"]
    assert main([*usual, "--frameworks", *FRAMEWORKS, "--epochs", str(EPOCHS), *stop]) == 0
    best = Store(store).runs()["tested_epoch"].iloc[0]
    assert main([*usual, "--frameworks", FIRST, "--epochs", str(best)]) == 0
    made = Store(store)
    return made.runs(), made.epochs(), made.predictions()


@pytest.fixture(scope="module")
def stopped(runs) -> pd.DataFrame:
    """The runs that may stop, by framework."""
    rows, _, _ = runs
    return rows[rows["epochs"] == EPOCHS].set_index("framework")


def by_epoch(runs, row: pd.Series, split: str, column: str) -> list[float]:
    _, epochs, _ = runs
    mine = epochs[(epochs["execution_id"] == row["execution_id"]) & (epochs["split"] == split)]
    return mine.sort_values("epoch")[column].tolist()


def test_all_stop_in_the_same_epoch_and_test_the_same_one(stopped) -> None:
    assert set(stopped.index) == set(FRAMEWORKS)
    for column in ("epochs_trained", "tested_epoch"):
        assert len(set(stopped[column])) == 1
    first = stopped.iloc[0]
    assert first["tested_epoch"] < first["epochs_trained"] < EPOCHS


def test_all_have_the_same_rate_in_every_epoch(runs, stopped) -> None:
    rates = {
        name: by_epoch(runs, row, "train", "learning_rate") for name, row in stopped.iterrows()
    }
    assert all(rates[name] == rates[FIRST] for name in FRAMEWORKS)
    assert len(rates[FIRST]) == stopped.iloc[0]["epochs_trained"]
    assert rates[FIRST][0] == 1.0
    assert len(set(rates[FIRST])) >= 2


def test_all_have_the_same_losses(runs, stopped) -> None:
    """The trainings are equal while the rate changes under them, weighted by class."""
    for split in ("train", "validation"):
        expected = by_epoch(runs, stopped.loc[FIRST], split, "loss")
        for name in FRAMEWORKS:
            found = by_epoch(runs, stopped.loc[name], split, "loss")
            np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_weights_tested_are_those_of_the_best_epoch(runs, stopped) -> None:
    """The reference, trained until the best epoch alone, ends with the same test to the bit, the
    others to float64's rounding."""
    rows, _, predictions = runs
    best = int(stopped.iloc[0]["tested_epoch"])
    scores = by_epoch(runs, stopped.loc[FIRST], "validation", "cross_entropy")[1:]
    assert best == 1 + int(np.argmin(scores))
    (until,) = rows[rows["epochs"] == best].to_dict("records")
    assert until["tested_epoch"] == until["epochs_trained"] == best
    assert until["test_loss"] == stopped.loc[FIRST, "test_loss"]
    for name in FRAMEWORKS:
        assert stopped.loc[name, "test_loss"] == pytest.approx(until["test_loss"], rel=1e-9)
    chosen = predictions.set_index("execution_id")["predicted"]
    for _, row in stopped.iterrows():
        pair = chosen[row["execution_id"]], chosen[until["execution_id"]]
        np.testing.assert_array_equal(*map(np.asarray, pair))


def test_the_row_holds_the_weights_as_numbers(stopped) -> None:
    for config in stopped["config"]:
        weights = msgspec.json.decode(config)["recipe"]["class_weights"]
        assert len(weights) == 10
        assert len(set(weights)) > 1
