"""Copies of training galaxies that make the classes even: which, how changed, who sees them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.config.suite import Suite
from benchmarks.config.suite_file import convert
from benchmarks.data.loader import Feed
from benchmarks.data.statistics import statistics
from benchmarks.run import main
from datasets.drawn import oversample
from datasets.drawn.copies import copies
from datasets.drawn.pixels import augmented
from datasets.drawn.settings import Augment
from frameworks.spec.reading import SpecificationError
from report.command import command as repeated
from results.schema import COPY
from results.store import Store
from results.studies.galaxies import of_part
from tests.benchmarks.test_data_view import GALAXIES, dataset, run_of, staged
from tests.helpers.fake_backend import command

FEW = np.repeat([0, 1, 2], [60, 18, 12])  # galaxies of each class
HOW = "flip,rotation=20"
CHANGED = Augment(flip="both", rotation=20)


def test_every_class_comes_to_the_largest_evenly() -> None:
    labels, train = FEW, np.arange(0, GALAXIES, 2)
    rows, numbers = copies(labels, train, HOW, 3)
    assert set(rows) <= set(train.tolist())
    every = np.concatenate([train, rows])
    assert np.bincount(labels[every]).tolist() == [30, 30, 30]
    for label in range(3):
        times = np.unique(every[labels[every] == label], return_counts=True)[1]
        assert times.max() - times.min() <= 1
    named = list(zip(rows.tolist(), numbers.tolist(), strict=True))
    assert len(set(named)) == len(named)
    assert numbers.min() == 1
    again, other = (
        copies(labels, train, HOW, 3),
        copies(labels, train, HOW, 4),
    )
    np.testing.assert_array_equal(again[0], rows)
    assert (other[0] != rows).any()
    assert len(copies(labels, np.arange(60), HOW, 0)[0]) == 0


@pytest.mark.parametrize("how", [oversample.REPEATED, HOW])
def test_copies_are_trained_on_and_nothing_else_changes(tmp_path, how) -> None:
    data = dataset(labels=FEW)
    suite = Suite(oversample=how, split_seed=5)
    plain_galaxies, plain = staged(tmp_path / "plain", Suite(split_seed=5), data)
    galaxies, found = staged(tmp_path, suite, data)
    for part in ("validation", "test"):
        np.testing.assert_array_equal(getattr(found.split, part), getattr(plain.split, part))
    rows, numbers = copies(FEW, plain.split.train, how, 5)
    np.testing.assert_array_equal(
        found.split.train, [*plain.split.train, *range(GALAXIES, GALAXIES + len(rows))]
    )
    np.testing.assert_array_equal(found.labels[GALAXIES:], FEW[rows])
    named = rows + numbers * COPY
    np.testing.assert_array_equal(found.index(found.split.train[-len(rows) :]), named)
    expected = data.images[rows]
    if how == HOW:
        expected = augmented(expected, named, CHANGED, 5, 0)
    np.testing.assert_array_equal(np.asarray(found.images)[GALAXIES:], expected)
    np.testing.assert_array_equal(np.asarray(found.images)[:GALAXIES], data.images)
    assert len({counts[0] for counts in galaxies.counts.values()}) == 1
    assert galaxies.sizes.train == len(found.split.train)
    assert galaxies.class_counts == plain_galaxies.class_counts
    assert statistics(galaxies) == statistics(plain_galaxies)
    assert f"Oversampled: {len(rows)} copies of training galaxies" in galaxies.notes[-1]


def test_votes_go_with_the_copies_and_the_hash_has_them(tmp_path) -> None:
    facts = []
    for number, how in enumerate(("", oversample.REPEATED, HOW)):
        fields = {"oversample": how}
        galaxies, found = staged(tmp_path / str(number), Suite(**fields), dataset(labels=FEW))
        config, network = run_of(galaxies, **fields)
        facts.append(Feed(config, network, found).facts().get("augmentation_hash"))
    assert facts[0] is None
    assert len(set(facts)) == 3
    votes = np.random.default_rng(0).random((GALAXIES, 2)).astype(np.float32)
    suite = convert(
        {"loss": "mean_squared_error", "oversample": oversample.REPEATED}, origin="a.toml"
    )
    _, found = staged(tmp_path / "votes", suite, dataset(labels=FEW, votes=votes))
    assert found.votes is not None
    trained = found.split.train[found.split.train < GALAXIES]
    rows, _ = copies(FEW, trained, oversample.REPEATED, 0)
    np.testing.assert_array_equal(found.votes[GALAXIES:], votes[rows])


def test_every_copy_is_drawn_by_itself_in_each_epoch(tmp_path) -> None:
    fields = {"oversample": oversample.REPEATED, "augment": CHANGED}
    galaxies, found = staged(tmp_path, Suite(**fields), dataset(labels=FEW))
    config, network = run_of(galaxies, **fields)
    epoch = Feed(config, network, found).epoch(1)
    pictures = np.concatenate([batch.images for batch in epoch])
    assert len(np.unique(pictures.reshape(len(pictures), -1), axis=0)) == len(pictures)


def test_some_classes_alone_are_copied() -> None:
    assert oversample.written("repeated, classes=2:1:2") == "repeated,classes=1:2"
    assert oversample.written("classes=2") == "repeated,classes=2"
    assert oversample.written("classes=2,flip") == "flip=both,classes=2"
    every = np.arange(GALAXIES)
    rows, _ = copies(FEW, every, "repeated,classes=2", 0)
    assert np.bincount(FEW[rows]).tolist() == [0, 0, 48]
    with pytest.raises(ValueError, match="no galaxies of class 3 to copy; the classes are 0, 1, 2"):
        copies(FEW, every, "repeated,classes=3", 0)


def test_copies_made_before_the_split_are_dealt_like_galaxies(tmp_path) -> None:
    """As published trainings did: a leak, and said to be one."""
    data, suite = dataset(labels=FEW), Suite(oversample="repeated", split_by="copy")
    galaxies, found = staged(tmp_path, suite, data)
    every = np.concatenate(list(found.split.parts().values()))
    assert np.sort(every).tolist() == list(range(180))
    assert np.bincount(found.labels[found.split.test]).tolist() == [12, 12, 12]
    seen = found.index(found.split.train) % COPY
    assert np.isin(found.index(found.split.test) % COPY, seen).mean() > 0.4
    assert galaxies.notes[-1].startswith("LEAK")
    run = {"augmentation": "none", "split_by": "copy", "class_counts": [60, 18, 12]}
    run |= {f"{part}_images": len(rows) for part, rows in found.split.parts().items()}
    assert of_part(pd.Series(run), "test") < len(found.split.test)
    run["split_by"] = "galaxy"
    assert (
        of_part(
            pd.Series(run | {"train_images": 148, "test_images": 16, "validation_images": 16}),
            "train",
        )
        == 58
    )


def test_a_run_records_how_and_can_be_repeated(work, capsys) -> None:
    assert main(command("--oversample", HOW, frameworks=("fake", "fake-gathers"))) == 0
    assert "copies of training galaxies, each changed once" in capsys.readouterr().out
    runs = Store("runs").runs()
    assert set(runs["status"]) == {"ok"}
    assert len(set(runs["augmentation_hash"])) == 1
    run = runs.iloc[0].to_dict() | {"experiment": None, "scale": None}
    assert "--oversample=flip=both,rotation=20.0" in repeated(run)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"oversample": "repeat"}, "field 'oversample': 'repeat' is not field=value"),
        ({"oversample": "rotation=200"}, "field 'oversample': rotation is 200; degrees from 0"),
        ({"oversample": "classes=a"}, "field 'oversample': classes: numbers of classes, as in"),
        ({"oversample": "mixup=1"}, "field 'oversample': mixup, cutmix: a copy has one galaxy's"),
        ({"oversample": "crop=9"}, "field 'oversample': crop: copies have the size of the pict"),
        (
            {"oversample": "repeated", "augmentation": "dihedral"},
            "field 'oversample': makes copies, and so does augmentation dihedral; state one",
        ),
    ],
)
def test_a_bad_suite_is_named(fields, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        convert(fields, origin="a.toml")


def test_pictures_that_it_does_not_fit_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="oversample: quarter_turns turns pictures by 90 degrees"):
        staged(tmp_path, Suite(oversample="quarter_turns"), dataset(width=10))
