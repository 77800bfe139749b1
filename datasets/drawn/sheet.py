"""A picture of draws, to look at before training: a galaxy a row, an epoch a column."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets.catalog import load
from datasets.drawn.images import Drawing
from datasets.drawn.settings import Augment, check_fits
from datasets.resize import box_downscale, middle
from results import words
from results.writer import whole_file

_GAP = 4  # pixels between pictures
_LEAST = 96  # pixels a side; smaller pictures are enlarged, pixel by pixel
_WHITE = 255


def sheet(
    source: str,
    path: Path,
    settings: Augment,
    *,
    galaxies: int = 6,
    epochs: int = 8,
    seed: int = 0,
    image_size: int | None = None,
) -> str:
    """Draw the first galaxies of each class in turn as a run of this seed sees them in its first
    epochs; the first column is what validation and test see. The sentence that says so.

    Args:
        source: as `datasets.catalog.load`.
        path: of the PNG file.

    Raises:
        ValueError, OSError: as `load`; settings that do not fit the pictures; a path that cannot
            be written.
    """
    from PIL import Image

    data = load(source, image_size=image_size)
    height, width, channels = data.images.shape[1:]
    check_fits(settings, height, width, channels)
    rows = _in_turn(data.labels)[:galaxies]
    numbers = rows if data.rows is None else data.rows[rows]
    pictures = data.images[rows]
    size = (settings.crop or height, settings.crop or width)
    tested = box_downscale(pictures, size[0]) if settings.scales else middle(pictures, *size)
    columns = [tested]
    drawing, each = Drawing(settings, seed, numbers), np.arange(len(rows))
    columns += [drawing.pictures(pictures, each, epoch) for epoch in range(1, epochs + 1)]
    times = -(-_LEAST // max(size))
    tiles = np.stack(columns, axis=1).repeat(times, axis=2).repeat(times, axis=3)
    count, across, tall, wide, _ = tiles.shape
    paper = np.full(
        (count * (tall + _GAP) - _GAP, across * (wide + _GAP) - _GAP, channels), _WHITE, np.uint8
    )
    for place in np.ndindex(count, across):
        y, x = place[0] * (tall + _GAP), place[1] * (wide + _GAP)
        paper[y : y + tall, x : x + wide] = tiles[place]
    shown = paper if channels == 3 else paper[..., 0]  # of two or four channels the first
    with whole_file(path) as file:
        Image.fromarray(shown).save(file, format="PNG")
    return (
        f"{path}: {words.count(count, 'galaxy')} of {data.name}, a row each; at the left as "
        f"validation and test see them, then as seed {seed} draws them in epochs 1 to {epochs}"
    )


def _in_turn(labels: np.ndarray) -> np.ndarray:
    """Rows by how many of their class come before, then by class: one of each class first."""
    seen = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = labels == label
        seen[of_class] = np.arange(of_class.sum())
    return np.lexsort((labels, seen))
