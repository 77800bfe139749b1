"""Shared fixtures: where the real galaxies are, when they are at hand."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def galaxy_files() -> Path:
    """Directory of the real galaxy files; the test skips when it is absent."""
    directory = Path(os.environ.get("GALAXY_DATA", ROOT.parent / "shared" / "data"))
    if not directory.is_dir():
        pytest.skip(f"real galaxies not at hand: {directory} (set GALAXY_DATA)")
    return directory
