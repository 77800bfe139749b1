"""The figures draw what the rows say: checked on the artists, against naive computations."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from report import cautions
from report.figures.drawing import draw
from report.section import Picture, Section, Table
from report.sections import confusion, curves, examples, provenance, speed, tables
from results.stats.intervals import Interval
from results.store import Store
from results.views import estimates, numbers
from results.views.numbers import significant
from results.views.views import Frames
from tests.helpers.factory import CLASSES, fill, save_synthetic_examples, synthetic_run


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    store = fill(Store(tmp_path_factory.mktemp("figures") / "runs"), epochs=4)
    save_synthetic_examples(store)
    return Frames.load(store)


def test_curves_are_medians_over_seeds(frames: Frames) -> None:
    view = frames.finished_views[0]
    panel = view.panels[1]
    assert panel.name == "unam"
    found = curves.series(frames.epochs, panel.of("torch"), "validation", "loss")
    assert list(found.index) == [0, 1, 2, 3, 4]
    for epoch in found.index:
        values = [
            row["loss"]
            for seed in range(3)
            for row in synthetic_run("torch", "unam", seed, epochs=4)[1]
            if row["epoch"] == epoch and row["split"] == "validation"
        ]
        assert found["median"][epoch] == sorted(values)[1]
        assert (found["low"][epoch], found["high"][epoch]) == (min(values), max(values))
        assert found["n"][epoch] == 3


def first_picture(section: Section | None) -> Picture:
    assert section is not None
    return next(block for block in section.blocks if isinstance(block, Picture))


def test_curves_figure_draws_each_framework_and_split(frames: Frames) -> None:
    view = frames.finished_views[0]
    figure = draw(first_picture(curves.learning(frames)))
    assert figure.texts[0].get_text() == "DEMO DATA — Training and validation, epoch by epoch"
    assert len(figure.axes) == 4
    for axes in figure.axes:
        for framework in ("keras", "torch", "jax"):
            colour = view.looks[framework].colour
            lines = [line for line in axes.lines if line.get_color() == colour]
            styles = {line.get_linestyle() for line in lines if len(line.get_xdata()) > 1}
            assert styles == {"-", "--"}
    loss = figure.axes[3]
    markers = [line for line in loss.lines if line.get_marker() == "v"]
    for marker, framework in zip(markers, ("keras", "torch", "jax"), strict=True):
        curve = curves.series(frames.epochs, view.panels[1].of(framework), "validation", "loss")[
            "median"
        ][1:]
        assert marker.get_xdata()[0] == curve.idxmin()
        assert marker.get_ydata()[0] == curve.min()


def test_turning_is_the_first_lowest_epoch() -> None:
    losses = pd.Series([3.0, 1.0, 2.0, 1.0, 2.5], index=[1, 2, 3, 4, 5])
    assert curves.turning(losses) == (2, 1.0, 2.5, 5)


def test_turning_table_says_when_it_has_not_turned(frames: Frames) -> None:
    view = frames.finished_views[0]
    table = curves.turning_table(view, frames.epochs)
    assert len(table.rows) == 6
    for row in table.rows:
        falling = "still falling" in row[6]
        assert falling == (row[3] == "4" or "4" in row[4])


def test_every_raw_epoch_is_drawn(frames: Frames) -> None:
    view = frames.finished_views[0]
    figure = draw(first_picture(speed.throughput(frames)))
    for axes, panel in zip(figure.axes[::2], view.panels, strict=True):
        drawn = [x for line in axes.lines if line.get_alpha() == 0.6 for x in line.get_xdata()]
        (mark,) = {text.get_text().split()[0] for text in axes.texts[:1]}
        assert mark == significant(panel.of("keras")["epoch_seconds_median"].median())
        runs = panel.ok["execution_id"]
        stored = frames.epochs.loc[frames.epochs["execution_id"].isin(runs), "epoch_seconds"]
        assert sorted(drawn) == sorted(stored.dropna())


def test_throughput_is_the_epoch_time_inverted(frames: Frames) -> None:
    view = frames.finished_views[0]
    runs = view.panels[0].of("keras")
    seconds = estimates.epoch_time(runs, speed.timed(frames.epochs, view))
    assert seconds.value == runs["epoch_seconds_median"].median()
    images = seconds.through(lambda second: 1393 / second)
    assert images.value == pytest.approx(runs["images_per_second"].median())
    assert images.low < images.value < images.high


def test_phases_add_up_to_the_wall_time(frames: Frames) -> None:
    runs = frames.finished_views[0].panels[0].of("torch")
    means = speed.mean_phases(runs)
    assert sum(means.values()) == pytest.approx(runs["wall_seconds"].mean())
    assert means["other_seconds"] == pytest.approx(0.8)
    without = runs.assign(wall_seconds=math.nan)
    assert speed.mean_phases(without)["other_seconds"] == 0


def test_confusion_against_loops() -> None:
    generator = np.random.default_rng(0)
    label, predicted = generator.integers(0, 4, (2, 300))
    label[label == 2] = 1  # class 2 is never a label
    predicted[predicted == 3] = 0  # class 3 is never predicted
    index = np.repeat(np.arange(100), 3)
    label = label[::3].repeat(3)
    rows = pd.DataFrame({"label": label, "predicted": predicted, "index": index})
    found = confusion.confusion(rows, 4)
    for true in range(4):
        for answer in range(4):
            count = sum((label == true) & (predicted == answer))
            assert found.counts[true, answer] == count
            if sum(label == true):
                assert found.by_true[true, answer] == count / sum(label == true)
            else:
                assert math.isnan(found.by_true[true, answer])
            if sum(predicted == answer):
                assert found.by_predicted[true, answer] == count / sum(predicted == answer)
            else:
                assert math.isnan(found.by_predicted[true, answer])
    assert found.galaxies.sum() == 100


def test_a_galaxy_tested_by_three_runs_counts_once_in_the_interval() -> None:
    one = pd.DataFrame({"label": [0] * 20, "predicted": [0] * 15 + [1] * 5, "index": range(20)})
    three = pd.concat([one] * 3)
    assert confusion.confusion(three, 2).recall(0) == confusion.confusion(one, 2).recall(0)
    assert confusion.confusion(one, 2).recall(0).value == 0.75
    assert math.isnan(confusion.confusion(one, 2).recall(1).value)


def test_most_confused_pairs_are_in_order_and_off_the_diagonal() -> None:
    counts = np.array([[90, 3, 0], [7, 50, 1], [0, 0, 9]])
    found = {"keras": confusion.Confusion(counts, counts.sum(axis=1))}
    assert confusion.most_confused(found) == [(1, 0), (0, 1), (1, 2)]


def test_matrix_figure_writes_the_counts(frames: Frames) -> None:
    view = frames.finished_views[0]
    panel = view.panels[0]
    found = confusion.of_panel(panel, frames.predictions, len(CLASSES))
    picture = first_picture(confusion.matrices(frames))
    figure = draw(picture)
    assert len(figure.axes) == 9
    assert [len(draw(picture, columns).axes) for columns in (1, 2)] == [3, 4]
    written = sum(int(text.get_text()) for text in figure.axes[0].texts)
    assert written == found["keras"].counts.sum() == 3 * panel.of("keras")["test_images"].iloc[0]


def test_test_accuracy_has_the_interval_of_its_distinct_galaxies(frames: Frames) -> None:
    runs = frames.finished_views[0].panels[1].of("keras")
    found = estimates.mean_accuracy(runs, frames.predictions)
    assert found.value == pytest.approx(runs["test_accuracy"].mean())
    without = estimates.mean_accuracy(runs, frames.predictions.head(0))
    assert (found.low, found.high) == (without.low, without.high)
    assert 0.05 < found.high - found.low < 0.1  # about 2 x 1.96 sqrt(0.8 x 0.2 / 436)
    copied = runs.assign(augmentation="crops40", test_copies="all")
    for part in ("train", "validation", "test"):
        copied[f"{part}_images"] *= 40
    copied["class_counts"] = [[int(runs.filter(like="_images").iloc[0].sum())]] * len(runs)
    of_copies = estimates.mean_accuracy(copied, frames.predictions.head(0))
    assert (of_copies.low, of_copies.high) == (without.low, without.high)


def test_epoch_time_is_the_same_with_and_without_the_raw_epochs(frames: Frames) -> None:
    runs = frames.finished_views[0].panels[1].of("keras")
    found = estimates.epoch_time(runs, frames.epochs)
    assert found == estimates.epoch_time(runs, frames.epochs.head(0))
    medians = runs["epoch_seconds_median"]
    assert (found.low, found.high) == (medians.min(), medians.max())
    assert found.is_range
    one = estimates.epoch_time(runs.head(1), frames.epochs)
    mine = frames.epochs["execution_id"] == runs["execution_id"].iloc[0]
    seconds = frames.epochs.loc[mine, "epoch_seconds"]
    assert one.is_range
    assert (one.low, one.high) == (seconds.min(), seconds.max())


def test_what_the_brackets_are_is_said(tmp_path: Path, frames: Frames) -> None:
    view = frames.finished_views[0]
    table = tables.results_table(view, frames)
    assert "epoch, s (range of 2 to 3)" in table.header
    assert "95 %" not in table.caption
    assert "range, lowest to highest, of the processes' medians" in table.caption
    assert "range of its epochs" not in table.caption
    assert estimates.bar_words(view) == "range of 2 to 3 processes"

    store = fill(
        Store(tmp_path / "many"),
        frameworks=["keras"],
        architectures=["c2"],
        seeds=range(6),
        epochs=2,
        failures=False,
    )
    many = Frames.load(store)
    view = many.finished_views[0]
    table = tables.results_table(view, many)
    assert "epoch, s [95 %]" in table.header
    assert "the exact 95 % interval" in table.caption
    assert "round brackets" not in table.caption
    assert estimates.bar_words(view) == "95 % interval"


def test_runs_of_different_versions_in_one_panel_are_warned_of(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    for seed, version in enumerate(("2.10.0", "2.9.1", "2.10.0")):
        store.append(*synthetic_run(seed=seed, epochs=1, versions={"keras": version, "numpy": "2"}))
        store.append(*synthetic_run("torch", seed=seed, epochs=1))
    frames = Frames.load(store)
    view = frames.finished_views[0]
    (note,) = cautions.mixed_versions(view)
    assert note.kind == "warning"  # type: ignore[union-attr]
    assert "unam: the runs of Keras" in note.text  # type: ignore[union-attr]
    assert "(keras 2.10.0 and 2.9.1)" in note.text  # type: ignore[union-attr]
    section = provenance.provenance(frames)
    assert section is not None
    table = next(b for b in section.blocks if isinstance(b, Table) and b.header[0] == "package")
    row = next(row for row in table.rows if row[0] == "keras")
    assert row[1:3] == ["2.10.0", "2.9.1"]
    assert len(table.header) == 4


def test_a_busy_machine_is_said(tmp_path: Path) -> None:
    def warned(name: str, loads: list[float | None]) -> list[str]:
        store = Store(tmp_path / name)
        for seed, load in enumerate(loads):
            before = {} if load is None else {"load_before": {"load_average": [load, 9, 9]}}
            store.append(
                *synthetic_run(seed=seed, epochs=1, extra=before, machine={"cpus": 4}, threads=2)
            )
        frames = Frames.load(store)
        notes = cautions.busy(frames, frames.finished_views[0])
        return [note.text for note in notes]  # type: ignore[union-attr]

    assert warned("quiet", [2.0, None, 3.9]) == [], "2 of the load are the run before's"
    (text,) = warned("busy", [2.1, 3.0, 4.1])
    assert "before 2 runs of 3" in text
    assert "up to 4.1" in text


def test_resumed_runs_are_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    for seed, extra in enumerate(({}, {"resumed_from_epoch": 3, "broken_off": 2})):
        store.append(*synthetic_run(seed=seed, epochs=1, extra=extra))
    frames = Frames.load(store)
    (note,) = cautions.resumed(frames.finished_views[0])
    assert "1 run of 2 went on from a checkpoint after 2 breaks" in note.text  # type: ignore[union-attr]
    quiet = Store(tmp_path / "quiet")
    quiet.append(*synthetic_run(seed=0, epochs=1))
    assert cautions.resumed(Frames.load(quiet).finished_views[0]) == []


def test_results_table_says_demo_and_counts_failures(frames: Frames) -> None:
    view = frames.finished_views[0]
    table = tables.results_table(view, frames)
    assert "test accuracy (DEMO)" in table.header
    assert table.caption.startswith("DEMO DATA")
    assert all(len(row) == len(table.header) == len(table.align) for row in table.rows)
    assert [row[4] for row in table.rows] == ["3", "3", "2 of 3", "3", "3", "3"]
    notes = tables.unlike_seeds(view)
    assert len(notes) == 1
    assert "JAX (Flax) 0, 1)" in notes[0].text  # type: ignore[union-attr]


def test_an_example_of_each_class_is_shown(frames: Frames) -> None:
    section = examples.galaxies(frames)
    assert section is not None
    picture = section.blocks[0]
    assert isinstance(picture, Picture)
    assert draw(picture).texts[0].get_text().startswith("DEMO DATA")
    assert sum(bool(axes.images) for axes in draw(picture).axes) == len(CLASSES)


@pytest.mark.parametrize("augment", [None, {"flip": "both"}])
def test_examples_say_that_what_is_shown_is_changed_in_training(tmp_path: Path, augment) -> None:
    run, epochs, predictions = synthetic_run(epochs=1)
    store = Store(tmp_path / "runs")
    store.append({**run, "recipe": {**run["recipe"], "augment": augment}}, epochs, predictions)
    save_synthetic_examples(store)
    section = examples.galaxies(Frames.load(store))
    assert section is not None
    assert ("changed anew in each epoch" in section.lead) == (augment is not None)


def test_examples_of_other_data_are_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.append(*synthetic_run(epochs=1))
    save_synthetic_examples(store, dataset_sha256="other")
    assert examples.galaxies(Frames.load(store)) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234567.0, "1,234,567"),
        (123.4, "123"),
        (9.996, "10.00"),
        (0.012345, "0.0123"),
        (-2.5, "−2.50"),
        (math.nan, "–"),
        (math.inf, "inf"),
    ],
)
def test_significant_figures(value: float, text: str) -> None:
    assert numbers.significant(value) == text


def test_words_for_numbers() -> None:
    assert numbers.with_interval(Interval(5.9, 5.876, 5.934)) == "5.90 [5.88, 5.93]"
    assert numbers.with_interval(Interval(5.9, 5.876, 5.934, True)) == "5.90 (5.88 to 5.93)"
    assert numbers.with_interval(Interval(1234.5)) == "1,234"
    assert numbers.with_interval(Interval(math.nan), 3) == "–"
    assert numbers.spread([0.1, 0.3], 1) == "0.1 to 0.3"
    assert numbers.spread([0.1, 0.1], 1) == "0.1"
