"""Reported figures beside ours on the page, and the published figures drawn again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from report.figures.drawing import draw
from report.section import Heading, Note, Picture
from report.sections import published_figures, reproduction
from report.sections.published import trials
from results.schema import COPY
from results.store import Store
from results.studies.measured import measured, refused
from results.studies.reported import Reported
from results.studies.reproduction import Ours
from results.views.views import Frames
from tests.helpers.factory import CLASSES, synthetic_run
from tests.helpers.reproduced import declared_of, frames_of, run_of, tables, three

# ---- our side of a figure


def ours(frames: Frames, metric: str, **fields: Any) -> tuple[float, ...]:
    reported = Reported(metric=metric, value=0.5, **fields)  # type: ignore[arg-type]
    found = measured(
        reported, frames.runs, frames.epochs, frames.predictions, declared_of(reported=())
    )
    return found.values


def test_every_metric_is_read_from_the_rows(tmp_path) -> None:
    executions = three()
    frames = frames_of(tmp_path, *executions)
    runs = [run for run, _, _ in executions]
    for metric in ("test_accuracy", "test_loss", "best_validation_accuracy", "parameters"):
        assert ours(frames, metric) == pytest.approx([run[metric] for run in runs])

    def curve(split: str, measure: str) -> list[list[float]]:
        return [
            [row[measure] for row in epochs if row["split"] == split and row["epoch"] >= 1]
            for _, epochs, _ in executions
        ]

    last = [values[-1] for values in curve("train", "accuracy")]
    assert ours(frames, "train_accuracy") == pytest.approx(last)
    second = [values[1] for values in curve("validation", "loss")]
    assert ours(frames, "validation_loss", epoch=2) == pytest.approx(second)
    lowest = [min(values) for values in curve("validation", "loss")]
    assert ours(frames, "lowest_validation_loss") == pytest.approx(lowest)
    assert ours(frames, "validation_loss", epoch=77) == ()
    recalls = []
    for _, _, predictions in executions:
        mine = [row["predicted"] == 1 for row in predictions if row["label"] == 1]
        recalls.append(sum(mine) / len(mine))
    assert ours(frames, "recall", label=1) == pytest.approx(recalls)
    assert all(value > 0 for value in ours(frames, "epoch_seconds"))


def test_processes_of_a_seed_are_one_value(tmp_path) -> None:
    again = run_of("keras", 0, repeat=1)
    for column in ("run_id", "execution_id"):
        again[0][column] += "-again"
    frames = frames_of(tmp_path, *three(), again)
    assert len(ours(frames, "test_accuracy")) == 3


def test_what_is_not_the_published_run_says_why(tmp_path) -> None:
    changed = declared_of(changed={"epochs": (200, 5)})
    diverged = run_of("keras", 7, status="diverged", reason="nan")
    frames = frames_of(tmp_path, *three(), diverged)
    assert refused(frames.runs, declared_of()) == ("diverged: seed 7",)
    assert refused(frames.runs.iloc[:3], changed) == ("other epochs (5, not 200)",)
    scaled = frames_of(tmp_path / "b", *three(scale=0.1, dataset_sha256="b" * 64))
    assert refused(scaled.runs, declared_of()) == (
        "scaled to 0.1",
        "other galaxies (galaxy10, not galaxy10)",
    )
    parameters = Reported(metric="parameters", value=1)
    count = measured(parameters, scaled.runs, scaled.epochs, scaled.predictions, changed)
    assert not count.refusals, "a network has its parameters whatever it is trained on"
    smaller = declared_of(changed={"image_size": (69, 32)})
    assert measured(
        parameters, scaled.runs, scaled.epochs, scaled.predictions, smaller
    ).refusals == ("other image size (32, not 69)",)


def test_copies_of_a_galaxy_are_one_galaxy(tmp_path) -> None:
    """45,000 copies of 1,125 galaxies: the luck of the test is that of 1,125."""
    frames = frames_of(tmp_path, *(with_copies(run_of("keras", seed)) for seed in range(3)))
    galaxies = len(run_of()[2])
    assert set(frames.runs["test_images"]) == {40 * galaxies}
    assert len(frames.predictions) == 3 * 40 * galaxies
    declared = declared_of(reported=())

    def behind(metric: str, predictions=frames.predictions, **fields: Any) -> Ours:
        reported = Reported(metric=metric, value=0.5, **fields)  # type: ignore[arg-type]
        return measured(reported, frames.runs, frames.epochs, predictions, declared)

    for metric in ("test_accuracy", "test_loss"):
        found = behind(metric)
        assert (found.galaxies, found.copies) == (galaxies, 40)
        from_the_row = behind(metric, frames.predictions.iloc[:0])
        assert (from_the_row.galaxies, from_the_row.copies) == (galaxies, 40)
    of_class = sum(row["label"] == 1 for row in run_of()[2])
    assert behind("recall", label=1).galaxies == of_class
    run = run_of()[0]
    assert behind("validation_accuracy").galaxies == run["validation_images"]
    assert behind("best_validation_accuracy").galaxies == run["validation_images"]
    assert behind("train_accuracy").galaxies == run["train_images"]
    assert behind("best_validation_epoch").galaxies is None


def with_copies(execution: tuple[dict, list[dict], list[dict]]):
    """The same with 40 copies of each galaxy, all of them looked at."""
    run, epochs, predictions = execution
    sizes = [40 * run[f"{part}_images"] for part in ("train", "validation", "test")]
    counts = [sum(sizes) // 40]
    names = ("train_images", "validation_images", "test_images")
    run |= dict(zip(names, sizes, strict=True))
    run |= {"augmentation": "crops40", "test_copies": "all", "class_counts": counts}
    copied = [
        row | {"index": row["index"] + copy * COPY} for row in predictions for copy in range(40)
    ]
    return run, epochs, copied


# ---- the table


def test_a_row_for_every_figure_and_framework_with_a_verdict(tmp_path) -> None:
    runs = [run_of(name, seed) for name in ("keras", "torch") for seed in range(3)]
    frames = frames_of(tmp_path, *runs)
    loss = np.mean([run["test_loss"] for run, _, _ in runs[:3]])
    share = np.mean([run["test_accuracy"] for run, _, _ in runs[:3]])
    reported = (
        Reported(metric="test_loss", value=float(loss), source="a notebook"),
        Reported(metric="test_accuracy", value=float(share), source="a notebook"),
        Reported(metric="test_accuracy", value=0.01, source="a slide", traps=("leak",)),
        Reported(metric="test_accuracy", value=0.99, source="a slide", traps=("leak",)),
        Reported(metric="recall", value=0.5, label=1, comparable=False, reason="cut at one half"),
        Reported(metric="parameters", value=1_799_964, source="a notebook"),
    )
    declared = declared_of(reported=reported)
    frames = frames_of(
        tmp_path / "b",
        *[run_of(n, seed, declared=declared) for n in ("keras", "torch") for seed in range(3)],
    )
    section = reproduction.published(frames)
    assert section is not None
    table, traps = tables(section)
    assert len(table.rows) == 2 * len(reported)
    keras = [row for row in table.rows if row[2] == "Keras (TensorFlow)"]
    assert [row[-1] for row in keras] == [
        "reproduced",
        "not comparable: a test on 400 galaxies leaves ± 5.56 points (at most 5); more seeds do "
        "not narrow it",
        "higher; see leak",
        "lower; see leak",
        "not comparable: cut at one half",
        "reproduced",
    ]
    assert keras[4][0] == f"recall of {CLASSES[1]}"
    assert all(row[3] == "3" for row in keras)
    assert keras[5][4] == "1,799,964 [1,799,964, 1,799,964]"
    assert "a notebook; a slide" in table.caption
    assert traps.rows == [["leak", "Copies crossed the split."]]
    assert not [block for block in section.blocks if isinstance(block, Note)]


def test_one_seed_has_no_verdict(tmp_path) -> None:
    section = reproduction.published(frames_of(tmp_path, run_of()))
    assert section is not None
    assert all("needs 3 seeds, has 1" in row[-1] for row in tables(section)[0].rows)


def test_unlike_runs_of_an_experiment_are_not_pooled(tmp_path) -> None:
    changed = declared_of(changed={"epochs": (200, 5)})
    runs = [*three(), *three(scale=0.5), *three(dataset_sha256="b" * 64), *three(declared=changed)]
    frames = frames_of(tmp_path, *runs)
    found = trials(frames)
    assert len(found) == 4
    assert {len(trial.runs) for trial in found} == {3}
    assert {trial.marks for trial in found} == {
        "",
        "SCALED x0.5",
        "OTHER GALAXIES (galaxy10)",
        "OTHER EPOCHS",
    }
    section = reproduction.published(frames)
    assert section is not None
    headings = [block.text for block in section.blocks if isinstance(block, Heading)]
    assert "unam — SCALED x0.5" in headings
    warnings = [block.text for block in section.blocks if isinstance(block, Note)]
    assert len(warnings) == 3
    assert any("scaled to 0.5" in text for text in warnings)


def test_runs_of_two_splits_are_two_trials(tmp_path) -> None:
    """So that "n seeds on one split" is true; one that failed goes by its split seed."""
    failed = run_of("keras", 3, split_seed=1, status="timeout", reason="too long")
    runs = [run_of("keras", seed, split_seed=split) for split in (0, 1) for seed in range(3)]
    frames = frames_of(tmp_path, *runs, failed)
    found = trials(frames)
    assert [(trial.split_seed, len(trial.runs)) for trial in found] == [("0", 3), ("1", 4)]
    section = reproduction.published(frames)
    assert section is not None
    headings = [block.text for block in section.blocks if isinstance(block, Heading)]
    assert headings == ["unam, split seed 0", "unam, split seed 1"]
    first, second, _ = tables(section)
    assert all(row[3] == "3" for row in (*first.rows, *second.rows))
    assert "split seed 1" in second.caption
    assert any("timeout: seed 3" in one.text for one in section.blocks if isinstance(one, Note))


def test_one_split_hash_is_one_trial_whatever_the_seed_is_called(tmp_path) -> None:
    """The hash decides: rows without a configuration, or of a split made otherwise."""
    runs = three()
    for run, _, _ in runs:
        run["config"] = {}
    (trial,) = trials(frames_of(tmp_path, *runs))
    assert trial.split_seed == ""
    other = three()
    other[2][0]["split_hash"] = "made by another version"
    assert [len(trial.runs) for trial in trials(frames_of(tmp_path / "b", *other))] == [2, 1]


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_a_coarser_precision_is_marked_and_has_no_verdict(tmp_path, precision: str) -> None:
    frames = frames_of(tmp_path, *three(precision=precision))
    (trial,) = trials(frames)
    assert trial.marks == precision.upper()
    assert refused(trial.runs, trial.declared) == (f"computed in {precision}, not float32",)
    section = reproduction.published(frames)
    assert section is not None
    assert all(row[-1].startswith("not comparable") for row in tables(section)[0].rows)
    stated = declared_of(precision=(precision,))
    assert refused(trial.runs, stated) == ()


def test_native_parity_is_named_and_keeps_its_verdict(tmp_path) -> None:
    reported = (
        Reported(metric="test_accuracy", value=0.01),
        Reported(metric="validation_loss", value=0.8),
    )
    declared = declared_of(reported=reported)
    frames = frames_of(tmp_path, *three(parity="native", declared=declared))
    (trial,) = trials(frames)
    assert trial.marks == "NATIVE PARITY"
    section = reproduction.published(frames)
    assert section is not None
    headings = [block.text for block in section.blocks if isinstance(block, Heading)]
    assert headings == ["unam — NATIVE PARITY"]
    assert tables(section)[0].rows[0][-1] == "higher"
    drawn = published_figures.figures(frames)
    assert drawn is not None
    curves = next(
        block
        for block in drawn.blocks
        if isinstance(block, Picture) and block.name == "unam-curves-1-keras"
    )
    loss, _ = draw(curves).axes
    crosses = [line for line in loss.lines if line.get_marker() == "X"]
    assert len(crosses) == 1, "it is what the notebook trained, so its values are drawn"
    stated = declared_of(parity=("native",))
    (trial,) = trials(frames_of(tmp_path / "b", *three(parity="native", declared=stated)))
    assert trial.marks == ""


def test_runs_of_no_experiment_are_not_in_the_section(tmp_path) -> None:
    store = Store(tmp_path / "runs")
    store.append(*synthetic_run())
    frames = Frames.load(store)
    assert reproduction.published(frames) is None
    assert published_figures.figures(frames) is None


def test_an_experiment_without_figures_shows_what_came_out(tmp_path) -> None:
    variant = declared_of("phys449_c1_bn", reported=())
    section = reproduction.published(frames_of(tmp_path, *three(declared=variant)))
    assert section is not None
    table, traps = tables(section)
    assert table.rows[0][0] == "phys449_c1_bn"
    assert table.rows[0][2] == "3"
    assert table.rows[0][-1] == "leak"
    assert traps.rows == [["leak", "Copies crossed the split."]]


# ---- the figures
