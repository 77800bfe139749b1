"""The data sets by name, and any HDF5 file of galaxies by its path: one ``load`` for all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datasets import demo
from datasets.convert.cached import cached
from datasets.convert.form import Asked
from datasets.convert.opening import has_other_keys, is_source
from datasets.convert.recipes import RECIPES, recipe_of
from datasets.download import RemoteFile, fetch, file_sha256
from datasets.galaxy_file import Picking, content_sha256, open_galaxies
from datasets.inspection import check_blank, twins
from datasets.labels import GALAXY10, GALAXY10_DECALS, VIEWS, LabelView, view_labels
from datasets.splits import check_groups, part_of
from results.vocabulary import near_miss

DEMO = "demo"


@dataclass(frozen=True)
class Published:
    """A published data set: its file, what its labels mean, and whom to cite."""

    file: RemoteFile
    class_names: tuple[str, ...]
    source: str


PUBLISHED = {
    "galaxy10": Published(
        RemoteFile(
            url="https://zenodo.org/records/10844811/files/Galaxy10.h5",
            filename="Galaxy10.h5",
            sha256="969a6b1cefcc36e09fffa86febd2f699a4aa19b837ba0427f01b0bc6ded458af",
            size=210_234_548,
        ),
        GALAXY10,
        "Galaxy10 SDSS: Leung & Bovy 2019, MNRAS 483, 3255; labels of Galaxy Zoo, Lintott et al. "
        "2008, 2011; pictures of the Sloan Digital Sky Survey.",
    ),
    "galaxy10-decals": Published(
        RemoteFile(
            url="https://zenodo.org/records/10845026/files/Galaxy10_DECals.h5",
            filename="Galaxy10_DECals.h5",
            sha256="19aefc477c41bb7f77ff07599a6b82a038dc042f889a111b0d4d98bb755c1571",
        ),
        GALAXY10_DECALS,
        "Galaxy10 DECaLS: Leung & Bovy 2019, MNRAS 483, 3255; labels of Galaxy Zoo DECaLS, "
        "Walmsley et al. 2022; pictures of the DESI Legacy Surveys, Dey et al. 2019.",
    ),
}
# Files of galaxies of a published set that do not name its classes, by their SHA-256.
SAMPLES = {
    "a76ccace15593dfea2fd3b4683bef5444b67d218e1deceafa928a1dbc9ec223b": GALAXY10
}  # 291 galaxies
NAMES = (DEMO, *PUBLISHED)
_HDF5_ENDINGS = (".h5", ".hdf5", ".hdf")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Galaxies of a run: pictures, labels and their origin.

    Attributes:
        name: "demo", "galaxy10", "galaxy10-decals", or the file's stem.
        images: uint8 (n, height, width, channels).
        labels: int64 (n,), 0..len(class_names)-1, as ``label_view`` groups them.
        label_view: one of labels.VIEWS.
        channels: one of CHANNELS.
        sha256: of a published file. For any other file and the demo: of all pictures and labels as
            loaded (`content_sha256`).
        groups: int64 (n,) or None. Images of one group show one galaxy and never cross a split.
        source: a sentence on the origin.
        rows: int64 (n,), the rows of these galaxies among all of the label view, if only a part of
            them was asked for.
        note: sentences on labels and pictures that a user should know, or "".
        twins: True if pictures of one galaxy were found, and made or enlarged groups.
        file_sha256: of the file's bytes, by which earlier versions knew a file; "" for the demo.
        votes: float32 (n, k), the shares of votes for each galaxy, as the file has them, or None.
            They are no part of ``sha256``.
        vote_names: k names of the questions that were voted on; no part of ``sha256``.
        parts: int8 (n,), the published part of each galaxy as an index into `form.PARTS`, or None
            if none was asked for.
        left_out: galaxies of the source that a conversion left out, in words, or "".
    """

    name: str
    images: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    class_names: tuple[str, ...]
    label_view: str
    channels: str
    sha256: str
    groups: np.ndarray | None = field(repr=False)
    source: str
    rows: np.ndarray | None = field(default=None, repr=False)
    note: str = ""
    twins: bool = False
    file_sha256: str = ""
    votes: np.ndarray | None = field(default=None, repr=False)
    vote_names: tuple[str, ...] = ()
    parts: np.ndarray | None = field(default=None, repr=False)
    left_out: str = ""


