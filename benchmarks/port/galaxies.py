"""The pictures that both programs see: galaxies of a data set, or generated ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from benchmarks.port.operation import PortError
from results import words

if TYPE_CHECKING:
    from datasets.catalog import Dataset


class Galaxies(msgspec.Struct, kw_only=True):
    """name: of the data set. images: uint8 (n, height, width, channels). labels: int64 (n,)."""

    name: str
    images: np.ndarray
    labels: np.ndarray


def galaxies(data: Dataset) -> Galaxies:
    """The part of a data set that a comparison needs: name, images and labels."""
    return Galaxies(name=data.name, images=data.images, labels=data.labels)


class Pictures:
    """Draws batches of pictures with labels; generated ones where there are no galaxies."""

    def __init__(
        self, draw: np.random.Generator, size: list[int], classes: int, given: Galaxies | None
    ) -> None:
        """Take galaxies, or none.

        Args:
            size: of a picture that the programs take, (height, width, channels) or (features,).
            classes: that they tell apart.

        Raises:
            PortError: the galaxies have another size, or more classes.
        """
        self.draw, self.size, self.classes, self.given = draw, size, classes, given
        if given is None:
            return
        found = list(given.images.shape[1:])
        if found != list(size):
            raise PortError(
                f"--dataset: {given.name} has pictures of {found}, and the programs take {size}; "
                "name another data set, or one of its channels with --channels, or make a file of "
                "that size with: python -m datasets convert FILE FILE.h5 --size N"
            )
        if given.labels.max() >= classes:
            raise PortError(
                f"--dataset: {given.name} has "
                f"{words.count(int(given.labels.max()) + 1, 'class')}, and the programs tell "
                f"{classes} apart"
            )

    def raw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (count, ...) pictures, and their labels int64 (count,)."""
        if self.given is None:
            pictures = self.draw.integers(0, 256, (count, *self.size), np.uint8)
            return pictures, self.draw.integers(0, self.classes, count)
        rows = self.draw.choice(len(self.given.images), count, len(self.given.images) < count)
        return self.given.images[rows], self.given.labels[rows].astype(np.int64)

    def scaled(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """float64 (count, ...) pictures from 0 to 1, and their labels int64 (count,)."""
        if self.given is None:
            pictures = self.draw.random((count, *self.size))
            return pictures, self.draw.integers(0, self.classes, count)
        raw, labels = self.raw(count)
        return raw / 255, labels
