"""Drawn augmentation of a run: from the command line to batches, hashes and rows."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.config.overrides import augment as read
from benchmarks.config.suite import Suite
from benchmarks.config.suite_file import convert
from benchmarks.data.loader import Feed, Part
from benchmarks.run import main
from datasets.drawn.pixels import augmented
from datasets.drawn.settings import Augment
from datasets.resize import box_downscale
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import from_table
from report.command import command as repeated
from results.schema import COPY
from results.store import Store
from tests.benchmarks.test_data_view import dataset, run_of, staged
from tests.helpers.fake_backend import command

SIDE = 28
DRAWN = Augment(flip="both", rotation=180, zoom=(0.8, 1.2), crop=24, brightness=0.2)


def feed_of(tmp_path: Path, **fields) -> Feed:
    galaxies, found = staged(tmp_path, Suite(**fields), dataset(side=SIDE))
    config, network = run_of(galaxies, **fields)
    return Feed(config, network, found)


@pytest.mark.parametrize(
    ("copies", "drawn"), [("none", DRAWN), ("dihedral", Augment(rotation=30)), ("crops40", DRAWN)]
)
def test_a_batch_is_as_drawn_for_its_galaxies_and_epoch(tmp_path, copies, drawn) -> None:
    if copies == "crops40":
        drawn = Augment(shift=0.2, noise=0.1)
    feed = feed_of(tmp_path, augmentation=copies, augment=drawn)
    base = feed.data.images if feed.data.whole is None else feed.data.whole
    for number in (1, 2):
        epoch = feed.epoch(number)
        for step, rows in enumerate(epoch.indices):
            galaxies = feed.data.index(rows)
            expected = augmented(base[rows], galaxies, drawn, feed.config.seed, number)
            np.testing.assert_array_equal(epoch[step].images, expected)
    assert (feed.data.index(np.arange(len(feed.data.labels))) >= COPY).any() == (copies != "none")


@pytest.mark.parametrize(
    "fields",
    [
        {"augment": DRAWN},
        {"augment": Augment(mixup=0.4), "augmentation": "dihedral"},
        {"augment": DRAWN, "steps_per_epoch": 5},
        {"augmentation": "crops40"},
    ],
)
def test_staged_epochs_have_the_batches_of_streamed_ones_in_one_shape(tmp_path, fields) -> None:
    fields = fields | {"epochs": 3, "tuning": ("tuned",)}
    streamed = feed_of(tmp_path / "a", **fields)
    staged_feed = feed_of(tmp_path / "b", **fields, feed="staged")
    assert staged_feed.facts() == streamed.facts()
    example = staged_feed.example()
    shapes = {example.images.shape, (len(example.images), *example[0].images.shape[1:])}
    for number in (1, 2, 3):
        mine, other = staged_feed.laid_out(number), streamed.epoch(number)
        shapes.add(mine.images.shape)
        assert isinstance(mine.images, np.ndarray)
        assert mine.served == []
        for one, batch in zip(mine, other, strict=True):
            np.testing.assert_array_equal(one.images, batch.images)
            np.testing.assert_array_equal(one.labels, batch.labels)
            assert one.masks.keys() == batch.masks.keys()
    assert len(shapes) == 1


def test_the_middle_is_tested_and_the_whole_is_drawn_from(tmp_path) -> None:
    feed = feed_of(tmp_path, augment=DRAWN)
    view, data = feed.config.data, feed.data
    assert (view.height, view.width, view.cropped_from) == (24, 24, 28)
    assert feed.network.input_shape == (24, 24, 3)
    (tested,) = Part(data, data.split.test, 16).slices()
    np.testing.assert_array_equal(tested, dataset(side=SIDE).images[data.split.test, 2:26, 2:26])
    assert data.whole is not None
    assert data.whole.shape[1:3] == (SIDE, SIDE)
    assert feed.epoch(1)[0].images.shape[1:3] == (24, 24)
    assert (
        "middle of each picture"
        in staged(tmp_path / "b", Suite(augment=DRAWN), dataset(side=SIDE))[0].notes[-1]
    )


def test_of_scaled_parts_the_whole_is_tested_in_their_size(tmp_path) -> None:
    drawn = Augment(area=(0.5, 1), crop=14, crop_first=True, rotation=30)
    feed = feed_of(tmp_path, augment=drawn)
    view, data = feed.config.data, feed.data
    assert (view.height, view.width, view.cropped_from, view.scaled) == (14, 14, SIDE, True)
    (tested,) = Part(data, data.split.test, 16).slices()
    whole = dataset(side=SIDE).images[data.split.test]
    np.testing.assert_array_equal(tested, box_downscale(whole, 14))
    assert feed.epoch(1)[0].images.shape[1:3] == (14, 14)
    galaxies, _ = staged(tmp_path / "b", Suite(augment=drawn), dataset(side=SIDE))
    assert "test look at the whole pictures, scaled to 14x14 pixels." in galaxies.notes[-1]


def test_the_hash_is_of_settings_seed_and_pictures(tmp_path) -> None:
    def fact(number: int, **fields) -> str:
        return feed_of(tmp_path / str(number), **fields).facts()["augmentation_hash"]

    again = [fact(number, augment=DRAWN) for number in (0, 1)]
    assert again[0] == again[1]
    others = [
        fact(2, augment=Augment(flip="both", rotation=180, zoom=(0.8, 1.2), crop=24)),
        fact(3, augment=DRAWN, seeds=(1,)),
        fact(4, augment=DRAWN, epochs=3),
        fact(5, augment=Augment(flip="both"), augmentation="dihedral"),
        fact(6, augmentation="dihedral"),
    ]
    assert len({again[0], *others}) == 6


def test_threads_are_those_that_the_run_may_use(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.system.machine.usable_cpus", lambda: [0, 1, 2, 3])
    feed = feed_of(tmp_path, augment=DRAWN)
    for threads, expected in ((0, 4), (2, 2), (9, 4)):
        config = msgspec.structs.replace(feed.config, threads=threads)
        made = Feed(config, feed.network, feed.data)
        assert made.drawing is not None
        assert made.drawing.threads == expected


def test_drawn_pictures_are_trained_on_and_recorded(work, capsys) -> None:
    asked = ("--augment", "flip,rotation=180,zoom=0.9:1.1")
    names = ("fake", "fake-gathers", "fake-greedy")
    assert main(command(*asked, frameworks=names)) == 0, "what is drawn is never staged"
    assert "Training pictures are drawn anew in each epoch" in capsys.readouterr().out
    runs = Store("runs").runs()
    assert set(runs["status"]) == {"ok"}
    assert runs["augmentation_hash"].nunique() == 1
    assert runs["augmentation_hash"].notna().all()
    run = runs.iloc[0].to_dict()
    stated = {"flip": "both", "rotation": 180.0, "zoom": [0.9, 1.1]}
    assert json.loads(run["recipe"])["augment"] == stated
    assert "--augment=flip=both,rotation=180.0,zoom=0.9:1.1" in repeated(
        run | {"experiment": None, "scale": None}
    )
    assert json.loads(run["extra"])["host_wait_seconds"] > 0

    options = ("--tuning", "tuned", "--feed")
    for how in ("staged", "streamed"):
        assert main(command(*asked, *options, how, frameworks=("fake-tuned",))) == 0
    store = Store("runs")
    last = store.runs().tail(2)
    assert last["augmentation_hash"].tolist() == [run["augmentation_hash"]] * 2
    losses = store.epochs().set_index("run_id")["loss"]
    one, other = (losses[run_id].tolist() for run_id in last["run_id"])
    assert one == other
    assert all(json.loads(extra)["host_wait_seconds"] > 0 for extra in last["extra"])

    assert main(command()) == 0
    plain = Store("runs").runs().iloc[-1].to_dict()
    assert (
        plain["augmentation_hash"] is None
        or plain["augmentation_hash"] != plain["augmentation_hash"]
    )
    assert plain["task_id"] not in set(runs["task_id"])


def test_what_is_written_is_what_is_read() -> None:
    assert read("none") is None
    assert read("flip, quarter_turns ,shear=5") == Augment(flip="both", quarter_turns=True, shear=5)
    assert read("crop=60,edge=constant,zoom=0.5:2") == Augment(
        crop=60, edge="constant", zoom=(0.5, 2)
    )
    table = {"rotation": 180, "zoom": [0.9, 1.1]}
    expected = Augment(rotation=180, zoom=(0.9, 1.1))
    assert from_table({"augment": table}, "a.toml: [recipe]").augment == expected
    assert convert({"augment": table}, origin="a.toml").augment == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "flip,rotaton=180",
            "--augment: 'rotaton=180' is not field=value .did you mean",
        ),
        ("rotation=200", "--augment: rotation is 200; degrees from 0 to 180"),
        ("zoom=0.1", "--augment: 'zoom=0.1' is no two numbers; give the lowest and the highest"),
        ("zoom=0.9:1:2", "--augment: 'zoom=0.9:1:2' is no two numbers"),
        ("zoom=0.9:x", "--augment: field 'zoom': "),
        ("rotation", "'rotation' is not field=value"),
        ("rotation=a", "--augment: field 'rotation': "),
        ("", "--augment: nothing is drawn"),
        ("flip=sideways", "--augment: field 'flip': Invalid enum value 'sideways'"),
    ],
)
def test_a_bad_option_is_named(text, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"augment": {"rotat": 3}}, "unknown field `rotat` .did you mean 'rotation'"),
        ({"augment": {"rotation": 300}}, "field 'augment': rotation is 300"),
        (
            {"augment": {"crop": 24}, "augmentation": "crops40"},
            "has a crop, and augmentation c",
        ),
        ({"augment": {"crop": 24}, "augmentation": "dihedral"}, "has a crop, and augmentation dih"),
    ],
)
def test_a_bad_suite_is_named(table, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        convert(table, origin="a.toml")
    if "rotat" in table["augment"]:
        with pytest.raises(SpecificationError, match=r"'augment': unknown field 'rotat' \(did"):
            from_table({"augment": table["augment"]}, "a.toml: [recipe]")


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        (Augment(crop=13), "augment: crop is 13 pixels, and the pictures are 12x12"),
        (Augment(quarter_turns=True), "must be square, and these are 12x10; use rotation = 180"),
    ],
)
def test_pictures_that_it_does_not_fit_are_refused_before_any_run(tmp_path, drawn, message) -> None:
    with pytest.raises(ValueError, match=message):
        staged(tmp_path, Suite(augment=drawn), dataset(width=12 if drawn.crop else 10))
