"""Experiments on the command line: what is run, how it is labelled, and what is refused.

The galaxies have the layout of Galaxy10's file, the framework is a fake that trains nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.config import experiment
from benchmarks.data.cache import OneView
from benchmarks.run import main
from report.page import anchor, build, load, pictures
from report.sections.published import trials
from results.store import Store
from results.studies.reported import declared
from results.views.views import Frames
from tests.helpers import fake_backend
from tests.helpers.refusals import refusal

SMALL = """
title = "A small one"
source = "a notebook"
traps = ["no_seed"]
[run]
architectures = "linear.toml"
dataset = "galaxies.h5"
batch_size = 16
epochs = 4
[[reported]]
metric = "test_accuracy"
value = 0.35
[[reported]]
metric = "parameters"
value = 1090
"""
GROUPED = '[run]\nlabels = "4way"\nlabel_map = "galaxy10"'


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """A working directory with 400 galaxies in ten classes and two experiments on them."""
    labels = np.arange(400) % 10
    images = np.random.default_rng(0).integers(0, 255, (400, 6, 6, 3)).astype(np.uint8)
    (tmp_path / "mine.toml").write_text(SMALL)
    (tmp_path / "grouped.toml").write_text(SMALL.replace("[run]", GROUPED))
    return fake_backend.working_directory(tmp_path, monkeypatch, images, labels)


def command(*options: str, names: tuple[str, ...] = ("mine.toml",)) -> list[str]:
    usual = ["--frameworks", "fake", "--threads", "1", "--no-report"]
    return ["--experiments", *names, *usual, *options]


def test_several_are_run_in_one_session_each_on_its_own_view(work, capsys) -> None:
    names = ("mine.toml", "grouped.toml")
    assert main(command("--seeds", "0", "1", names=names)) == 0
    output = capsys.readouterr()
    assert "[4/4] grouped: fake linear seed" in output.out
    assert "NOT COMPARABLE" not in output.err, "the splits of two experiments may differ"
    runs = Store("runs").runs()
    assert runs["session_id"].nunique() == 1
    assert runs.groupby("experiment")["classes"].unique().map(list).to_dict() == {
        "mine": [10],
        "grouped": [4],
    }
    assert set(runs["scale"]) == {1.0}
    assert not list((work / "scratch").iterdir())


def test_a_run_carries_what_was_reported(work) -> None:
    assert main(command("--epochs", "2", "--seeds", "3")) == 0
    (row,) = Store("runs").runs().to_dict("records")
    found = declared(row["extra"])
    assert found is not None
    assert (found.name, found.title) == ("mine", "A small one")
    assert [one.value for one in found.reported] == [0.35, 1090]
    assert set(found.traps) == {"no_seed"}
    assert {name: tuple(both) for name, both in found.changed.items()} == {"epochs": (4, 2)}
    assert json.loads(row["extra"])["test_cross_entropy_deviation"] > 0


def test_a_scale_takes_less_of_both_and_says_so_everywhere(work, capsys) -> None:
    options = [word for word in command("--scale", "0.5") if word != "--no-report"]
    assert main([*options, "--report", "page"]) == 0
    out = capsys.readouterr().out
    assert "[1/1] mine SCALED x0.5: fake linear seed 0" in out
    assert "linear, mine SCALED x0.5" in out, "the table too"
    (row,) = Store("runs").runs().to_dict("records")
    assert (row["epochs"], row["scale"], row["fraction"]) == (2, 0.5, 0.5)
    assert row["train_images"] + row["validation_images"] + row["test_images"] == 200
    found = declared(row["extra"])
    assert found is not None
    assert not found.changed, "the scale is told by itself"
    page = (work / "page" / "index.html").read_text()
    assert "mine — SCALED x0.5" in page
    assert "was not run as it was published (scaled to 0.5)" in page
    assert "not comparable: needs 3 seeds, has 1 (and 1 more, above)" in page


def test_what_the_options_state_is_not_scaled(work) -> None:
    options = ("--scale", "0.5", "--epochs", "3", "--batch-size", "8")
    assert main(command(*options)) == 0
    (row,) = Store("runs").runs().to_dict("records")
    assert (row["epochs"], row["batch_size"], row["fraction"]) == (3, 8, 0.5)


def test_a_batch_that_no_longer_fits_is_the_whole_of_what_is_left(work) -> None:
    (work / "mine.toml").write_text(SMALL.replace("batch_size = 16", "batch_size = 200"))
    assert main(command("--scale", "0.1")) == 0
    (row,) = Store("runs").runs().to_dict("records")
    assert row["batch_size"] == row["train_images"] < 200


def test_resume_looks_at_runs_of_the_experiment(work, capsys) -> None:
    plain = ["--dataset", "galaxies.h5", "--architectures", "linear.toml", "--batch-size", "16"]
    plain += ["--epochs", "4", "--frameworks", "fake", "--threads", "1", "--no-report"]
    assert main(plain) == 0
    assert main(command("--resume")) == 0
    runs = Store("runs").runs()
    assert runs["run_id"].nunique() == 1
    assert runs["experiment"].isna().tolist() == [True, False]
    assert main(command("--resume", names=("mine.toml", "grouped.toml"))) == 0
    assert "already in the store: mine: fake linear seed 0" in capsys.readouterr().out
    assert len(Store("runs").runs()) == 3


def test_a_run_under_a_name_and_under_none_both_count(work) -> None:
    """The same configuration: the one without a name does not hide the experiment's."""
    assert main(command()) == 0
    plain = ["--dataset", "galaxies.h5", "--architectures", "linear.toml", "--batch-size", "16"]
    plain += ["--epochs", "4", "--frameworks", "fake", "--threads", "1", "--no-report"]
    assert main(plain) == 0
    frames = Frames.load(Store("runs"))
    assert len(frames.runs) == 2
    assert [trial.declared.name for trial in trials(frames)] == ["mine"]
    names = [panel.name for view in frames.finished_views for panel in view.panels]
    assert sorted(names) == ["linear", "linear, mine"]


