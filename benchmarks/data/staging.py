"""The galaxies, prepared once by the parent and read by every worker.

Plain `.npy` files in a scratch directory: workers map them into memory, so that all of them read
the same bytes and none spends time on decoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.config.plan import SplitSizes
from benchmarks.config.runconfig import DataView
from benchmarks.config.suite import Suite
from datasets.augment import AugmentedImages, Copies, copies_of
from datasets.batches import Images
from datasets.drawn import copies as oversampling
from datasets.drawn import oversample
from datasets.drawn.settings import Augment, check_fits
from datasets.resize import ScaledImages, middle
from datasets.splits import Split, crossing, of_copies, per_class_counts
from frameworks.spec.losses import Loss, check_votes, targets_of
from results import words
from results.schema import COPY

if TYPE_CHECKING:
    from datasets.catalog import Dataset
    from results.store import Store

_PAGE_BYTES = 4096
_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class StagedData:
    """Data that a worker trains on; with augmentation a row for every copy of a galaxy.

    Attributes:
        images: uint8 (n, h, w, c); with augmentation a view that makes the copies.
        labels: int64 (n,).
        split: rows of train, validation and test.
        galaxies: int64, the rows of the galaxies in the data set that they were taken from.
        copies: the copies made of each galaxy.
        votes: float32 (n, k) if a loss of votes trains towards them, else None.
        whole: the whole pictures if the recipe draws crops, else None; images are their middles,
            or all of them scaled.
    """

    images: Images
    labels: np.ndarray
    split: Split
    galaxies: np.ndarray
    copies: Copies
    votes: np.ndarray | None = None
    whole: Images | None = None

    def targets(self, loss: Loss) -> np.ndarray:
        """Targets of a loss: labels int64 (n,), or votes float32 (n, k)."""
        if targets_of(loss) != "votes":
            return self.labels
        assert self.votes is not None
        return self.votes

    def index(self, rows: np.ndarray) -> np.ndarray:
        """Values of `predictions.index` for these rows: int64."""
        galaxy, copy = np.divmod(rows, self.copies.count)
        return self.galaxies[galaxy] + copy * COPY


@dataclass(frozen=True)
class Galaxies:
    """Facts about the staged data that the parent knows.

    Attributes:
        class_counts: galaxies of each class.
        counts: images in train, validation and test, by the name of the class.
        notes: sentences on what was made of the galaxies.
        left_out: galaxies that a conversion left out, in words, or "".
    """

    directory: Path
    view: DataView
    sizes: SplitSizes
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    counts: dict[str, tuple[int, ...]]
    source: str
    notes: tuple[str, ...] = ()
    left_out: str = ""


def load(suite: Suite) -> Dataset:
    """The data set that a suite names; downloads it when it has to.

    Raises:
        ValueError, OSError: it is unknown or cannot be read; the message says what to do.
    """
    from datasets import catalog

    settings: dict[str, object] = {}
    if suite.demo_images is not None:
        settings["demo_images"] = suite.demo_images
    return catalog.load(
        suite.dataset,
        labels=suite.labels,
        channels=suite.channels,
        image_key=suite.image_key,
        label_key=suite.label_key,
        group_key=suite.group_key,
        label_map=suite.label_map,
        split_from=suite.split_from,
        skip_bad=suite.skip_bad,
        image_size=suite.image_size,
        fraction=suite.fraction,
        fraction_seed=suite.split_seed,
        **settings,  # type: ignore[arg-type]
    )


def stage(dataset: Dataset, suite: Suite, directory: Path) -> Galaxies:
    """Split the data set and write it where the workers read it: each galaxy once, and oversampled
    copies behind them.

    Raises:
        ValueError: the fractions cannot be had of these classes, or the copies or what is drawn
            not of these pictures, or votes cannot be trained towards.
        OSError: the scratch directory is full or cannot be written.
    """
    _, height, width, image_channels = dataset.images.shape
    copies = copies_of(height, width, suite.augmentation, suite.crop_size)
    if suite.split_by == "copy" and copies.count == 1 and not _has_copies(dataset, suite):
        raise ValueError(
            "split_by: is 'copy', and there are no copies; use augmentation crops40 or dihedral, "
            "oversample, or a file with 'groups'"
        )
    drawn_crop = 0
    if suite.augment is not None:
        drawn_crop = suite.augment.crop
        check_fits(suite.augment, height, width, image_channels)
    if suite.oversample and (once := oversample.read(suite.oversample).settings) is not None:
        check_fits(once, height, width, image_channels, "oversample")
    labels, split, added, copy_numbers = _dealt(dataset, suite, copies.count)
    rows = np.arange(len(dataset.labels)) if dataset.rows is None else dataset.rows
    numbers = rows[added] + copy_numbers * COPY
    arrays = {"labels": labels, "galaxies": np.concatenate([rows, numbers])}
    voted = targets_of(suite.loss) == "votes"
    if dataset.votes is not None and voted:
        check_votes(suite.loss, dataset.votes, dataset.name)
        arrays["votes"] = np.concatenate([dataset.votes, dataset.votes[added]])
    try:
        directory.mkdir(parents=True)
        for name, array in (arrays | split.parts()).items():
            np.save(directory / f"{name}.npy", array)
        how = suite.oversample or oversample.REPEATED
        made_of = oversampling.pictures(dataset.images, added, numbers, how, suite.split_seed)
        _write_pictures(directory / "images.npy", dataset.images, len(added), made_of)
    except OSError as error:
        raise OSError(
            f"cannot write {dataset.images.nbytes / 1e6:,.0f} MB of galaxies for the workers to "
            f"{directory.parent}: {error.strerror or error}; set TMPDIR to a directory with room"
        ) from error

    crop = copies.crop if copies.cropped else drawn_crop
    classes = len(dataset.class_names)
    per_part = split.counts(np.repeat(labels, copies.count), classes)
    counts = {
        name: tuple(int(images[label]) for images in per_part.values())
        for label, name in enumerate(dataset.class_names)
    }
    return Galaxies(
        directory=directory,
        view=DataView(
            dataset=dataset.name,
            sha256=dataset.sha256,
            labels=dataset.label_view,
            channels=dataset.channels,
            height=crop or height,
            width=crop or width,
            image_channels=image_channels,
            classes=classes,
            image_key=suite.image_key,
            label_key=suite.label_key,
            label_map=suite.label_map,
            twins=dataset.twins,
            fraction=suite.fraction,
            augmentation=suite.augmentation,
            cropped_from=min(height, width) if crop else 0,
            oversample=oversample.written(suite.oversample),
            scaled=suite.augment is not None and suite.augment.scales,
            votes=arrays["votes"].shape[1] if "votes" in arrays else 0,
            votes_sha256=_sha256(arrays["votes"]) if "votes" in arrays else "",
        ),
        sizes=SplitSizes(len(split.train), len(split.validation), len(split.test)),
        class_names=tuple(dataset.class_names),
        class_counts=tuple(per_class_counts(dataset.labels, classes).tolist()),
        counts=counts,
        source=dataset.source,
        notes=_notes(dataset, suite, copies, len(added)),
        left_out=dataset.left_out,
    )


def _has_copies(dataset: Dataset, suite: Suite) -> bool:
    """True if there are several pictures of one galaxy, augmentation apart."""
    return dataset.groups is not None or bool(suite.oversample)


def _sha256(votes: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(votes, "<f4").tobytes()).hexdigest()


def _dealt(
    dataset: Dataset, suite: Suite, copies: int
) -> tuple[np.ndarray, Split, np.ndarray, np.ndarray]:
    """The labels of all pictures and their split; and of oversampled copies, which are the last of
    them, the rows that they are of and their numbers."""
    labels, how, seed = dataset.labels, suite.oversample, suite.split_seed
    added, numbers = _NONE, _NONE
    first = bool(how) and suite.split_by == "copy"  # as published: copies, then the split
    if first:
        added, numbers = oversampling.copies(labels, np.arange(len(labels)), how, seed)
        labels = np.concatenate([labels, labels[added]])
    split = of_copies(
        labels,
        copies,
        by=suite.split_by,
        test_copies=suite.test_copies,
        test_fraction=suite.test_fraction,
        fold=suite.fold,
        validation_fraction=suite.validation_fraction,
        seed=seed,
        groups=dataset.groups,
        mixed=dataset.twins,
        parts=dataset.parts,
    )
    if how and not first:
        added, numbers = oversampling.copies(labels, split.train, how, seed)
        made = np.arange(len(labels), len(labels) + len(added))
        split = replace(split, train=np.concatenate([split.train, made]))
        labels = np.concatenate([labels, labels[added]])
    return labels, split, added, numbers


def _write_pictures(
    path: Path, images: np.ndarray, count: int, added: Iterable[np.ndarray]
) -> None:
    """The pictures, and behind them `count` that are added, some at a time."""
    shape = (len(images) + count, *images.shape[1:])
    if not count:
        np.save(path, images)
        return
    kept = np.lib.format.open_memmap(path, mode="w+", dtype=images.dtype, shape=shape)
    kept[: len(images)] = images
    place = len(images)
    for some in added:
        kept[place : place + len(some)] = some
        place += len(some)
    kept.flush()


def _notes(dataset: Dataset, suite: Suite, copies: Copies, added: int) -> tuple[str, ...]:
    """Notes for a user on these galaxies and the copies made of them."""
    notes = [dataset.note] if dataset.note else []
    if dataset.rows is not None:
        notes.append(f"A fraction of {suite.fraction:g} of the galaxies, by class.")
    if copies.count > 1:
        size = f" of {copies.crop}x{copies.crop} pixels" if copies.cropped else ""
        tested = "every copy" if suite.test_copies == "all" else "the centre, unturned"
        notes.append(
            f"{suite.augmentation}: {words.count(copies.count, 'copy')} of each galaxy{size}; "
            f"validation and test look at {tested}."
        )
    if suite.oversample:
        found = oversample.read(suite.oversample)
        how = "repeated" if found.settings is None else "each changed once"
        of = "galaxies" if suite.split_by == "copy" else "training galaxies"
        which = f"class {', '.join(map(str, found.classes))}" if found.classes else "every class"
        notes.append(
            f"Oversampled: {words.count(added, 'copy')} of {of}, {how}, so that {which} has as "
            "many as the largest; accuracies in training are of these."
        )
    if dataset.parts is not None:
        notes.append(f"The published split of '{suite.split_from}'.")
        copies_apart = 0 if dataset.groups is None else crossing(dataset.groups, dataset.parts)
        if copies_apart:
            notes.append(
                f"LEAK, as published: {words.count(copies_apart, 'picture')} with a copy in "
                "another part."
            )
    if suite.augment is not None:
        own = suite.augment.by == "framework"
        by = " by each framework, each its own, so that no two train on the same" if own else ""
        notes.append(
            f"Training pictures are drawn anew in each epoch{by} (augment); validation and test "
            f"look at {_tested(suite.augment)}."
        )
    if suite.split_by == "copy":
        notes.append(
            "LEAK, as asked for by split_by 'copy': copies of one galaxy are trained and tested "
            "on, so that accuracies are too high; split_by 'galaxy' keeps them together."
        )
    few = per_class_counts(dataset.labels, len(dataset.class_names))
    for name, count in zip(dataset.class_names, few.tolist(), strict=True):
        if 0 < count < 3:
            notes.append(
                f"Class '{name}' has {words.count(count, 'galaxy')}: not every part "
                "has one; three would serve, as would labels that join it to another class."
            )
    return tuple(notes)


def _tested(augment: Augment) -> str:
    """The pictures of validation and test, in words."""
    if not augment.crop:
        return "the pictures themselves"
    size = f"{augment.crop}x{augment.crop} pixels"
    return (
        f"the whole pictures, scaled to {size}" if augment.scales else "the middle of each picture"
    )


def load_staged(directory: Path, view: DataView) -> StagedData:
    """The staged data, mapped into memory and read once, so that no epoch waits for a disk.

    With augmentation the galaxies' pictures are all that is held; copies are made when asked for.
    """
    base = np.asarray(np.load(directory / "images.npy", mmap_mode="r"))
    base.reshape(-1)[::_PAGE_BYTES].max(initial=0)
    labels, galaxies, *parts = (
        np.load(directory / f"{name}.npy")
        for name in ("labels", "galaxies", "train", "validation", "test")
    )
    of_copies_alone = view.height if view.augmentation == "crops40" else None
    copies = copies_of(base.shape[1], base.shape[2], view.augmentation, of_copies_alone)
    images: Images = base if copies.count == 1 else AugmentedImages(base, copies)
    whole = None
    if view.cropped_from and copies.count == 1:
        whole = base
        if view.scaled:
            images = ScaledImages(base, view.height)
        else:
            images = middle(base, view.height, view.width)
    voted = directory / "votes.npy"
    votes = np.repeat(np.load(voted), copies.count, axis=0) if voted.exists() else None
    labels = np.repeat(labels, copies.count)
    return StagedData(images, labels, Split(*parts), galaxies, copies, votes, whole)


def save_examples(dataset: Dataset, store: Store, *, per_class: int = 4) -> None:
    """Keep the first few images of each class beside the runs, for the report.

    Raises:
        OSError: the store cannot be written.
    """
    rows = np.concatenate(
        [
            np.flatnonzero(dataset.labels == label)[:per_class]
            for label in range(len(dataset.class_names))
        ]
    )
    store.save_examples(
        dataset.images[rows],
        dataset.labels[rows],
        dataset.class_names,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        label_view=dataset.label_view,
        channels=dataset.channels,
    )
