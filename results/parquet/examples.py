"""Example images kept beside the runs, so that a report can show what was classified."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from results.door.arrays import archive
from results.door.refusal import FileError, reading
from results.names import beneath
from results.parquet.files import DamagedFileWarning, whole_file
from results.words import count

_FOLDER = "examples"
_WORDS = ("dataset", "dataset_sha256", "label_view", "channels")


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
        if self.labels.dtype.kind not in "iu":
            raise ValueError(f"examples: labels must be integers, got {self.labels.dtype}")
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"examples: {count(len(self.images), 'image')} but labels of shape "
                f"{self.labels.shape}"
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
    path = beneath(store / _FOLDER, name, ending=".npz")
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
            arrays = archive(path, "examples")
            with reading(path, "examples"):
                words = {name: str(arrays[name]) for name in _WORDS}
                names = tuple(str(name) for name in arrays["class_names"].tolist())
                found.append(Examples(arrays["images"], arrays["labels"], names, **words))
        except FileError as error:
            warnings.warn(f"skipped {error}", DamagedFileWarning, stacklevel=3)
    return found
