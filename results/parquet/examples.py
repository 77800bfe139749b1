"""Example images kept beside the runs, so that a report can show what was classified."""

import io
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from results.parquet.files import DamagedFileWarning, whole_file

_FOLDER = "examples"


@dataclass(frozen=True)
class Examples:
    """A few images of one view of a data set.

    Attributes:
        images: uint8 (k, height, width, channels).
        labels: int64 (k,).
        class_names: by label.
        dataset, dataset_sha256, label_view, channels: as in `runs`, where `label_view` is the
            column `labels`.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    dataset: str
    dataset_sha256: str
    label_view: str
    channels: str

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                "examples: images must be uint8 (k, height, width, channels), got "
                f"{self.images.dtype} {self.images.shape}"
            )
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"examples: {len(self.images)} images but labels of shape {self.labels.shape}"
            )
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < len(
            self.class_names
        ):
            raise ValueError(f"examples: labels outside 0..{len(self.class_names) - 1}")


def save(store: Path, examples: Examples) -> Path:
    """Keep the examples, unless this view of this data set has some already.

    Raises:
        StoreError: the store cannot be written.
    """
    name = "-".join((examples.dataset_sha256, examples.label_view, examples.channels))
    path = store / _FOLDER / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.npz"
    if path.exists():
        return path
    content = io.BytesIO()
    np.savez_compressed(
        content,
        images=examples.images,
        labels=examples.labels.astype(np.int64),
        class_names=np.array(examples.class_names, dtype=np.str_),
        dataset=np.array(examples.dataset),
        dataset_sha256=np.array(examples.dataset_sha256),
        label_view=np.array(examples.label_view),
        channels=np.array(examples.channels),
    )
    with whole_file(path, store) as file:
        file.write(content.getvalue())
    return path


def load(store: Path) -> list[Examples]:
    """All examples kept; a damaged file is named in a warning and skipped."""
    found = []
    for path in sorted((store / _FOLDER).glob("*.npz")):
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                found.append(
                    Examples(
                        images=file["images"],
                        labels=file["labels"],
                        class_names=tuple(file["class_names"].tolist()),
                        dataset=str(file["dataset"]),
                        dataset_sha256=str(file["dataset_sha256"]),
                        label_view=str(file["label_view"]),
                        channels=str(file["channels"]),
                    )
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(f"skipped {path}: {error}", DamagedFileWarning, stacklevel=3)
    return found
