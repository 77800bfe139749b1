"""Two stored runs beside each other: invented runs whose differences are known."""

import io
import math

import pytest
from rich.console import Console
from scipy.stats import binom

from benchmarks.fidelity.compare import compare, mcnemar, render
from results.store import Store
from tests.helpers.factory import synthetic_run


def config(**changes):
    """Of a run, as the harness stores it."""
    layers = [
        {"type": "conv", "name": "conv1", "filters": 4, **changes.pop("conv1", {})},
        {"type": "dense", "name": "dense1", "units": "classes"},
    ]
    return {
        "framework": "torch",
        "seed": 0,
        "architecture": {"name": "c1", "layers": layers},
        "recipe": {"batch_size": 64, **changes.pop("recipe", {})},
        **changes,
    }


def stored(tmp_path, run_changes, *, losses=None, predicted=None):
    """A store with a run and a changed copy of it; the changed run's id ends in b."""
    store = Store(tmp_path)
    run, epochs, predictions = synthetic_run("torch", "c2", epochs=3)
    run |= {"run_id": "aaaa1111", "execution_id": "exec-a", "config": config()}
    store.append(run, epochs, predictions)
    other = {**run, "run_id": "bbbb2222", "execution_id": "exec-b", **run_changes}
    for epoch in epochs:
        factor = (losses or {}).get((epoch["split"], epoch["epoch"]), 1.0)
        epoch["loss"] *= factor
    for row, value in (predicted or {}).items():
        predictions[row] = {**predictions[row], "predicted": value(predictions[row]["label"])}
    store.append(other, epochs, predictions)
    return store, predictions


def test_a_run_does_not_part_from_itself(tmp_path):
    store, predictions = stored(tmp_path, {})
    found = compare(store, "aaaa", "exec-a")
    assert not found.fields
    assert not found.surroundings
    assert set(found.hashes.values()) == {True}
    for parting in found.partings:
        assert set(parting.first.values()) == {None}
        assert parting.largest == 0
    assert [parting.split for parting in found.partings] == ["train", "validation"]
    assert [parting.epochs for parting in found.partings] == [3, 4]
    assert found.predictions.images == len(predictions)
    assert found.predictions.churn == 0
    assert found.predictions.p_value == 1


def test_fields_go_by_the_names_of_layers(tmp_path):
    changed = config(
        framework="keras", conv1={"filters": 8, "l2": 0.1}, recipe={"batch_size": 32, "epochs": 9}
    )
    versions = {"python": "3.11.2", "keras": "3", "numpy": "2.4.0"}
    store, _ = stored(tmp_path, {"config": changed, "versions": versions, "machine_id": "other"})
    found = compare(store, "aaaa1111", "bbbb2222")
    assert {each.field: (each.a, each.b) for each in found.fields} == {
        "framework": ("torch", "keras"),
        "architecture.layers.conv1.filters": (4, 8),
        "architecture.layers.conv1.l2": (None, 0.1),
        "recipe.batch_size": (64, 32),
        "recipe.epochs": (None, 9),
    }
    names = {each.field for each in found.surroundings}
    assert names == {"machine_id", "versions.torch", "versions.keras"}


def test_hashes_are_equal_unequal_or_not_known(tmp_path):
    store, _ = stored(tmp_path, {"weights_hash": "others", "masks_hash": None})
    hashes = compare(store, "a", "b").hashes
    assert hashes["weights_hash"] is False
    assert hashes["masks_hash"] is None
    assert hashes["split_hash"] is True
    assert hashes["order_hash"] is True


def test_the_first_epoch_beyond_each_threshold(tmp_path):
    losses = {("train", 1): 1 + 5e-7, ("train", 2): 1 + 5e-6, ("train", 3): 1.005}
    losses |= {("validation", 0): 1.5, ("validation", 3): float("nan")}
    store, _ = stored(tmp_path, {}, losses=losses)
    train, validation = compare(store, "b", "a").partings
    assert train.first == {1e-6: 2, 1e-3: 3, 1e-2: None}
    assert train.largest == pytest.approx(0.005)
    assert validation.first == {1e-6: 0, 1e-3: 0, 1e-2: 0}
    assert math.isinf(validation.largest)


