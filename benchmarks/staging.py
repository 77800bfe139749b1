"""The galaxies, prepared once by the parent and read by every worker.

Plain `.npy` files in a scratch directory: workers map them into memory, so that all of them read
the same bytes and none spends time on decoding.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.plan import DataView, SplitSizes
from benchmarks.suite import Suite
from datasets.splits import Split, per_class_counts, stratified

if TYPE_CHECKING:
    from datasets.catalog import Dataset
    from results.store import Store

_SCRATCH = "galaxy-benchmark-"
_PAGE_BYTES = 4096


@dataclass(frozen=True)
class StagedData:
    """What a worker trains on: images uint8 (n, h, w, c), labels int64 (n,), and the split."""

    images: np.ndarray
    labels: np.ndarray
    split: Split


@dataclass(frozen=True)
class Galaxies:
    """What the parent knows of the staged data.

    counts: images in train, validation and test, by the name of the class.
    """

    directory: Path
    view: DataView
    sizes: SplitSizes
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    counts: dict[str, tuple[int, ...]]
    source: str


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
        image_size=suite.image_size,
        **settings,  # type: ignore[arg-type]
    )


def stage(dataset: Dataset, suite: Suite, directory: Path) -> Galaxies:
    """Split the data set and write it where the workers read it.

    Raises:
        ValueError: the fractions cannot be had of these classes.
        OSError: the scratch directory is full or cannot be written.
    """
    split = stratified(
        dataset.labels,
        test_fraction=suite.test_fraction,
        validation_fraction=suite.validation_fraction,
        seed=suite.split_seed,
        groups=dataset.groups,
    )
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    try:
        directory.mkdir(parents=True)
        for name, array in {"images": dataset.images, "labels": dataset.labels, **parts}.items():
            np.save(directory / f"{name}.npy", array)
    except OSError as error:
        raise OSError(
            f"cannot write {dataset.images.nbytes / 1e6:,.0f} MB of galaxies for the workers to "
            f"{directory.parent}: {error.strerror or error}; set TMPDIR to a directory with room"
        ) from error

    _, height, width, image_channels = dataset.images.shape
    classes = len(dataset.class_names)
    per_part = split.counts(dataset.labels, classes)
    counts = {
        name: tuple(int(per_part[part][label]) for part in parts)
        for label, name in enumerate(dataset.class_names)
    }
    return Galaxies(
        directory=directory,
        view=DataView(
            dataset=dataset.name,
            sha256=dataset.sha256,
            labels=dataset.label_view,
            channels=dataset.channels,
            height=height,
            width=width,
            image_channels=image_channels,
            classes=classes,
            image_key=suite.image_key,
            label_key=suite.label_key,
        ),
        sizes=SplitSizes(len(split.train), len(split.validation), len(split.test)),
        class_names=tuple(dataset.class_names),
        class_counts=tuple(per_class_counts(dataset.labels, classes).tolist()),
        counts=counts,
        source=dataset.source,
    )


def load_staged(directory: Path) -> StagedData:
    """The staged data, mapped into memory and read once, so that no epoch waits for a disk."""
    images = np.asarray(np.load(directory / "images.npy", mmap_mode="r"))
    images.reshape(-1)[::_PAGE_BYTES].max(initial=0)
    parts = {name: np.load(directory / f"{name}.npy") for name in ("train", "validation", "test")}
    return StagedData(images, np.load(directory / "labels.npy"), Split(**parts))


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


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for the session, removed at its end; those of killed sessions go as well.

    Raises:
        OSError: there is no temporary directory to write to.
    """
    try:
        path = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-"))
    except OSError as error:
        raise OSError(
            f"cannot make a temporary directory: {error.strerror or error}; "
            "set TMPDIR to a directory with room"
        ) from error
    for old in path.parent.glob(f"{_SCRATCH}*"):
        owner = old.name.removeprefix(_SCRATCH).split("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
