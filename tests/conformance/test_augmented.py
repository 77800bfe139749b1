"""Augmentation in whole runs, copies and what is drawn: every backend is given the same, and has
the reference's losses."""

import json
import tempfile

import pytest

from benchmarks.fidelity.measure.__main__ import ORACLE
from benchmarks.run import main
from frameworks.backend import framework
from results.store import Store
from tests.conformance.conftest import FRAMEWORKS

# Keras on other engines is fed by the same code as Keras.
OWN = [name for name in FRAMEWORKS if not name.startswith("keras@")]
NAMES = [ORACLE, *OWN]
TUNED = [name for name in OWN if framework(name).tuned]
NETWORK = """
name = "small"
[[layers]]
type = "conv"
filters = 4
kernel = 5
activation = "relu"
[[layers]]
type = "max_pool"
size = 4
[[layers]]
type = "flatten"
[[layers]]
type = "dropout"
rate = 0.5
[[layers]]
type = "dense"
units = "classes"
"""
DATA = ["--dataset", "demo", "--demo-images", "40", "--labels", "4way", "--image-size", "26"]
COPIES = ["--augmentation", "crops40", "--test-copies", "all", "--fraction", "0.5"]
DRAWN = ["--demo-images", "80"]
CHANGED = "flip,rotation=180,zoom=0.9:1.1,shift=0.1,brightness=0.1,noise=0.02,shrink=0.9:1.1"
DRAWN += [
    "--augment",
    f"{CHANGED},area=0.7:1,ratio=0.8:1.2,crop=24,saturation=0.2,hue=0.1,erase=0.2",
]
DRAWN += ["--oversample", "flip,rotation=20"]
RUN = [
    "--epochs",
    "1",
    "--threads",
    "1",
    "--batch-size",
    "32",
    "--precision",
    "float64",
    "--no-report",
]


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """A function that gives the runs of every backend, idiomatic, and tuned where there is such,
    with their epochs."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(NETWORK)

    def run(augmented, feeds=("auto",)):
        command = [*DATA, *augmented, *RUN, "--architectures", "small.toml", "--device", "cpu"]
        ways = [("idiomatic", "auto", NAMES), *(("tuned", feed, TUNED) for feed in feeds)]
        for tuning, feed, names in ways:
            if names:
                how = ["--tuning", tuning, "--feed", feed, "--frameworks", *names]
                assert main([*command, *how]) == 0
        store = Store("runs")
        return store.runs(), store.epochs()

    return run


def test_every_backend_is_given_the_same_copies_and_loses_the_same(ran) -> None:
    table, epochs = ran(COPIES)
    check(table, epochs)
    assert table["train_images"].min() % 40 == table["test_images"].min() % 40 == 0


@pytest.mark.slow
@pytest.mark.extended
def test_every_backend_is_given_the_same_drawn_pictures_and_loses_the_same(ran) -> None:
    table, epochs = ran(DRAWN, ("auto", "staged"))
    check(table, epochs, feeds=2)
    waited = [json.loads(extra)["host_wait_seconds"] for extra in table["extra"]]
    assert min(waited) > 0
    assert (table["image_height"] == 24).all()


def check(table, epochs, feeds=1) -> None:
    """That all ran, on the same pictures, to the same losses."""
    assert len(table) == len(NAMES) + feeds * len(TUNED)
    assert set(table["status"]) == {"ok"}
    for column in ("split_hash", "order_hash", "augmentation_hash", "weights_hash", "masks_hash"):
        assert table[column].notna().all()
        assert table[column].nunique() == 1, column
    losses = epochs.groupby(["epoch", "split"])["loss"]
    assert (losses.count() == len(table)).all()
    assert len(losses) == 3
    assert ((losses.max() - losses.min()) / losses.mean() < 1e-12).all()
    assert table["test_cross_entropy"].max() == pytest.approx(
        table["test_cross_entropy"].min(), rel=1e-12
    )
