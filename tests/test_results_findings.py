"""The ladder's findings in the store: whole files, read back as they were."""

from datetime import UTC, datetime

import pytest

from results import findings
from results.files import StoreError

ROW = {
    "rung": "R1",
    "case": "unam-batch-adam-10-float32",
    "architecture": "unam",
    "framework": "torch",
    "against": "numpy",
    "precision": "float32",
    "metric": "loss",
    "value": 1.5e-7,
    "bound": 1e-6,
    "status": "passed",
    "where": "loss",
    "cause": "",
    "flips": 0,
}
SHARED = {"machine": "{}", "versions": "{}", "command": "python -m benchmarks.fidelity"}


def keep(store, rows, second=0):
    started = datetime(2026, 1, 1, 12, 0, second, tzinfo=UTC)
    return findings.append(store, rows, started_at=started, **SHARED)


def test_findings_are_read_as_they_were_kept(tmp_path):
    keep(tmp_path, [ROW, ROW | {"framework": "jax", "status": "failed"}])
    frame = findings.read(tmp_path)
    assert list(frame.columns) == list(findings.COLUMNS)
    assert frame["framework"].tolist() == ["torch", "jax"]
    assert frame.loc[0, list(ROW)].to_dict() == ROW
    assert frame["climb_id"].nunique() == 1


def test_climbs_add_up_oldest_first(tmp_path):
    keep(tmp_path, [ROW], second=30)
    keep(tmp_path, [ROW], second=10)
    frame = findings.read(tmp_path)
    assert frame["started_at"].is_monotonic_increasing
    assert frame["climb_id"].nunique() == 2


def test_a_store_without_findings_is_an_empty_frame(tmp_path):
    frame = findings.read(tmp_path)
    assert frame.empty
    assert list(frame.columns) == list(findings.COLUMNS)


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with pytest.raises(StoreError, match="file"):
        keep(blocked, [ROW])
