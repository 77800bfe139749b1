"""From the form that people hold to a trained run: convert, check, show, one epoch."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.run import main
from datasets.__main__ import main as datasets
from results.store import Store
from tests.helpers import sources
from tests.helpers.fake_backend import command
from tests.helpers.sources import FORMS


def trained(source: Path, *options: str) -> dict:
    """The row of one epoch on a source, as `--dataset` takes it."""
    arguments = command("--epochs", "1", "--store", "runs", *options)
    arguments[arguments.index("--dataset") + 1] = str(source)
    assert main(arguments) == 0
    row = Store(Path("runs")).runs().iloc[-1]
    assert row["status"] == "ok", row["reason"]
    return row.to_dict()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GALAXY_BENCHMARK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "converted"


def round_trip(form: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = FORMS[form][0](work)
    assert datasets(["convert", str(source), "made.h5"]) == 0
    assert datasets(["check", str(source)]) == 0
    assert "60 pictures of 12x12x3 in 3 classes" in capsys.readouterr().out
    assert datasets(["show", "made.h5", "--per-class", "2"]) == 0
    with Image.open("made.png") as drawn:
        assert len(np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)) > 100
    direct, made = trained(source), trained(work / "made.h5")
    assert direct["dataset"] == source.stem
    assert direct["dataset_sha256"] == made["dataset_sha256"]
    assert direct["test_accuracy"] == made["test_accuracy"]


@pytest.mark.usefixtures("cache")
def test_class_folders_are_trained_on(work: Path, capsys) -> None:
    round_trip("class folders", work, capsys)


# Some of them a submission must hold: an array, a table, shards, votes.
MUST = ("npy", "a spreadsheet's table", "parquet shards", "votes")


@pytest.mark.slow
@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    "form",
    [pytest.param(form, marks=[pytest.mark.extended] * (form in MUST)) for form in FORMS],
)
def test_every_form_is_trained_on(form: str, work: Path, capsys) -> None:
    round_trip(form, work, capsys)


def test_the_published_split_is_kept_and_is_another_task(work: Path, cache: Path, capsys) -> None:
    source = sources.split_folders(work)
    ours = trained(source)
    kept = trained(source, "--split-from", "split")
    assert "The published split of 'split'." in capsys.readouterr().out
    assert (kept["test_images"], kept["train_images"], kept["validation_images"]) == (12, 38, 10)
    assert kept["dataset_sha256"] == ours["dataset_sha256"]
    assert kept["task_id"] != ours["task_id"]
    assert kept["split_hash"] != ours["split_hash"]
    assert len(list(cache.iterdir())) == 1
    predictions = Store(Path("runs")).predictions()
    tested = predictions[predictions["execution_id"] == kept["execution_id"]]["index"]
    assert sorted(tested) == list(range(12))  # test/ sorts before train/


def test_what_was_left_out_stands_in_the_row(work: Path, cache: Path, capsys) -> None:
    source = sources.class_folders(work)
    broken = source / "galaxies" / "spiral" / "002.png"
    broken.write_bytes(broken.read_bytes()[:60])
    arguments = command()
    arguments[arguments.index("--dataset") + 1] = str(source)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "1 not readable as a picture (galaxies/spiral/002.png); get them again" in told
    assert told.count("\n") == 1
    assert not list(cache.glob("*.h5"))
    row = trained(source, "--skip-bad", "1")
    assert sum(row["class_counts"]) == 59
    said = json.loads(row["extra"])["galaxies_left_out"]
    assert said == "1 not readable as a picture (galaxies/spiral/002.png)"
    assert f"Left out: {said}" in capsys.readouterr().out
