"""NumPy's files: an `.npz`, a `.npy` with its labels beside it, or a folder of `.npy` files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from datasets.convert.boxes import Box, open_box
from datasets.convert.form import Asked, Form
from datasets.convert.table import TABLES
from results.door import arrays

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
        if len(found) == 1:
            raise ValueError(f"{path}: {_alone(folder)}")
        if not path.is_dir():
            asked = replace(
                asked,
                image_key=asked.image_key or path.stem,
                label_key=asked.label_key.removesuffix(".npy"),
            )
    return open_box(Box(str(path), found, lambda name: found[name].values()), asked)


def _alone(folder: Path) -> str:
    """The message on an array of pictures without one of labels, the end of it."""
    tables = [file.name for file in sorted(folder.iterdir()) if file.name.endswith(TABLES[:2])]
    labels = f"pandas.read_csv('{tables[0]}')['label'].to_numpy(str)" if tables else "labels"
    return (
        "one array, and no labels: save them beside it, as in "
        f"np.save('{folder / 'labels.npy'}', {labels}), or both by np.savez"
    )
