"""Whole trainings compared over seeds: invented runs whose differences are known."""

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmarks.fidelity.__main__ import main
from benchmarks.fidelity.outcome import outcome, render
from report.figures.drawing import draw
from report.sections import outcome as section
from results.stats.equivalence import equivalence
from results.stats.vocabulary import DIFFERENT, EQUAL, UNDECIDED
from results.store import Store
from results.studies.outcome import NO_CONTROL, SAME_BITS, Outcome
from results.studies.outcome_words import sentences
from results.views.views import Frames
from tests.helpers.factory import CLASSES, digest, synthetic_run


def add(store: Store, framework: str, seed: int, repeat: int = 0, **changes: Any) -> None:
    """One run; repeats differ as runs of two frameworks do."""
    run, epochs, predictions = synthetic_run(
        framework, "c2", seed, epochs=1, execution=repeat, repeat=repeat, **changes
    )
    run["run_id"] = digest(run["run_id"], repeat)
    store.append(run, epochs, predictions)


def stored(
    path: Path, a: list[float], b: list[float], *, repeats: int = 1, **changes_of_b: Any
) -> Store:
    """Keras and PyTorch with these accuracies, a seed each; cross-entropies follow them."""
    store = Store(path / "runs")
    for framework, values in (("keras", a), ("torch", b)):
        changes = changes_of_b if framework == "torch" else {}
        for seed, value in enumerate(values):
            for repeat in range(repeats):
                scores = {"test_accuracy": value, "test_cross_entropy": 2 - value}
                add(store, framework, seed, repeat, **(scores | changes))
    return store


def only(store: Store, **margins: float) -> Outcome:
    """The one pair of the one group."""
    (group,) = outcome(store, **margins)
    (found,) = group.outcomes
    return found


ACCURACIES = [0.71, 0.74, 0.72, 0.75, 0.73, 0.70, 0.74, 0.72]
SMALL = [0.001, -0.001, 0.002, -0.002, 0.001, -0.001, 0.002, -0.002]


@pytest.mark.parametrize(
    ("accuracy", "cross_entropy", "verdict"),
    [
        (EQUAL, EQUAL, EQUAL),
        (EQUAL, UNDECIDED, UNDECIDED),
        (UNDECIDED, EQUAL, UNDECIDED),
        (UNDECIDED, DIFFERENT, DIFFERENT),
        (DIFFERENT, EQUAL, DIFFERENT),
    ],
)
def test_a_pair_is_equal_by_every_measure_and_different_by_one(accuracy, cross_entropy, verdict):
    one = equivalence(SMALL, 1.0)
    tests = (replace(one, verdict=word) for word in (accuracy, cross_entropy))
    assert Outcome("keras", "torch", (0,), "", (), (), *tests).verdict == verdict


def shifted(shift: float, spread: float = 1.0) -> list[float]:
    return [a - shift - spread * d for a, d in zip(ACCURACIES, SMALL, strict=True)]


def test_differences_are_paired_by_seed(tmp_path: Path) -> None:
    """The accuracies themselves spread ten times as much as their differences."""
    found = only(stored(tmp_path, ACCURACIES, shifted(0.0)))
    assert (found.a, found.b, found.seeds) == ("keras", "torch", tuple(range(8)))
    assert found.accuracy_differences == pytest.approx(SMALL)
    assert found.cross_entropy_differences == pytest.approx([-d for d in SMALL])
    assert found.accuracy is not None
    assert found.cross_entropy is not None
    assert (found.accuracy.margin, found.cross_entropy.margin) == (0.01, 0.05)
    assert found.accuracy.verdict == found.cross_entropy.verdict == EQUAL
    assert found.accuracy.sd == pytest.approx(np.std(SMALL, ddof=1))
    low, high = found.accuracy_bootstrap
    assert found.accuracy.low95 < low < high < found.accuracy.high95
    assert 0 < found.variance_p <= 1


def test_the_margin_decides(tmp_path: Path) -> None:
    store = stored(tmp_path, ACCURACIES, shifted(0.02))
    wide, narrow = only(store, margin=0.03).accuracy, only(store).accuracy
    assert wide is not None
    assert narrow is not None
    assert (wide.verdict, narrow.verdict) == (EQUAL, DIFFERENT)


@pytest.mark.parametrize(("seeds", "spread"), [(4, 1.0), (8, 20.0)])
def test_too_few_seeds_are_undecided(tmp_path: Path, seeds: int, spread: float) -> None:
    store = stored(tmp_path, ACCURACIES[:seeds], shifted(0.0, spread)[:seeds])
    found = only(store)
    assert found.accuracy is not None
    assert found.accuracy.verdict == UNDECIDED
    assert (found.accuracy.fewest or 0) > seeds
    text = " ".join(sentences(found, {"keras": "Keras", "torch": "PyTorch"}))
    assert f"it takes {found.accuracy.fewest} seeds to decide" in text
    assert "ruled out" not in text.split("Test cross-entropy")[0]


