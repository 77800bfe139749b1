"""Galaxies of a file drawn: a PNG with a row for each class, or blocks of colour in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.resize import box_downscale
from results import words
from results.names import for_figure

if TYPE_CHECKING:
    from rich.text import Text

    from datasets.catalog import Dataset

_CLASSES = 20  # rows of a picture
_INCH = 0.9  # a side of a galaxy
_RAMP = " .:-=+*#%@"  # from black to white, where there is no colour


def chosen(labels: np.ndarray, classes: int, per_class: int, seed: int = 0) -> list[np.ndarray]:
    """Rows of up to so many galaxies of each class, drawn by a seed: int64, ascending."""
    random = np.random.Generator(np.random.Philox(seed))
    found = []
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        taken = random.permutation(len(rows))[:per_class]
        found.append(rows[np.sort(taken)])
    return found


def draw(data: Dataset, output: Path, per_class: int, seed: int = 0) -> str:
    """Write a PNG; returns what to tell the user.

    Raises:
        OSError: it cannot be written.
    """
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from results.writer import write

    rows = chosen(data.labels, len(data.class_names), per_class, seed)[:_CLASSES]
    figure = Figure(figsize=(1.6 + _INCH * per_class, 0.5 + _INCH * len(rows)))
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), per_class, squeeze=False)
    for label, (line, taken) in enumerate(zip(axes, rows, strict=True)):
        count = int((data.labels == label).sum())
        for place, one in enumerate(line):
            one.set_axis_off()
            if place < len(taken):
                image = data.images[taken[place]]
                grey = image.shape[2] == 1
                one.imshow(image[..., 0] if grey else image, cmap="gray", vmin=0, vmax=255)
        name = for_figure(data.class_names[label], 24)
        line[0].text(
            -0.1,
            0.5,
            f"{name}\n{count:,}",
            transform=line[0].transAxes,
            ha="right",
            va="center",
            fontsize=8,
        )
    height, width = data.images.shape[1:3]
    title = (
        f"{for_figure(data.name, 40)}: {words.count(len(data.labels), 'galaxy')} of "
        f"{height}x{width} pixels"
    )
    figure.suptitle(title, fontsize=9)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120, bbox_inches="tight")
    write(output, drawn.getvalue())
    more = len(data.class_names) - len(rows)
    without = f", without the last {words.count(more, 'class')}" if more > 0 else ""
    return f"{output}: drawn{without}"


def text(
    data: Dataset, per_class: int, width: int, seed: int = 0, colour: bool = True
) -> Iterator[Text]:
    """Lines for a terminal of so many columns; each of its characters shows two pixels' rows."""
    from rich.text import Text

    side = max(4, min(32, data.images.shape[1], (width - per_class) // per_class))
    rows = chosen(data.labels, len(data.class_names), per_class, seed)
    for label, taken in enumerate(rows):
        yield Text(f"{data.class_names[label]} ({int((data.labels == label).sum()):,})")
        if len(taken):
            yield from _lines([_small(data.images[row], side) for row in taken], colour)


def _small(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 (side, side, 3), of the middle square."""
    edge = min(image.shape[:2])
    top, left = (image.shape[0] - edge) // 2, (image.shape[1] - edge) // 2
    square = image[None, top : top + edge, left : left + edge]
    small = box_downscale(square, min(side, edge))[0]
    return np.repeat(small, 3, axis=2) if small.shape[2] == 1 else small


def _lines(images: list[np.ndarray], colour: bool) -> Iterator[Text]:
    from rich.text import Text

    for top in range(0, images[0].shape[0] - 1, 2):
        line = Text()
        for image in images:
            for upper, lower in zip(image[top].tolist(), image[top + 1].tolist(), strict=True):
                if colour:
                    over, under = (f"rgb({r},{g},{b})" for r, g, b in (upper, lower))
                    line.append("▀", f"{over} on {under}")
                else:
                    line.append(_RAMP[(sum(upper) + sum(lower)) * len(_RAMP) // (6 * 256)])
            line.append(" ")
        yield line
