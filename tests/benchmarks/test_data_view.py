"""The data view of a run: copies and parts of the galaxies, from the command line to the rows."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.config.matrix import matrix
from benchmarks.config.plan import SplitSizes
from benchmarks.config.suite import Suite
from benchmarks.data import loader as serving
from benchmarks.data import staging
from benchmarks.data.loader import Feed, Part
from benchmarks.data.staging import Galaxies, StagedData
from benchmarks.run import main
from benchmarks.worker.evaluate import evaluate
from benchmarks.worker.timer import Clock
from datasets.augment import AugmentedImages
from datasets.catalog import Dataset
from datasets.splits import per_class_counts, stratified
from frameworks.spec.losses import CrossEntropy, MeanSquaredError
from results.schema import COPY
from results.store import Store
from tests.helpers.fake_backend import FakeBackend, command

GALAXIES = 90


def dataset(side: int = 12, width: int | None = None, **changes: object) -> Dataset:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (GALAXIES, side, width or side, 3), dtype=np.uint8)
    given = {"images": images, "labels": np.arange(GALAXIES) % 3, "groups": None, "rows": None}
    names = ("a", "b", "c")
    given |= changes
    return Dataset(
        name="test",
        class_names=names,
        label_view="native",
        channels="rgb",
        sha256="0" * 64,
        source="",
        **given,  # type: ignore[arg-type]
    )


def staged(tmp_path: Path, suite: Suite, data: Dataset) -> tuple[Galaxies, StagedData]:
    galaxies = staging.stage(data, suite, tmp_path / "data")
    return galaxies, staging.load_staged(tmp_path / "data", galaxies.view)


def test_only_the_galaxies_themselves_are_staged(tmp_path) -> None:
    data = dataset()
    galaxies, found = staged(tmp_path, Suite(augmentation="crops40"), data)
    assert np.load(tmp_path / "data" / "images.npy").nbytes == data.images.nbytes
    assert isinstance(found.images, AugmentedImages)
    assert found.images.nbytes == data.images.nbytes
    assert (galaxies.view.height, galaxies.view.width, galaxies.view.cropped_from) == (10, 10, 12)
    assert len(found.images) == len(found.labels) == 40 * GALAXIES
    np.testing.assert_array_equal(found.labels, np.repeat(data.labels, 40))
    np.testing.assert_array_equal(found.images[40 * 7], data.images[7, 1:11, 1:11])

    of_galaxies = stratified(data.labels)
    assert galaxies.sizes == SplitSizes(
        40 * len(of_galaxies.train), len(of_galaxies.validation), len(of_galaxies.test)
    )
    np.testing.assert_array_equal(found.index(found.split.test), of_galaxies.test)
    assert sum(counts[0] for counts in galaxies.counts.values()) == galaxies.sizes.train
    assert sum(galaxies.class_counts) == GALAXIES


def test_the_index_of_a_copy_tells_galaxy_and_copy(tmp_path) -> None:
    rows = np.arange(GALAXIES) * 3 + 1  # a part of a larger data set
    suite = Suite(augmentation="dihedral", test_copies="all", fraction=0.3)
    _, found = staged(tmp_path, suite, dataset(rows=rows))
    index = found.index(found.split.test)
    assert len(np.unique(index)) == len(index)
    np.testing.assert_array_equal(index % COPY, rows[found.split.test // 8])
    np.testing.assert_array_equal(index // COPY, found.split.test % 8)


def test_votes_go_with_every_copy_of_their_galaxy(tmp_path) -> None:
    votes = np.random.default_rng(1).dirichlet((1, 1), GALAXIES).astype(np.float32)
    data = dataset(votes=votes, vote_names=("smooth", "disk"))
    suite = Suite(augmentation="dihedral", loss=MeanSquaredError())
    galaxies, found = staged(tmp_path, suite, data)
    assert (galaxies.view.votes, len(galaxies.view.votes_sha256)) == (2, 64)
    assert found.targets(suite.loss) is found.votes
    assert found.targets(CrossEntropy()) is found.labels
    np.testing.assert_array_equal(found.votes, np.repeat(votes, 8, axis=0))


def test_without_copies_all_is_as_before(tmp_path) -> None:
    data = dataset()
    galaxies, found = staged(tmp_path, Suite(), data)
    assert isinstance(found.images, np.ndarray)
    np.testing.assert_array_equal(found.images, data.images)
    assert found.split.sha256() == stratified(data.labels).sha256()
    np.testing.assert_array_equal(found.index(found.split.test), found.split.test)
    assert galaxies.notes == ()
    assert found.votes is None


@pytest.mark.parametrize(
    ("suite", "data", "message"),
    [
        (
            Suite(augmentation="dihedral"),
            dataset(width=10),
            "must be square, and these are 12x10; use augmentation none",
        ),
        (
            Suite(augmentation="crops40", crop_size=20),
            dataset(),
            "crop_size: 20 pixels of pictures of 12x12 .*; use at most 10",
        ),
        (
            Suite(split_by="copy"),
            dataset(),
            "split_by: is 'copy', and there are no copies; use augmentation crops40 or dihedral",
        ),
    ],
)
def test_data_that_cannot_serve_are_refused(tmp_path, suite, data, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        staged(tmp_path, suite, data)
    assert not (tmp_path / "data").exists()


def test_copies_that_a_file_itself_has_can_be_dealt_one_by_one(tmp_path) -> None:
    data = dataset(groups=np.arange(GALAXIES) // 6, labels=np.arange(GALAXIES) // 6 % 3)
    galaxies, found = staged(tmp_path, Suite(split_by="copy"), data)
    assert len(np.intersect1d(data.groups[found.split.test], data.groups[found.split.train]))
    assert any(note.startswith("LEAK") for note in galaxies.notes)


def test_a_class_that_not_every_part_can_have_is_told(tmp_path) -> None:
    labels = np.arange(GALAXIES) % 2
    labels[5] = 2
    galaxies, _ = staged(tmp_path, Suite(), dataset(labels=labels))
    (note,) = galaxies.notes
    assert note.startswith("Class 'c' has 1 galaxy: not every part has one; three would serve")


def run_of(view: Galaxies, **changes: object) -> tuple:
    suite = Suite(frameworks=("torch",), architectures=("c1",), batch_size=(16,), **changes)  # type: ignore[arg-type]
    (run,) = matrix(suite, view.view, view.sizes, devices={}, threads=1)
    return run.config, run.network


def test_the_hash_is_of_what_is_served(tmp_path) -> None:
    hashes = set()
    for number, (kind, pictures) in enumerate(
        [("crops40", 0), ("dihedral", 0), ("dihedral", 0), ("dihedral", 1), ("none", 0)]
    ):
        data = dataset(side=24)
        data.images[:] += np.uint8(pictures)
        suite = Suite(augmentation=kind)  # type: ignore[arg-type]
        galaxies, found = staged(tmp_path / str(number), suite, data)
        config, network = run_of(galaxies, augmentation=kind)
        feed = Feed(config, network, found)
        hashes.add(feed.facts().get("augmentation_hash"))
        batch = feed.epoch(1)[0]
        np.testing.assert_array_equal(batch.images, found.images[feed.plan(1).rows[0]])
    assert len(hashes) == 4
    assert None in hashes  # without copies nothing is recorded, as in earlier runs


def test_a_part_is_looked_at_by_slices_of_whole_batches(tmp_path, monkeypatch) -> None:
    suite = Suite(augmentation="crops40", test_copies="all")
    galaxies, found = staged(tmp_path, suite, dataset())
    rows, picture = found.split.test[:700], 10 * 10 * 3
    monkeypatch.setattr(serving, "SLICE_BYTES", 50 * picture)
    part = Part(found, rows, 16)
    lengths = [len(images) for images in part.slices()]
    assert lengths == [48] * 14 + [28]
    whole = found.images[rows]
    np.testing.assert_array_equal(np.concatenate(list(part.slices())), whole)
    assert [len(images) for images in Part(found, rows, 100).slices()][:2] == [100, 100]

    class Silent:
        def send(self, *_: object, **__: object) -> None:
            pass

    config, network = run_of(galaxies, augmentation="crops40")
    shown: list[int] = []

    class Watched(FakeBackend):
        def __init__(self) -> None:
            self.network, self.recipe = network, config.recipe

        def predict(self, images: np.ndarray) -> np.ndarray:
            shown.append(len(images))
            return images.reshape(len(images), -1)[:, :3].astype(np.float64)

    logits, score = evaluate(Watched(), part, Clock(Silent()))  # type: ignore[arg-type]
    assert shown == lengths
    np.testing.assert_array_equal(logits, whole.reshape(len(whole), -1)[:, :3])
    expected = (logits.argmax(axis=1) == found.labels[rows]).mean()
    assert score.accuracy == pytest.approx(expected)
    assert config.data.augmentation == "crops40"


def test_no_array_of_the_full_size_is_made(tmp_path, monkeypatch) -> None:
    """An epoch of copies and a look at all that are tested: memory stays near the base's."""
    suite = Suite(augmentation="crops40", test_copies="all")
    data = dataset(side=40)
    galaxies, found = staged(tmp_path, suite, data)
    config, network = run_of(galaxies, augmentation="crops40", test_copies="all")
    monkeypatch.setattr(serving, "SLICE_BYTES", data.images.nbytes // 4)
    tracemalloc.start()
    feed = Feed(config, network, found)
    feed.masks = None
    feed.facts()
    seen = sum(len(batch) for batch in feed.epoch(1))
    seen += sum(len(images) for images in Part(found, found.split.test, 16).slices())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == len(found.split.train) + len(found.split.test) > 70 * 40
    assert peak < 2 * data.images.nbytes  # 40 copies would be 33 times that


def test_copies_are_trained_on_and_recorded(work, capsys) -> None:
    copies = ("--augmentation", "dihedral", "--batch-size", "64")
    names = ("fake", "fake-gathers", "fake-greedy")
    assert main(command(*copies, frameworks=names)) == 0, "a view is never staged"
    out = capsys.readouterr().out
    assert "dihedral: 8 copies of each galaxy; validation and test look at the centre" in out
    runs = Store("runs").runs()
    assert set(runs["status"]) == {"ok"}
    assert set(runs["augmentation"]) == {"dihedral"}
    assert set(runs["split_by"]) == {"galaxy"}
    assert runs["augmentation_hash"].nunique() == 1
    assert set(runs["train_images"]) == {58 * 8}
    assert set(runs["test_images"]) == {18}
    assert set(runs["class_counts"]) == {(30, 30, 30)}
    predictions = Store("runs").predictions()
    assert predictions["index"].max() < 90

    assert main(command()) == 0
    plain = Store("runs").runs().iloc[-1]
    assert plain["augmentation"] == "none"
    assert plain["augmentation_hash"] is None or plain.isna()["augmentation_hash"]
    assert plain["run_id"] not in set(runs["run_id"])


def test_a_leak_is_said_everywhere(work, capsys) -> None:
    leak = ("--augmentation", "crops40", "--crop-size", "4", "--split-by", "copy")
    asked = command(*leak, "--test-copies", "all")
    asked.remove("--no-report")
    assert main([*asked, "--report", "page"]) == 0
    out = capsys.readouterr().out
    assert "crops40: 40 copies of each galaxy of 4x4 pixels; validation and test look at ev" in out
    assert "LEAK, as asked for by split_by 'copy'" in out
    (run,) = Store("runs").runs().to_dict("records")
    assert (run["image_height"], run["test_images"]) == (4, 720)
    assert (run["split_by"], run["test_copies"]) == ("copy", "all")
    index = Store("runs").predictions()["index"]
    assert index.nunique() == 720
    assert (index % COPY).nunique() > 80
    page = (work / "page" / "index.html").read_text()
    assert "linear, split by copy (leak), tested on all copies" in page
    assert "crops40" in page
    assert "Its accuracies are too high" in page


def test_a_part_of_the_galaxies_is_taken_and_named(work, capsys) -> None:
    asked = command("--fraction", "0.5", "--batch-size", "8")
    asked.remove("--no-report")
    assert main([*asked, "--report", "page"]) == 0
    assert "A fraction of 0.5 of the galaxies, by class." in capsys.readouterr().out
    (run,) = Store("runs").runs().to_dict("records")
    assert (run["fraction"], run["class_counts"]) == (0.5, (15, 15, 15))
    with h5py.File("galaxies.h5") as file:
        labels = file["ans"][()]
    predictions = Store("runs").predictions()
    assert predictions["index"].max() >= 45  # rows of the file, not of the part
    assert (labels[predictions["index"]] == predictions["label"]).all()
    assert per_class_counts(labels[predictions["index"]], 3).tolist() == [3, 3, 3]
    page = (work / "page" / "index.html").read_text()
    assert "fraction 0.5" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fraction", "0"), "field 'fraction': is 0.0; above 0, and at most 1."),
        (("--crop-size", "4"), "field 'crop_size': is 4, and nothing is cropped"),
        (("--augmentation", "crops40", "--crop-size", "6"), "crop_size: 6 pixels of pictures of"),
        (("--test-copies", "all"), "field 'test_copies': is 'all', and there are no copies"),
        (("--split-by", "copy"), "split_by: is 'copy', and there are no copies"),
        (("--labels", "hubble"), "labels 'hubble' need a dataset 't_type'"),
        (
            ("--architectures", "c2", "--augmentation", "crops40"),
            "These are crops of 4 from 6x6 pixels: no crop_size serves",
        ),
    ],
)
def test_what_cannot_be_run_is_one_message(work, capsys, options, message: str) -> None:
    assert main(command(*options)) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
