"""Runs that stopped early or were tested with earlier weights: table, curves, names."""

import json

import numpy as np
import pandas as pd
import pytest

from report.console import summary
from report.endings import ending
from report.figures.drawing import draw
from report.section import Picture
from report.sections import curves, provenance, tables
from results.store import Store
from results.views.views import Frames
from tests.helpers.factory import synthetic_run
from tests.report.test_views import frames_of, run_of

ASKED = 9
LENGTHS = {0: 4, 1: 6, 2: 9}


@pytest.fixture
def store(tmp_path) -> Store:
    """One framework whose seeds ended after 4, 6 and all 9 epochs, and one that never stopped."""
    made = Store(tmp_path / "runs")
    for seed, length in LENGTHS.items():
        run, epochs, predictions = synthetic_run("torch", seed=seed, epochs=length)
        run["config"]["recipe"]["epochs"] = ASKED
        run |= {"epochs": ASKED, "epochs_trained": length, "tested_epoch": min(length, 5)}
        made.append(run, epochs, predictions)
        run, epochs, predictions = synthetic_run("jax", seed=seed, epochs=ASKED)
        made.append(run | {"epochs_trained": ASKED, "tested_epoch": ASKED}, epochs, predictions)
    return made


def test_the_table_says_where_training_ended(store: Store) -> None:
    frames = Frames.load(store)
    (view,) = frames.finished_views
    table = tables.results_table(view, frames)
    assert table.header[-1] == "training ended"
    assert len(table.header) == len(table.rows[0])
    words = {row[1]: row[-1] for row in table.rows}
    assert words["PyTorch"] == "stopped after 4 to 9 of 9 epochs; tested epoch 4 to 5"
    assert words["JAX (Flax)"] == "–"


def test_without_stopping_the_table_is_as_it_was(tmp_path) -> None:
    made = Store(tmp_path / "runs")
    made.append(*synthetic_run(epochs=2))
    frames = Frames.load(made)
    assert tables.results_table(frames.finished_views[0], frames).header[-1] == "GFLOP/s"


@pytest.mark.parametrize(
    ("trained", "tested", "words"),
    [
        ([9, 9], [9, 9], ""),
        ([4, 4], [4, 4], "stopped after 4 of 9 epochs"),
        ([9, 9], [3, 9], "tested epoch 3 to 9"),
        ([4, None], [2, None], "stopped after 4 of 9 epochs; tested epoch 2"),
        ([None], [None], ""),
    ],
)
def test_endings(trained, tested, words) -> None:
    runs = pd.DataFrame({"epochs": 9, "epochs_trained": trained, "tested_epoch": tested})
    assert ending(runs) == words
    assert ending(runs[["epochs"]]) == ""


def test_the_terminal_says_it_too(store: Store) -> None:
    text = "\n".join(words for words, _ in summary(Frames.of_runs(store.runs())).notes)
    assert "torch: stopped after 4 to 9 of 9 epochs; tested epoch 4 to 5." in text
    assert "jax: stopped" not in text


def test_the_median_reaches_as_far_as_every_run_does(store: Store) -> None:
    frames = Frames.load(store)
    (view,) = frames.finished_views
    section = curves.learning(frames)
    assert section is not None
    picture = section.blocks[0]
    assert isinstance(picture, Picture)
    assert "Runs stopped early" in picture.caption
    figure = draw(picture)
    colour = view.looks["torch"].colour
    for axes in figure.axes:
        mine = [line for line in axes.lines if line.get_color() == colour]
        drawn = [line for line in mine if len(line.get_xdata()) > 1]
        solid = [line for line in drawn if line.get_linestyle() == "-"]
        widest = max(solid, key=lambda line: line.get_linewidth())
        assert list(widest.get_xdata()) == [0, 1, 2, 3, 4]
        rest = sorted(tuple(line.get_xdata()) for line in solid if line is not widest)
        assert rest == [(4, 5, 6), (4, 5, 6, 7, 8, 9)]
        early = [line for line in solid if "stopped early" in str(line.get_label())]
        assert [tuple(line.get_xdata()) for line in early] == [(4, 5, 6)]
        other = [line for line in axes.lines if line.get_color() == view.looks["jax"].colour]
        assert len([line for line in other if len(line.get_xdata()) > 1]) == 2


def test_a_tail_is_the_runs_own_values(store: Store) -> None:
    frames = Frames.load(store)
    runs = frames.finished_views[0].panels[0].of("torch")
    found = curves.tails(frames.epochs, runs, "validation", "loss")
    assert sorted(stopped for _, stopped in found) == [False, True, True]
    for run, length in LENGTHS.items():
        losses = {
            row["epoch"]: row["loss"]
            for row in synthetic_run("torch", seed=run, epochs=length)[1]
            if row["split"] == "validation"
        }
        tail = next(tail for tail, _ in found if tail.index[-1] == length)
        np.testing.assert_array_equal(tail, [losses[epoch] for epoch in range(4, length + 1)])


def test_the_caption_says_that_the_losses_are_of_two_kinds(tmp_path) -> None:
    made = Store(tmp_path / "runs")
    run, epochs, predictions = synthetic_run(epochs=2)
    made.append(run | {"config": config(class_weights=[1.0, 2.0])}, epochs, predictions)
    section = curves.learning(Frames.load(made))
    assert section is not None
    assert "the training loss is weighted by class" in section.blocks[0].caption  # type: ignore[union-attr]


def config(**callbacks: object) -> dict:
    return {"architecture": "unam", "recipe": {"epochs": 9, **callbacks}}


def test_panels_are_told_apart_by_their_callbacks() -> None:
    stopping = {"monitor": "validation_loss", "patience": 4, "min_delta": 0.0}
    view = frames_of(
        run_of(config=config(), cell_id="a"),
        run_of(config=config(early_stopping=stopping), cell_id="b"),
        run_of(config=config(early_stopping=stopping | {"patience": 8}), cell_id="c"),
        run_of(config=config(early_stopping=stopping, class_weights=[1.0, 0.25]), cell_id="d"),
        run_of(config=config(early_stopping=stopping, class_weights=[1.0, 0.5]), cell_id="e"),
    ).views[0]
    assert {panel.name for panel in view.panels} == {
        "unam, no class weights, no early stopping",
        "unam, no class weights, early stopping, patience 4",
        "unam, no class weights, early stopping, patience 8",
        "unam, class weights, 1 0.25",
        "unam, class weights, 1 0.5",
    }


def test_what_a_recipe_has_besides_is_told_in_full() -> None:
    plateau = {"monitor": "validation_loss", "factor": 0.5, "patience": 3}
    frames = frames_of(run_of(config=config(reduce_on_plateau=plateau, class_weights=[2.0, 1.0])))
    section = provenance.provenance(frames)
    assert section is not None
    rows = {row[0]: row[1] for block in section.blocks for row in getattr(block, "rows", [])}
    assert json.dumps(rows["besides"]) == json.dumps(
        "unam: class weights (2 1), reduce on plateau (monitor validation_loss, factor 0.5, "
        "patience 3)"
    )
