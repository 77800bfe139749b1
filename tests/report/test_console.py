"""What the main command ends with, at every width."""

import pytest

from report.console import summary
from results.store import Store
from results.views.views import Frames
from tests.helpers.factory import fill, synthetic_run


@pytest.mark.parametrize("columns", [80, 120, 160, 200])
def test_accuracy_time_and_ratio_survive(
    tmp_path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    store = fill(Store(tmp_path / "runs"), seeds=[0, 1], epochs=2)
    store.append(*synthetic_run("keras", "c2", 0, epochs=2, execution=1, test_accuracy=0.0))
    monkeypatch.setenv("COLUMNS", str(columns))
    frames = Frames.of_runs(store.runs())
    summary(frames).show()
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= columns
    rows = [line for line in printed.splitlines() if line.startswith(("c2", "unam"))]
    assert len(rows) == 6
    accuracy = synthetic_run("keras", "c2", 1, epochs=2)[0]["test_accuracy"]
    assert f"{accuracy / 2:.3f}" in rows[0], "the latest execution is what counts"
    (table,) = summary(frames).tables
    for row, record in zip(rows, table.records(), strict=True):
        for name, form in (("epoch_seconds", ".3g"), ("time_ratio", ".2f")):
            assert format(record[name], form) in row
    assert "DEMO" in printed
    assert "timeout: jax c2 seed 1: no result after 600 s" in " ".join(printed.split())
    if columns >= 160:
        assert "not shown" not in printed
        assert "1 of 2" in next(row for row in rows if row.startswith("c2") and "jax" in row)


def test_names_are_printed_as_they_are(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "runs")
    store.append(*synthetic_run("x[/red]y", "[bold]n\x1b[31m", epochs=2))
    store.append(*synthetic_run("torch", "a" * 400, epochs=2, status="error", reason="[/b]\x07"))
    summary(Frames.of_runs(store.runs())).show()
    printed = capsys.readouterr().out
    assert "x[/red]y" in printed
    assert "[bold]n\\x1b[31m" in printed
    assert "[/b]\\x07" in printed
    assert "\x1b" not in printed


def test_a_store_of_failed_runs_says_so(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "runs")
    for seed in range(12):
        store.append(*synthetic_run("torch", seed=seed, status="oom", reason="no memory"))
    summary(Frames.of_runs(store.runs())).show()
    printed = capsys.readouterr().out
    assert printed.startswith("No run finished.")
    assert "and 2 failed runs more" in printed
