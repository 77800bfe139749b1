"""A store in a directory of its own."""

from pathlib import Path

import pytest

from results.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")
