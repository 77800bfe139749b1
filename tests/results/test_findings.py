"""The ladder's findings in the store: whole files, read back as they were."""

import io
import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from results.__main__ import main
from results.parquet import findings
from results.parquet.files import DamagedFileWarning, StoreError
from results.store import Store

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
    climb = f"climb {second}"
    return findings.append(store, rows, climb_id=climb, started_at=started, **SHARED)


def test_findings_are_read_as_they_were_kept(tmp_path):
    keep(tmp_path, [ROW, ROW | {"framework": "jax", "status": "failed"}])
    frame = findings.read(tmp_path)
    assert list(frame.columns) == list(findings.COLUMNS)
    assert frame["framework"].tolist() == ["torch", "jax"]
    assert frame.loc[0, list(ROW)].to_dict() == ROW
    assert len(set(frame["climb_id"])) == 1


def test_climbs_add_up_oldest_first(tmp_path):
    keep(tmp_path, [ROW], second=30)
    keep(tmp_path, [ROW], second=10)
    frame = findings.read(tmp_path)
    assert frame["started_at"].is_monotonic_increasing
    assert frame["climb_id"].nunique() == 2


def test_parts_of_a_climb_lie_side_by_side(tmp_path):
    keep(tmp_path, [ROW])
    keep(tmp_path, [ROW | {"architecture": "c2"}])
    frame = findings.read(tmp_path)
    assert len(set(frame["climb_id"])) == 1
    assert set(frame["architecture"]) == {ROW["architecture"], "c2"}


def test_a_store_without_findings_is_an_empty_frame(tmp_path):
    frame = findings.read(tmp_path)
    assert frame.empty
    assert list(frame.columns) == list(findings.COLUMNS)


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with pytest.raises(StoreError, match="file"):
        keep(blocked, [ROW])


def test_a_damaged_file_is_named_and_the_rest_is_read(tmp_path):
    keep(tmp_path, [ROW], second=10)
    path = keep(tmp_path, [ROW], second=30)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.warns(DamagedFileWarning, match=path.name):
        frame = findings.read(tmp_path)
    assert len(frame) == 1


def test_stores_merge_with_what_the_ladder_found_once(tmp_path):
    for number, name in enumerate(("one", "other")):
        keep(tmp_path / name, [ROW], second=number)
    store = Store(tmp_path / "one")
    for _ in range(2):
        assert store.merge(tmp_path / "other") == 0
        assert findings.read(store.path)["climb_id"].nunique() == 2


def test_the_command_tells_of_merged_findings(tmp_path, capsys):
    keep(tmp_path / "other", [ROW])
    merge = ["merge", str(tmp_path / "other"), "--store", str(tmp_path / "one")]
    assert main(merge) == main(merge) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "0 new executions and 1 new file of what the ladder found" in first
    assert "ladder" not in second


@pytest.mark.parametrize("frame", ["findings", "curves", "attribution"])
def test_what_the_ladder_found_is_exported_or_said_to_be_none(tmp_path, capsys, frame):
    export = ["export", "--frame", frame, "--store", str(tmp_path)]
    assert main(export) == 2
    assert f"has no {frame}" in capsys.readouterr().err
    started = datetime(2026, 1, 1, tzinfo=UTC)
    curve = dict.fromkeys(findings.CURVE_COLUMNS, "x") | {"difference": [0.0, 1e-7]}
    findings.append(tmp_path, [ROW], climb_id="c", started_at=started, curves=[curve], **SHARED)
    findings.append_trainings(tmp_path, [{"factor": "x", "accuracy": 0.5}], started_at=started)
    assert main(export) == 0
    read = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert len(read) == 1
    if frame == "curves":
        assert json.loads(read["difference"][0]) == [0.0, 1e-7]
