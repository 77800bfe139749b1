"""Galaxies of an epoch drawn by class: how often, how changed, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.config.overrides import READERS
from benchmarks.config.suite_file import convert
from benchmarks.data.loader import Feed
from benchmarks.run import main
from datasets.drawn.settings import Augment
from frameworks.spec.reading import SpecificationError
from frameworks.spec.sampling import Sampling
from report.command import command as repeated
from results.store import Store
from tests.benchmarks.test_data_view import dataset, run_of, staged
from tests.benchmarks.test_oversample import FEW
from tests.helpers.fake_backend import command


def feed_of(tmp_path, sampling: Sampling, **fields) -> Feed:
    suite = convert({}, origin="suite")
    galaxies, found = staged(tmp_path, suite, dataset(labels=FEW))
    config, network = run_of(galaxies, sampling=sampling, **fields)
    return Feed(config, network, found)


def test_classes_come_as_often_as_their_weights_say(tmp_path) -> None:
    feed = feed_of(tmp_path, Sampling(draws=3000))
    (rows,) = [np.concatenate(feed.plan(1).rows)]
    assert set(rows) <= set(feed.data.split.train)
    shares = np.bincount(FEW[rows]) / len(rows)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)
    train = feed.data.split.train
    weights = torch.from_numpy(1 / np.bincount(FEW[train])[FEW[train]])
    torchs = torch.utils.data.WeightedRandomSampler(weights, 3000, generator=torch.Generator())
    theirs = np.bincount(FEW[train[list(torchs)]]) / 3000
    np.testing.assert_allclose(shares, theirs, atol=0.06)
    only = feed_of(tmp_path / "two", Sampling(weights=(0, 1, 2)))
    assert set(FEW[np.concatenate(only.plan(1).rows)]) == {1, 2}


def test_a_galaxy_that_comes_again_is_drawn_anew(tmp_path) -> None:
    feed = feed_of(tmp_path, Sampling(draws=96), augment=Augment(rotation=180))
    rows = np.concatenate(feed.plan(1).rows)
    images = np.concatenate([batch.images for batch in feed.epoch(1)])
    row, often = np.unique(rows, return_counts=True)
    pictures = images[rows == row[often.argmax()]]
    assert len(np.unique(pictures, axis=0)) == len(pictures) > 1


def test_the_command_trains_so_and_its_report_repeats_it(work) -> None:
    asked = ["--sampling", "draws=40,replacement=false,weights=1.0:2.0:0.5"]
    assert main(command(*asked, frameworks=("fake", "fake-gathers"))) == 0
    runs = Store("runs").runs()
    assert set(runs["status"]) == {"ok"}
    assert runs["order_hash"].nunique() == 1
    run = runs.iloc[0].to_dict() | {"experiment": None, "scale": None}
    assert f"--sampling={asked[1]}" in repeated(run)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("weights=1:-2", "sampling.weights must be finite and not negative"),
        ("draws=0", "sampling.draws is 0; must be at least 1"),
        ("weihts=1", "did you mean 'weights'"),
        ("balancd", "--sampling: .*weights"),
    ],
)
def test_bad_fields_are_named(text: str, problem: str) -> None:
    with pytest.raises(SpecificationError, match=problem):
        convert({"sampling": READERS["sampling"](text)}, origin="suite")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"shuffle_window": 5}, "shuffle_window from some"),
        ({"oversample": "repeated"}, "'sampling': draws galaxies by class, and oversample"),
        ({"loss": "mean_squared_error"}, "sampling is by class, and the loss is of votes"),
        ({"augment": {"mixup": 0.4}}, "augment mixes galaxies of a pass"),
    ],
)
def test_what_it_does_not_go_with(table: dict, problem: str) -> None:
    with pytest.raises(SpecificationError, match=problem):
        convert({"sampling": {}, **table}, origin="suite")


def test_too_few_galaxies_are_told_before_a_run(work, capsys) -> None:
    for text, problem in (
        ("weights=1:1", "there are 2 weights, and the data set with these labels has"),
        ("replacement=false,draws=99999", "a pass draws 99,999 galaxies, and"),
    ):
        assert main(command("--sampling", text, "--dry-run")) == 2
        assert problem in capsys.readouterr().err
