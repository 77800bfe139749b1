"""The galaxies of several suites, of which only one view lies on disk at a time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.config.suite import Suite
from benchmarks.data import staging
from benchmarks.data.staging import Galaxies

if TYPE_CHECKING:
    from results.store import Store

_FIELDS = (
    *("dataset", "labels", "channels", "image_key", "label_key", "group_key"),
    *("label_map", "split_from", "skip_bad", "image_size", "demo_images"),
    *(
        "loss",
        "fraction",
        "augmentation",
        "crop_size",
        "oversample",
        "augment",
        "split_seed",
        "split_by",
        "test_copies",
    ),
    *("test_fraction", "validation_fraction", "fold"),
)


def view_key(suite: Suite) -> tuple[object, ...]:
    """Settings that decide the suite's pictures, labels and split, as plain values."""
    return tuple(getattr(suite, name) for name in _FIELDS)


class OneView:
    """Stages what a suite asks for, and removes what the one before had asked for.

    Args:
        scratch: an existing directory of the session's.
        examples: where a few images of each view are kept; None keeps none.
    """

    def __init__(self, scratch: Path, examples: Store | None = None) -> None:
        self.scratch = scratch
        self._examples = examples
        self._key: tuple[object, ...] | None = None
        self._galaxies: Galaxies | None = None

    def galaxies(self, suite: Suite) -> Galaxies:
        """The suite's galaxies, on disk until this is called with another view.

        Raises:
            ValueError, OSError: as `staging.load` and `staging.stage`.
        """
        key = view_key(suite)
        if self._galaxies is not None and key == self._key:
            return self._galaxies
        directory = self.scratch / "data"
        self._galaxies = None
        shutil.rmtree(directory, ignore_errors=True)
        dataset = staging.load(suite)
        staged = staging.stage(dataset, suite, directory)
        if self._examples is not None:
            staging.save_examples(dataset, self._examples)
        self._key, self._galaxies = key, staged
        return staged
