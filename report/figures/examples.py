"""Example galaxies drawn for a paper."""

import math
import textwrap

from matplotlib.figure import Figure

from report.figures import style
from results.parquet.examples import Examples
from results.views.looks import plain


def examples_figure(examples: Examples) -> Figure:
    """A tile for each class that has an example, titled with number and name."""
    first: dict[int, int] = {}
    for position, label in enumerate(examples.labels.tolist()):
        first.setdefault(label, position)
    columns = min(5, max(1, len(first)))
    rows = math.ceil(len(first) / columns)
    figure = style.figure(1.85 * columns + 0.2, 2.15 * rows + 0.65)
    grid = figure.subplots(max(1, rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (label, position) in zip(grid.flat, sorted(first.items()), strict=False):
        image = examples.images[position]
        axes.imshow(
            image if image.shape[-1] == 3 else image[..., 0],
            cmap="gray",
            vmin=0,
            vmax=255,
            interpolation="nearest",
        )
        name = examples.class_names[label]
        axes.set_title(
            plain(f"{label}  {_folded(name)}"), fontsize=7, fontweight="normal", loc="left"
        )
    return style.finish(
        figure,
        "A galaxy of each class",
        f"Data: {'DEMO (generated galaxies)' if examples.dataset == 'demo' else examples.dataset}",
        demo=examples.dataset == "demo",
    )


def _folded(name: str) -> str:
    return "\n".join(textwrap.wrap(name, 22))
