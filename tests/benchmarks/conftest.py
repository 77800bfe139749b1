"""A working directory for the main command, with fakes in place of the frameworks."""

from pathlib import Path

import numpy as np
import pytest

from tests.helpers import fake_backend


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """A working directory with galaxies and a network, and the fakes registered."""
    labels = np.arange(90) % 3
    images = np.random.default_rng(0).integers(0, 120, (90, 6, 6, 3)).astype(np.uint8)
    images[..., 0] += (60 * labels[:, None, None]).astype(np.uint8)
    return fake_backend.working_directory(tmp_path, monkeypatch, images, labels)
