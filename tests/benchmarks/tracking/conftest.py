"""A store in an empty working directory, and a terminal of 200 columns."""

from pathlib import Path

import pytest

from results.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return Store("runs")