def load(
    name_or_path: str | os.PathLike[str],
    *,
    labels: str = "native",
    channels: str = "rgb",
    image_size: int | None = None,
    image_key: str = "images",
    label_key: str = "ans",
    group_key: str | None = None,
    class_names: Sequence[str] | None = None,
    label_map: str = "",
    split_from: str = "",
    skip_bad: int = 0,
    cache_dir: str | os.PathLike[str] | None = None,
    fraction: float = 1.0,
    fraction_seed: int = 0,
    demo_images: int = 1000,
    demo_seed: int = 0,
) -> Dataset:
    """Load a data set by name, or an HDF5 file, or a source of another form, by its path.

    A source of another form (`convert.opening`) is converted once into the cache.

    Args:
        name_or_path: one of ``NAMES``; or a file, which is never looked for elsewhere.
        labels: how to group the labels, one of ``labels.VIEWS``.
        channels: "rgb" for all three, or (n, h, w, 1): "grey", their "mean", or one of them,
            "0", "1" or "2".
        image_size: scale square pictures down to this many pixels, by area averaging; "demo" is
            generated at any size.
        image_key, label_key: the file's datasets of pictures and of class numbers.
        group_key: the file's dataset of group numbers; by default "groups", if it has that.
        class_names: names by label, instead of the file's own or "class 0", "class 1"...
        label_map: which classes the groups of "4way" and "3way" are made of, where the file is not
            known to be Galaxy10 SDSS: "galaxy10", or "E=1,2,3 S0=4,5,6 Sp=7,8,9 Irr=0".
        split_from: the file's dataset (or column) of the published split: train, validation, test.
        skip_bad: pictures of a source of another form that may be left out.
        cache_dir: where downloads and conversions are kept, instead of the user's cache directory.
        fraction, fraction_seed: take a part of the galaxies, of every class its share and at least
            three (`splits.part_of`); only these are held in memory.
        demo_images, demo_seed: how many galaxies "demo" generates, and from which seed.

    Pictures that are equal to the bit, or at equal ``ra`` and ``dec``, are of one galaxy: they have
    one group, and so stay in one part of a split. Blank pictures are told of.

    A file without ``class_names`` has no empty classes; one with ``t_type`` (Hubble T types) can
    be seen in the views "hubble", "4way" and "3way" by it.

    Raises:
        ValueError: an unknown name, a file that is not as above, a view that it cannot give, or
            pictures that are all blank, or those of a class.
        FileNotFoundError, OSError: a file that is absent, damaged, or cannot be downloaded. The
            message names the file and the remedy.
    """
    if labels not in VIEWS:
        raise ValueError(f"labels: unknown view {labels!r}; choose one of {', '.join(VIEWS)}")
    picking = Picking(channels, image_size)
    name = os.fspath(name_or_path)
    if name == DEMO:
        return _load_demo(labels, picking, demo_images, demo_seed, (fraction, fraction_seed))
    source_path: Path | None = None
    if name in PUBLISHED:
        path = fetch(PUBLISHED[name].file, cache_dir=cache_dir)
        sha256 = PUBLISHED[name].file.sha256  # checked by fetch
    else:
        path = _as_path(name)
        sha256 = ""
        if path.exists() and (is_source(path) or has_other_keys(path, image_key, label_key)):
            asked = Asked(
                image_key="" if image_key == "images" else image_key,
                label_key="" if label_key == "ans" else label_key,
                group_key=group_key or "",
                split_from="" if split_from == "split" else split_from,
                skip_bad=skip_bad,
            )
            source_path, path = path, cached(path, asked, cache_dir)
            image_key, label_key, group_key = "images", "ans", None
            split_from = split_from and "split"

    with open_galaxies(path, _how_to_get(path)) as file:
        native = file.labels(label_key)
        sha256 = of_file = sha256 or file_sha256(path)
        # A published file is what it is under any name: it is known by its bytes.
        known = next((key for key, data in PUBLISHED.items() if data.file.sha256 == sha256), None)
        if class_names is None:
            class_names = PUBLISHED[known].class_names if known else SAMPLES.get(sha256)
        if class_names is None:
            names = file.class_names(label_key, native)
        else:
            names = file.check_names(tuple(class_names), label_key, native)
        t_type = file.integers("t_type", len(native))
        view = view_labels(
            native, labels, class_names=names, t_type=t_type, label_map=label_map, where=str(path)
        )
        if len(np.unique(view.labels)) < 2:
            raise ValueError(
                f"{path}: all of it is one class in labels {labels!r}: there is nothing to tell "
                f"apart; use another view of the labels"
            )
        groups = file.groups(group_key, len(native))
        groups = None if groups is None else groups[view.rows]
        keep = np.zeros(len(native), dtype=bool)
        keep[view.rows] = fraction == 1  # of a part all are looked at first, and none is held
        images, seen = file.images(image_key, keep, picking)
        blank = check_blank(seen, view.rows, view.labels, view.class_names, str(path))
        own = groups
        groups, twice = twins(
            seen, view.rows, view.labels, view.class_names, file.sky(len(native)), groups
        )
        if found_twice := groups is not own:
            check_groups(view.labels, own)
        part = _part(view, groups, fraction, fraction_seed, mixed=found_twice)
        chosen = slice(None) if part is None else part
        if part is not None:
            keep[view.rows[part]] = True
            images, _ = file.images(image_key, keep, picking)
        parts = None
        if split_from:
            parts = file.parts(split_from, len(native))[view.rows][chosen]
        left_out = file.left_out()
        votes, vote_names = file.votes(len(native)) or (None, ())
        source = PUBLISHED[known].source if known else file.source()
        if not known:  # what was read, whatever file it was packed in
            grouped_by = [t_type] if view.by_t_type and t_type is not None else []
            sha256 = seen.sha256(native, *grouped_by)
    return Dataset(
        name=known or _name(source_path or path),
        images=images,
        labels=view.labels[chosen],
        class_names=view.class_names,
        label_view=labels,
        channels=channels,
        sha256=sha256,
        groups=None if groups is None else groups[chosen],
        source=source or f"The file {path.name}.",
        rows=part,
        note=" ".join(
            filter(None, [view.note, blank, twice, left_out and f"Left out: {left_out}."])
        ),
        twins=found_twice,
        file_sha256=of_file,
        votes=None if votes is None else votes[view.rows][chosen],
        vote_names=vote_names,
        parts=parts,
        left_out=left_out,
    )


