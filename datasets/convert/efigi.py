"""EFIGI: 4,458 galaxies with expert Hubble types, in ten classes of 69x69 pixels.

Baillard et al. 2011, A&A 532, A74. The pictures are the 88x88 JPEGs ``PGC*.jpg`` of a public
folder; ``EFIGI_attributes.txt`` (version 1.6.2) has a row for each. Each is decoded to RGB and
scaled by Pillow's BILINEAR. Pillow 10.4, 11.3, 12.0 and 13.0 (libjpeg-turbo 3.0 to 3.2) give the
published content to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.convert.convert import Galaxies, Published, Recipe
from results.door import folders
from results.door.apart import alive
from results.words import count

if TYPE_CHECKING:
    import numpy as np

ATTRIBUTES = "EFIGI_attributes.txt"
SIDE, SCALED = 88, 69  # pixels
_MOST_BYTES = 1 << 26  # of the attributes

# EFIGI's T types: -6 compact, -5 elliptical, -4 cD, 11 dwarf elliptical; 10 Magellanic irregular.
CLASSES: dict[str, tuple[int, ...]] = {
    "E": (-6, -5, -4, 11),
    "S0": (-3, -2, -1),
    "S0a-Sa": (0, 1),
    "Sab": (2,),
    "Sb": (3,),
    "Sbc": (4,),
    "Sc-Scd": (5, 6),
    "Sd-Sdm": (7, 8),
    "Sm": (9,),
    "Im": (10,),
}
_CLASS_OF = {t: number for number, types in enumerate(CLASSES.values()) for t in types}
_REMEDY = (
    f"get the folder GalaxyTool/galaxies, PGC*.jpg and {ATTRIBUTES}, of "
    "https://github.com/de-husk/automatic-galaxy-classification-tool"
)


def read(source: Path) -> Galaxies:
    """The galaxies of a folder or zip file, in the order of the attributes' rows.

    Their columns: ``t_type``, int8 (n,), the Hubble T type; ``pgc``, bytes (n,), the name in the
    Principal Galaxies Catalogue.

    Raises:
        FileNotFoundError, ValueError: no attributes, a row that makes no sense, or pictures that
            are missing, unreadable or not of 88x88 pixels.
    """
    import numpy as np

    if not source.exists():
        raise FileNotFoundError(f"{source}: no such folder or zip file; {_REMEDY}")
    if not source.is_dir() and not folders.is_zip(source):
        raise ValueError(f"{source}: neither a folder nor a zip file; {_REMEDY}")
    with folders.opened(source) as folder:
        tables = [name for name in folder.names if name.rpartition("/")[2] == ATTRIBUTES]
        if not tables:
            raise FileNotFoundError(f"{source}: no file {ATTRIBUTES} in it; {_REMEDY}")
        if len(tables) > 1:
            raise ValueError(
                f"{source}: {count(len(tables), 'file')} {ATTRIBUTES} in it ({', '.join(tables)}); "
                "name the folder of one of them"
            )
        inside, _, _ = tables[0].rpartition(ATTRIBUTES)
        text = folder.content(tables[0], _MOST_BYTES).decode(errors="replace")
        types = _types(text, f"{source}/{tables[0]}")
        images = _pictures(folder, inside, [f"{name}.jpg" for name in types])
    return Galaxies(
        images,
        np.array([_CLASS_OF[t] for t in types.values()], dtype=np.uint8),
        tuple(CLASSES),
        {
            "t_type": np.array(list(types.values()), dtype=np.int8),
            "pgc": np.array(list(types), dtype=np.bytes_),
        },
    )


def _pictures(folder: folders.Folder, inside: str, names: Sequence[str]) -> np.ndarray:
    """Pictures of a folder's part in colour, scaled down: uint8 (n, SCALED, SCALED, 3)."""
    import numpy as np
    from PIL import Image

    from datasets.convert.bad import UNREADABLE, Bad
    from datasets.convert.encoded import broken
    from datasets.convert.fitting import Fit

    fit, bad, there = Fit(size=SCALED), Bad(), set(folder.names)
    pictures = np.empty((len(names), SCALED, SCALED, 3), dtype=np.uint8)
    for row, name in enumerate(names):
        alive()
        if f"{inside}{name}" not in there:
            bad.add("missing", name)
            continue
        try:
            with folder.open(f"{inside}{name}") as content, Image.open(content) as image:
                if image.size == (SIDE, SIDE):
                    pictures[row] = np.asarray(fit.apply(image.convert("RGB")))
                else:
                    bad.add(f"not of {SIDE}x{SIDE} pixels", name)
        except broken():
            bad.add(UNREADABLE, name)
    if len(bad):
        told = f"of {count(len(names), 'picture')} {bad.words()}"
        raise ValueError(f"{folder.path}/{inside}: {told}; {_REMEDY}")
    return pictures


def _types(text: str, where: str) -> dict[str, int]:
    """The T type of each galaxy, in the order of the rows that begin with PGC."""
    types: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("PGC"):
            continue
        name, *values = line.split()
        known = {str(t): t for t in _CLASS_OF}
        if not values or values[0] not in known or name in types:
            what = f"{name} twice" if name in types else f"T type {' '.join(values[:1])!r}"
            raise ValueError(f"{where}, line {number}: {what}; T types are -6..11; {_REMEDY}")
        types[name] = known[values[0]]
    if not types:
        raise ValueError(f"{where}: no row begins with PGC; {_REMEDY}")
    return types


EFIGI = Recipe(
    name="efigi",
    filename="efigi_t10_69px.h5",
    source="EFIGI: Baillard et al. 2011, A&A 532, A74; pictures of the Sloan Digital Sky Survey. "
    "Ten groups of Hubble T types.",
    remedy=_REMEDY,
    known_by=ATTRIBUTES,
    read=read,
    published=Published(
        sha256="effbdec17d97a78981485345bdb458e3bd4dc0f90c227988056a3da2746a2a93",
        counts=(358, 537, 453, 219, 517, 472, 751, 640, 263, 248),
        means=(37.0781, 35.1125, 44.5934),
    ),
)
