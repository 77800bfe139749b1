"""An example galaxy of each class, as the networks were shown it."""

import io

import numpy as np
import numpy.typing as npt

from report.chart import Tiles
from report.section import Picture, Section
from results.parquet.examples import Examples
from results.views.columns import json_object
from results.views.views import Frames


def galaxies(frames: Frames) -> Section | None:
    """One galaxy of each class, for every view of the data that was trained on."""
    lead = "One galaxy of each class, with the pixels that the networks were given."
    if (frames.runs["augmentation"] != "none").any():
        lead += " Augmented runs were given crops of it, or turned and transposed copies."
    if any(json_object(recipe).get("augment") for recipe in frames.runs["recipe"]):
        lead += " Runs with `augment` were given it changed anew in each epoch."
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
                "A galaxy of each class",
                tiles(examples),
                caption=f"The first galaxy kept of each class. Data: {shown}, "
                f"{examples.label_view} labels, "
                f"{examples.images.shape[1]}×{examples.images.shape[2]} pixels, "
                f"{'channel ' * examples.channels.isdigit() + examples.channels}.",
                reading="The demo galaxies are drawn by formulas with random sizes, angles, noise "
                "and neighbours; they only resemble the classes that they are named after."
                if demo
                else "One galaxy cannot stand for its class: the labels come from people's votes "
                "or catalogues, and neighbours in the list shade into each other.",
                demo=demo,
                wide=False,
            )
        )
    return section if section.blocks else None


def tiles(examples: Examples) -> Tiles:
    """The first picture of each class, with number and name."""
    first: dict[int, int] = {}
    for position, label in enumerate(examples.labels.tolist()):
        first.setdefault(label, position)
    chosen = sorted(first.items())
    return Tiles(
        [f"{label}  {examples.class_names[label]}" for label, _ in chosen],
        [_png(examples.images[position]) for _, position in chosen],
        int(examples.images.shape[1]),
    )


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image if image.shape[-1] == 3 else image[..., 0]).save(content, "PNG")
    return content.getvalue()