def test_one_seed_says_nothing(tmp_path: Path) -> None:
    found = only(stored(tmp_path, [0.7], [0.7]))
    text = " ".join(sentences(found, {"keras": "K", "torch": "T"}))
    assert "over 1 paired seed; at least 5 are needed" in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"split_hash": "another"}, "split not the same (seeds 0, 1, 2, 3, 4, 5, 6, 7)"),
        ({"order_hash": "another"}, "batch order not the same"),
        ({"weights_hash": "another"}, "initial weights not the same"),
        ({"masks_hash": None}, "dropout masks not the same"),
        ({"weights_hash": None}, "initial weights not recorded"),
    ],
)
def test_unlike_runs_are_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    found = only(stored(tmp_path, ACCURACIES, ACCURACIES, **changes))
    assert reason in found.refusal
    assert found.accuracy is None
    assert sentences(found, {"keras": "K", "torch": "T"}) == [
        f"K and T are not compared: {found.refusal}."
    ]


def test_native_parity_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    for framework in ("keras", "torch"):
        for seed in range(2):
            add(store, framework, seed, parity="native")
    assert "native parity" in only(store).refusal
    assert section.equivalence(Frames.load(store)) is None


def test_a_failed_run_is_named_not_paired(tmp_path: Path) -> None:
    store = stored(tmp_path, ACCURACIES[:3], ACCURACIES[:2])
    add(store, "torch", 2, status="diverged", reason="loss is NaN")
    add(store, "keras", 3)
    found = only(store)
    assert found.seeds == (0, 1)
    assert found.left_out == ("seed 2: torch diverged", "seed 3: torch not run")
    assert "Not paired: seed 2" in sentences(found, {"keras": "K", "torch": "T"})[-1]


@pytest.mark.parametrize("entropy", [float("inf"), float("-inf"), float("nan"), 1e308])
def test_a_score_that_no_mean_is_of_is_named_not_paired(tmp_path: Path, entropy: float) -> None:
    store = stored(tmp_path, ACCURACIES[:3], ACCURACIES[:2])
    add(store, "torch", 2, test_cross_entropy=entropy)
    assert only(store).left_out == ("seed 2: torch no score",)


def test_nothing_is_equal_over_the_seeds_that_survived(tmp_path: Path) -> None:
    store = stored(tmp_path, ACCURACIES, ACCURACIES)
    kept = only(store)
    assert kept.accuracy is not None
    assert kept.accuracy.verdict == EQUAL
    add(store, "keras", len(ACCURACIES))
    add(store, "torch", len(ACCURACIES), status="diverged", reason="loss is NaN")
    add(store, "torch", len(ACCURACIES) + 1, status="diverged", reason="loss is NaN")
    found = only(store)
    assert found.diverged_alone == (len(ACCURACIES),)
    assert found.accuracy is not None
    assert found.accuracy.verdict == UNDECIDED
    assert found.accuracy.p_equal == kept.accuracy.p_equal
    words = sentences(found, {"keras": "K", "torch": "T"})
    assert "One of the two diverged where the other did not" in words[-2]


def test_a_framework_that_never_finished_is_told(tmp_path: Path) -> None:
    store = stored(tmp_path, ACCURACIES, [])
    for seed in range(2):
        add(store, "torch", seed, status="diverged", reason="loss is NaN")
    found = only(store)
    assert found.refusal == "no seed has a finished run in both"
    assert found.diverged_alone == (0, 1)
    assert "seed 1: torch diverged" in sentences(found, {"keras": "K", "torch": "T"})[-1]
    assert main(["--outcome", "--store", str(store.path)]) == 1


def test_recall_by_class_is_corrected(tmp_path: Path) -> None:
    """PyTorch misses one class nearly always; the other classes differ by chance."""
    store = Store(tmp_path / "runs")
    for seed in range(6):
        add(store, "keras", seed)
        run, epochs, predictions = synthetic_run("torch", "c2", seed, epochs=1)
        for row in predictions:
            if row["label"] == 2 and row["index"] % 8:
                row["predicted"] = 1
        store.append(run, epochs, predictions)
    found = only(store)
    assert [recall.name for recall in found.recalls] == list(CLASSES)
    unlike = [recall.name for recall in found.recalls if recall.p_holm < 0.05]
    assert unlike == [CLASSES[2]]
    worst = found.recalls[2]
    assert worst.difference > 0.5
    assert worst.p_holm == pytest.approx(10 * worst.p)
    assert worst.images == round(0.2 * 633)
    predicted = {
        (name, seed): synthetic_run(name, "c2", seed, epochs=1)[2]
        for name in ("keras", "torch")
        for seed in range(6)
    }
    by_hand = [
        np.mean([row["predicted"] == 0 for row in predicted["keras", seed] if row["label"] == 0])
        - np.mean([row["predicted"] == 0 for row in predicted["torch", seed] if row["label"] == 0])
        for seed in range(6)
    ]
    assert found.recalls[0].difference == pytest.approx(np.mean(by_hand))


def test_churn_without_a_control_is_not_judged(tmp_path: Path) -> None:
    found = only(stored(tmp_path, ACCURACIES, ACCURACIES)).churn
    assert found is not None
    assert 0 < found.across < 0.3
    assert math.isnan(found.within)
    assert math.isnan(found.p)
    assert found.note == NO_CONTROL


