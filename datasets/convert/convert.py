"""Write the galaxies that a recipe reads as one HDF5 file, and say whether they are the published.

Galaxies are identified by their content, pictures and labels as loaded, because the bytes of an
HDF5 file change with its library and its compression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.convert.made import made_file
from results import words
from results.door.apart import done_apart
from results.writer import clean

if TYPE_CHECKING:
    import numpy as np

_CHUNK = 64  # pictures that are compressed, and read, together
# How far the mean of a channel, 0..255, may move where only the decoder differs. Measured on EFIGI:
# colour that is repeated, not interpolated, changes 22 % of the values, by up to 33, and no mean by
# more than 0.0003. An inexact DCT changes 67 %, by up to 4, and means by 1.3: other pictures.
_ROUNDING = 0.05


@dataclass(frozen=True, eq=False)
class Galaxies:
    """The galaxies that a recipe reads.

    images: uint8 (n, height, width, 3). labels: uint8 (n,), 0..len(class_names)-1. columns: what
    else is known of each galaxy, arrays (n, ...) by name.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    columns: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Published:
    """The content that a recipe should make.

    sha256: of pictures and labels (`galaxy_file.content_sha256`). counts: galaxies of each class.
    means: of each channel over all pictures, 0..255, to compare where the hash differs.
    """

    sha256: str
    counts: tuple[int, ...]
    means: tuple[float, ...]

    def compared_with(self, galaxies: Galaxies, sha256: str) -> str:
        """Words that tell these galaxies from the published ones; ``sha256`` is their content's."""
        if sha256 == self.sha256:
            return "as published"
        import numpy as np

        counts = np.bincount(galaxies.labels, minlength=len(galaxies.class_names))
        if tuple(counts.tolist()) != self.counts:
            return f"NOT the published galaxies ({self.sha256}): other classes or fewer of them"
        means = galaxies.images.mean(axis=(0, 1, 2))
        if np.abs(means - self.means).max() > _ROUNDING:
            return f"NOT the published pictures ({self.sha256}): brighter, darker or recoloured"
        return (
            f"not the published one ({self.sha256}), but the pictures are as bright to "
            f"{_ROUNDING} of 255: this JPEG decoder rounds otherwise ({decoder()})"
        )


@dataclass(frozen=True)
class Recipe:
    """The way from public files to a file of galaxies.

    name: of the recipe. filename: of the file it makes. source: where the galaxies come from, and
    whom to cite. remedy: where to get the public files. known_by: the name of a file that they
    alone have. read: the galaxies of a folder or zip file.
    """

    name: str
    filename: str
    source: str
    remedy: str
    known_by: str
    read: Callable[[Path], Galaxies]
    published: Published

    @property
    def command(self) -> str:
        """The command that makes the file."""
        return f"python -m datasets convert --recipe {self.name} FOLDER"


def decoder() -> str:
    """The versions that decide what a JPEG's pixels are: Pillow's and its JPEG library's."""
    import PIL
    from PIL import features

    turbo = features.version("libjpeg_turbo")
    return f"Pillow {PIL.__version__}, libjpeg{'-turbo' * bool(turbo)} " + (
        turbo or f"{features.version('jpg')}"
    )


def convert(recipe: Recipe, source: Path, output: Path) -> str:
    """Make the file, whole or not at all; returns what to tell the user.

    Args:
        source: the public files: a folder, or a zip file of one.
        output: the file to write; it must not be there yet.

    Raises:
        FileExistsError: the output is there.
        FileNotFoundError, ValueError, OSError: files that are missing or wrong; the message names
            them and says where to get them.
    """
    check_output(output)
    try:
        return done_apart(
            lambda: _converted(recipe, source, output), source, "its public files", 0, recipe.remedy
        )
    finally:
        clean(output.parent)  # of a conversion that was killed


def _converted(recipe: Recipe, source: Path, output: Path) -> str:
    galaxies = recipe.read(source)
    count, height, width, _ = galaxies.images.shape
    about = {"source": recipe.source, "recipe": recipe.name, "decoder": decoder()}
    sha256 = write(galaxies, output, about)
    return (
        f"{output}: {words.count(count, 'galaxy')} of {height}x{width} pixels in "
        f"{words.count(len(galaxies.class_names), 'class')}\n"
        f"content SHA-256 {sha256}: {recipe.published.compared_with(galaxies, sha256)}"
    )


def check_output(output: Path) -> None:
    """Raise FileExistsError or FileNotFoundError where a file cannot be made there."""
    if output.exists():
        raise FileExistsError(f"{output}: is there already; remove it, or name another --output")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output.parent}: no such directory to write {output.name} in")


def write(galaxies: Galaxies, output: Path, about: Mapping[str, str]) -> str:
    """Write galaxies as a file, whole or not at all; returns the SHA-256 of their content.

    Args:
        about: attributes of the file.

    Raises:
        OSError: it cannot be written.
    """
    from datasets.galaxy_file import content_sha256

    count, *shape = galaxies.images.shape
    sha256 = content_sha256(galaxies.images, galaxies.labels)
    with made_file(output) as (file, _):
        chunks = (min(_CHUNK, count), *shape)
        file.create_dataset("images", data=galaxies.images, chunks=chunks, compression="gzip")
        file["ans"] = galaxies.labels
        file["ans"].attrs["class_names"] = galaxies.class_names
        for column, values in galaxies.columns.items():
            file[column] = values
        file.attrs.update({**about, "content_sha256": sha256})
    return sha256