def _part(
    view: LabelView, groups: np.ndarray | None, fraction: float, seed: int, mixed: bool = False
) -> np.ndarray | None:
    """Rows of the view that are taken, where not all of them are."""
    if fraction == 1:
        return None
    return part_of(view.labels, fraction, seed=seed, groups=groups, mixed=mixed)


def _load_demo(
    labels: str, picking: Picking, n: int, seed: int, fraction: tuple[float, int]
) -> Dataset:
    size = demo.SIZE
    if picking.image_size is not None and picking.image_size > size:  # generated, not scaled up
        size = picking.image_size
    picking.check((n, size, size, 3), DEMO)
    view_labels(np.zeros(1, np.int64), labels, class_names=GALAXY10, where=DEMO)
    images, native = demo.generate(n, seed, size)
    view = view_labels(native, labels, class_names=GALAXY10, where=DEMO)
    part = _part(view, None, *fraction)
    chosen = slice(None) if part is None else part
    return Dataset(
        name=DEMO,
        images=picking.apply(images[chosen]),
        labels=view.labels[chosen],
        class_names=view.class_names,
        label_view=labels,
        channels=picking.channels,
        sha256=content_sha256(images, native),
        groups=None,
        votes=demo.votes(native, seed)[view.rows][chosen],
        vote_names=demo.VOTE_NAMES,
        source=f"Generated demo galaxies ({n} from seed {seed}), not observed ones: accuracies on "
        "them say nothing about real galaxies.",
        rows=part,
    )


def _how_to_get(path: Path) -> str:
    """Remedy for a missing file of a known name, as the end of a message; "" for other names."""
    for recipe in RECIPES.values():
        if path.name == recipe.filename:
            return f"; make it: {recipe.command} ({recipe.remedy})"
    for name, data in PUBLISHED.items():
        if path.name == data.file.filename:
            return f"; --dataset {name} downloads it"
    return ""


def _name(path: Path) -> str:
    """The stem of a file or folder; of the public files of a recipe, that of what it makes."""
    recipe = recipe_of(path)
    return path.stem if recipe is None else Path(recipe.filename).stem


def _as_path(name: str) -> Path:
    path = Path(os.path.expanduser(name))  # of an unknown user it stays as it is
    if path.exists() or path.suffix.lower() in _HDF5_ENDINGS or len(path.parts) > 1:
        return path
    made = RECIPES.get(name.lower())
    recipe = f"; to make {made.filename} of {name} pictures: {made.command}" if made else ""
    raise ValueError(
        f"dataset: unknown '{name}'{near_miss(name, NAMES)}. Known: {', '.join(NAMES)}; or give "
        f"the path of an HDF5 file (.h5){recipe}"
    )