def test_a_dry_run_of_several_prints_each_matrix_and_the_whole(work, capsys) -> None:
    names = ("mine.toml", "grouped.toml")
    assert main(command("--dry-run", "--seeds", "0", "1", names=names)) == 0
    out = capsys.readouterr().out
    assert "mine: A small one" in out
    assert out.count("2 runs, about") == 2
    assert "4 runs, about" in out
    assert not (work / "runs").exists()


def test_one_view_lies_on_disk_at_a_time(work) -> None:
    views = OneView(work / "scratch")
    first = experiment.load("mine.toml").run
    second = experiment.load("grouped.toml").run
    kept = views.galaxies(first)
    marker = kept.directory / "marker"
    marker.touch()
    assert views.galaxies(first) is kept
    assert marker.exists(), "the same view is not staged again"
    assert views.galaxies(second).view.classes == 4
    assert not marker.exists()
    assert len(list((work / "scratch").iterdir())) == 1
    assert views.galaxies(first).view.classes == 10


BAD = {
    "unknown experiment": (["unma"], [], "did you mean 'unam'"),
    "missing file": (["nothing.toml"], [], "nothing.toml"),
    "malformed file": (["broken.toml"], [], "did you mean 'title'"),
    "scale of none": (["mine.toml"], ["--scale", "0"], "above 0, and at most 1"),
    "scale above 1": (["mine.toml"], ["--scale", "2"], "above 0, and at most 1"),
    "scale that is no number": (["mine.toml"], ["--scale", "x"], "--scale"),
    "suite as well": (["mine.toml"], ["--suite", "quick"], "name one of the two"),
    "no T type": (["mine.toml"], ["--labels", "hubble"], "need a dataset 't_type'"),
    "too few of a class": (["mine.toml"], ["--dataset", "few.h5"], "experiment mine: "),
    "missing galaxies": (
        ["all"],
        ["--dataset", "missing.h5"],
        "experiments astronn, astronn_tutorial, cavanagh_alexnet_3way and",
    ),
    "pictures too small": (["unam", "mine.toml"], ["--dataset", "galaxies.h5"], "unam"),
    "unknown optimizer": (["mine.toml"], ["--optimizer", "adm"], "did you mean 'adam'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_before_anything_runs(work, capsys, case: str) -> None:
    names, options, message = BAD[case]
    (work / "broken.toml").write_text(SMALL.replace("title", "titel"))
    with h5py.File(work / "few.h5", "w") as file:
        file["images"] = np.zeros((4, 6, 6, 3), np.uint8)
        file["ans"] = np.arange(4, dtype=np.uint8) % 2
    assert message in refusal(main, command(*options, names=tuple(names)), capsys, lines=4)


def test_scale_without_experiments_is_refused(work, capsys) -> None:
    assert main(["--dataset", "galaxies.h5", "--scale", "0.1"]) == 2
    assert "--scale is of --experiments" in capsys.readouterr().err


def test_what_would_serve_is_named(work, capsys) -> None:
    with contextlib.suppress(SystemExit):
        main(["--experiments", "decals_c2", "--frameworks", "fake", "--dataset", "galaxies.h5"])
    err = capsys.readouterr().err
    assert "pictures of 6x6 are scaled down, never up" in err
    assert "What serves: galaxy10-decals, its own galaxies" in err
    with contextlib.suppress(SystemExit):
        main(["--experiments", "unam", "--frameworks", "fake", "--dataset", "missing.h5"])
    assert "What serves: galaxy10, its own galaxies" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.extended
def test_every_experiment_runs_from_the_real_files_layout(work, galaxy_files, capsys) -> None:
    """All of them at a hundredth, on the real file's layout, by a backend that trains nothing."""
    options = ["--experiments", "all", "--scale", "0.01", "--frameworks", "fake-still"]
    options += ["--no-self-check"]  # its answers are not its weights'
    options += ["--dataset", str(galaxy_files / "galaxy10_sdss_subset.h5"), "--no-report"]
    assert main(options) == 0
    runs = Store("runs").runs(latest=True)
    assert sorted(runs["experiment"]) == experiment.available()
    assert set(runs["status"]) == {"ok"}
    assert set(runs["scale"]) == {0.01}
    assert not list((work / "scratch").iterdir())
    hashes = runs[["split_hash", "order_hash"]]
    assert hashes.notna().all().all()


def test_the_page_says_what_was_run_and_compares_what_can_be(work, galaxy_files) -> None:
    options = ["--experiments", "unam", "--scale", "0.01", "--frameworks", "fake-still"]
    options += ["--no-self-check"]  # its answers are not its weights'
    options += ["--dataset", str(galaxy_files / "galaxy10_sdss_subset.h5"), "--report", "page"]
    assert main(options) == 0
    page = re.sub(r"\s+", " ", (work / "page" / "index.html").read_text())
    assert "unam — OTHER GALAXIES (galaxy10_sdss_subset), SCALED x0.01" in page
    assert "scaled to 0.01; other galaxies (galaxy10_sdss_subset, not galaxy10)" in page
    assert page.count(">reproduced<") == 1, "the network has the published parameters all the same"
    assert not (work / "page" / "figures").exists(), "those for papers are drawn when asked for"
    figures = {one.name for one in pictures(build(load(Store("runs"))))}
    assert {"unam-curves-1-fake-still", "unam-confusion-1-fake-still"} <= figures
    assert all(f'<figure id="{anchor(name)}"' in page for name in figures)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["keras", "torch", "jax"])
def test_every_experiment_runs_in_every_framework(work, galaxy_files, framework: str) -> None:
    options = ["--experiments", "all", "--scale", "0.01", "--frameworks", framework, "--no-report"]
    options += ["--dataset", str(galaxy_files / "galaxy10_sdss_subset.h5")]
    assert main(options) == 0
    runs = Store("runs").runs()
    assert sorted(runs["experiment"]) == experiment.available()
    assert set(runs["status"]) == {"ok"}