def test_accuracy_churn_and_mcnemar(tmp_path):
    """Three images set right, one set wrong, and one wrong before and after."""
    _, predictions = stored(tmp_path, {})
    wrong = [i for i, row in enumerate(predictions) if row["predicted"] != row["label"]][:4]
    right = [i for i, row in enumerate(predictions) if row["predicted"] == row["label"]][:1]
    changes = {i: (lambda label: label) for i in wrong[:3]}
    changes |= {right[0]: lambda label: (label + 1) % 10}
    before, label = predictions[wrong[3]]["predicted"], predictions[wrong[3]]["label"]
    third = next(value for value in range(10) if value not in (before, label))
    changes |= {wrong[3]: lambda label: third}
    other, _ = stored(tmp_path / "other", {}, predicted=changes)
    found = compare(other, "a", "b").predictions
    assert (found.only_a, found.only_b) == (1, 3)
    assert found.churn == pytest.approx(5 / len(predictions))
    assert found.accuracy_b - found.accuracy_a == pytest.approx(2 / len(predictions))
    assert found.p_value == pytest.approx(2 * binom.cdf(1, 4, 0.5))


def test_images_of_two_data_sets_have_nothing_in_common(tmp_path):
    """Their numbers and labels agree by chance."""
    store, _ = stored(tmp_path, {"dataset_sha256": "0" * 64})
    assert compare(store, "a", "b").predictions is None


def test_epochs_in_which_neither_has_a_loss_are_not_compared(tmp_path):
    store, _ = stored(tmp_path, {}, losses={("train", 3): float("nan")})
    same = {part.split: part for part in compare(store, "b", "b").partings}
    assert (same["train"].epochs, same["train"].largest) == (2, 0)
    (train, _) = compare(store, "a", "b").partings
    assert train.first == dict.fromkeys(train.first, 3)


@pytest.mark.parametrize(
    ("a", "b", "p"), [(0, 0, 1.0), (0, 5, 2 / 2**5), (4, 4, 1.0), (10, 0, 2 / 2**10)]
)
def test_mcnemars_exact_p(a, b, p):
    assert mcnemar(a, b) == pytest.approx(p)
    assert mcnemar(b, a) == pytest.approx(p)


def test_a_failed_run_has_nothing_to_compare_and_that_is_said(tmp_path):
    store = Store(tmp_path)
    run, epochs, predictions = synthetic_run("torch", execution=1)
    store.append({**run, "run_id": "a"}, epochs, predictions)
    failed, _, _ = synthetic_run("keras", status="timeout", reason="too slow")
    store.append({**failed, "run_id": "b"})
    found = compare(store, "a", "b")
    assert found.partings == ()
    assert found.predictions is None
    text = io.StringIO()
    render(found, Console(file=text, width=120))
    assert "Where the loss parts: no epoch in common" in text.getvalue()
    assert "Test predictions: no test image in common" in text.getvalue()


def test_the_latest_execution_of_a_run_is_taken(tmp_path):
    store = Store(tmp_path)
    for execution in range(2):
        store.append(*synthetic_run("torch", execution=execution))
    run_id = synthetic_run("torch")[0]["run_id"]
    found = compare(store, run_id, synthetic_run("torch")[0]["execution_id"])
    assert found.a["execution_id"] == synthetic_run("torch", execution=1)[0]["execution_id"]
    assert found.b["execution_id"] == synthetic_run("torch")[0]["execution_id"]


def test_unknown_and_ambiguous_runs_are_named_with_the_near_miss(tmp_path):
    store, _ = stored(tmp_path, {"run_id": "aaaa1111x"})
    with pytest.raises(ValueError, match=r"no run 'aaba11' in .*did you mean 'aaaa1111'\?"):
        compare(store, "aaba11", "aaaa1111")
    with pytest.raises(
        ValueError, match=r"several runs in .* start with 'aaaa': aaaa1111, aaaa1111x"
    ):
        compare(store, "aaaa", "aaaa1111")
    assert compare(store, "aaaa1111", "aaaa1111x").a["run_id"] == "aaaa1111"
    with pytest.raises(ValueError, match=r"no run 'zzzzzz' in \S+\. See"):
        compare(store, "aaaa1111", "zzzzzz")


def test_an_empty_store_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no runs; run python -m benchmarks\.run"):
        compare(Store(tmp_path), "a", "b")


def test_what_is_printed(tmp_path):
    store, _ = stored(
        tmp_path,
        {"weights_hash": "others", "config": config(recipe={"batch_size": 32})},
        losses={("train", 2): 1.002},
    )
    text = io.StringIO()
    render(compare(store, "a", "b"), Console(file=text, width=120))
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert "recipe.batch_size 64 32" in lines
    assert "initial weights DIFFERENT" in lines
    assert "batch order equal" in lines
    assert "train 2 2 never 2.0e-03 3" in lines
    assert any(line.startswith("predicted differently: 0.00 %") for line in lines)
    assert "Versions and machine: the same" in lines
