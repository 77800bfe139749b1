"""A file of galaxies with whatever is to be tried in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (24, 12, 12, 3)).astype(np.uint8)
LABELS = np.tile(np.arange(3, dtype=np.uint8), 8)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes an HDF5 file of the given datasets; images and ans are there unless given as None."""

    def write(name: str = "mine.h5", attributes: dict | None = None, **datasets: Any) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for key, values in {"images": IMAGES, "ans": LABELS, **datasets}.items():
                if values is not None:
                    file[key] = values
            file.attrs.update(attributes or {})
        return path

    return write
