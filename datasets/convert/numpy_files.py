"""NumPy's files: an `.npz`, a `.npy` with its labels beside it, or a folder of `.npy` files."""

from __future__ import annotations

from pathlib import Path

from datasets.convert.boxes import Box, open_box
from datasets.convert.form import Asked, Form
from results.door import arrays
from results.door.arrays import Stored

ENDINGS = (".npz", ".npy")
_WHAT = "an array of NumPy"


def open_numpy(path: Path, asked: Asked) -> Form:
    """The form of an `.npz` file, or of `.npy` files of one folder, by their names without ending.

    Of a `.npy` file that is named itself the pictures are its own.

    Raises:
        ValueError, OSError: a file that is damaged, or arrays that cannot be told apart.
    """
    if path.suffix.lower() == ".npz":
        found = arrays.stored(path, _WHAT)
    else:
        folder = path if path.is_dir() else path.parent
        found = {}
        for file in sorted(folder.glob("*.npy")):
            found |= arrays.stored(file, _WHAT)
        if not path.is_dir():
            asked = _with_pictures(path, asked, found)
    return open_box(Box(str(path), found, lambda name: found[name].values()), asked)


def _with_pictures(path: Path, asked: Asked, found: dict[str, Stored]) -> Asked:
    from dataclasses import replace

    if len(found) == 1:
        raise ValueError(
            f"{path}: one array, and no labels: save them beside it, as in "
            f"np.save('{path.parent / 'labels.npy'}', labels), or both by np.savez"
        )
    label_key = asked.label_key.removesuffix(".npy")
    return replace(asked, image_key=asked.image_key or path.stem, label_key=label_key)
