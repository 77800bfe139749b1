"""An example galaxy of each class, as the networks were shown it."""

import math
import textwrap

from matplotlib.figure import Figure

from report import style
from report.section import Picture, Section
from results.parquet.examples import Examples
from results.views.looks import plain
from results.views.views import Frames


def galaxies(frames: Frames) -> Section | None:
    """One galaxy of each class, for every view of the data that was trained on."""
    lead = "One galaxy of each class, with the pixels that the networks were given."
    if (frames.runs["augmentation"] != "none").any():
        lead += " Augmented runs were given crops of it, or turned and transposed copies."
    section = Section("examples", "What the networks looked at", lead)
    columns = ["dataset_sha256", "labels", "channels"]
    used = set(frames.runs[columns].itertuples(index=False, name=None))
    for number, examples in enumerate(frames.examples):
        if (examples.dataset_sha256, examples.label_view, examples.channels) not in used:
            continue
        demo = examples.dataset == "demo"
        shown = "DEMO: generated galaxies" if demo else examples.dataset
        section.blocks.append(
            Picture(
                f"examples-{number + 1}-{examples.dataset}-{examples.label_view}",
                examples_figure(examples),
                caption=f"The first galaxy kept of each class. Data: {shown}, "
                f"{examples.label_view} labels, "
                f"{examples.images.shape[1]}×{examples.images.shape[2]} pixels, "
                f"{'rgb' if examples.channels == 'rgb' else 'channel ' + examples.channels}.",
                reading="The demo galaxies are drawn by formulas with random sizes, angles, noise "
                "and neighbours; they only resemble the classes that they are named after."
                if demo
                else "One galaxy cannot stand for its class: the labels come from people's votes "
                "or catalogues, and neighbours in the list shade into each other.",
                wide=False,
            )
        )
    return section if section.blocks else None


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