def test_churn_against_repeats(tmp_path: Path) -> None:
    """Repeats differ as frameworks do, so that the frameworks part no further than each itself."""
    found = only(stored(tmp_path, ACCURACIES[:5], ACCURACIES[:5], repeats=2)).churn
    assert found is not None
    assert found.within == pytest.approx(found.across, rel=0.3)
    assert found.p > 0.01
    assert found.note == ""


def test_churn_is_compared_over_the_seeds_with_repeats_alone(tmp_path: Path) -> None:
    controlled = only(stored(tmp_path / "some", ACCURACIES[:3], ACCURACIES[:3], repeats=2)).churn
    store = stored(tmp_path / "more", ACCURACIES[:3], ACCURACIES[:3], repeats=2)
    for framework in ("keras", "torch"):
        for seed in (3, 4):
            add(store, framework, seed)
    assert only(store).churn == controlled
    assert controlled is not None
    assert controlled.seeds == 3


def test_repeats_of_the_same_bits_are_no_control(tmp_path: Path) -> None:
    store = stored(tmp_path, ACCURACIES[:2], ACCURACIES[:2])
    for framework in ("keras", "torch"):
        for seed in range(2):
            run, epochs, predictions = synthetic_run(framework, "c2", seed, epochs=1)
            ids = {name: f"{run[name]}-again" for name in ("run_id", "execution_id")}
            store.append({**run, **ids, "repeat": 1}, epochs, predictions)
    found = only(store).churn
    assert found is not None
    assert math.isnan(found.p)
    assert found.note == SAME_BITS


def test_repeats_are_averaged_not_counted_as_seeds(tmp_path: Path) -> None:
    found = only(stored(tmp_path, ACCURACIES[:5], shifted(0.0)[:5], repeats=2)).accuracy
    assert found is not None
    assert found.n == 5


def test_the_table_and_the_sentences_are_printed(tmp_path: Path) -> None:
    target = io.StringIO()
    groups = outcome(stored(tmp_path, ACCURACIES, shifted(0.0)))
    render(groups, Console(file=target, width=200))
    printed = target.getvalue()
    for words in ("c2 (demo", "keras less torch  accuracy, points", "±1", EQUAL, NO_CONTROL):
        assert words.lower() in printed.lower(), words


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = stored(tmp_path, ACCURACIES, shifted(0.02))
    assert main(["--outcome", "--store", str(store.path)]) == 1
    assert "They differ" in capsys.readouterr().out
    assert main(["--outcome", "--margin", "3", "--store", str(store.path)]) == 0
    assert "margin ±3 points) over 8 paired seeds. A difference as large" in capsys.readouterr().out
    assert main(["--outcome", "--margin", "0", "--store", str(store.path)]) == 2
    assert "must be above 0" in capsys.readouterr().err


def test_stores_with_nothing_to_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "runs")
    assert main(["--outcome", "--store", str(store.path)]) == 2
    assert "no runs in the results store" in capsys.readouterr().err
    add(store, "keras", 0)
    assert main(["--outcome", "--store", str(store.path)]) == 2
    assert "no network in" in capsys.readouterr().err


def test_the_section_draws_what_was_found(tmp_path: Path) -> None:
    frames = Frames.load(stored(tmp_path, ACCURACIES, shifted(0.0)))
    found = section.equivalence(frames)
    assert found is not None
    (picture,) = [block for block in found.blocks if isinstance(block, section.Picture)]
    accuracy, cross_entropy = draw(picture).axes
    bar = next(line for line in accuracy.lines if len(line.get_xdata()) == 2)
    (group,) = outcome(Store(tmp_path / "runs"))
    test = group.outcomes[0].accuracy
    assert test is not None
    assert list(bar.get_xdata()) == pytest.approx([100 * test.low, 100 * test.high])
    (band,) = accuracy.patches
    assert band.get_extents().width > 0
    assert accuracy.get_xlim()[0] < -1 < 1 < accuracy.get_xlim()[1]
    assert cross_entropy.get_xlim()[1] > 0.05
    (table,) = [block for block in found.blocks if isinstance(block, section.Table)]
    assert [row[-1] for row in table.rows] == [EQUAL, EQUAL]
    (note,) = [block for block in found.blocks if isinstance(block, section.Note)]
    assert "Keras (TensorFlow) less PyTorch" in note.text
    assert "n = 8 paired seeds" in picture.caption


def test_the_section_needs_two_paired_seeds(tmp_path: Path) -> None:
    store = stored(tmp_path, ACCURACIES[:2], ACCURACIES[:1])
    assert section.equivalence(Frames.load(store)) is None
    add(store, "torch", 1)
    assert section.equivalence(Frames.load(store)) is not None


def test_the_section_says_what_is_refused(tmp_path: Path) -> None:
    store = stored(tmp_path, ACCURACIES[:2], ACCURACIES[:2], split_hash="another")
    found = section.equivalence(Frames.load(store))
    assert found is not None
    (note,) = found.blocks
    assert isinstance(note, section.Note)
    assert note.kind == "warning"
    assert "split not the same" in note.text
