"""Runs on several replicas: how they scale, within their blocks, and compared with no other."""

import pytest

from report.section import Table
from report.sections.benches import speeds
from results.store import Store
from results.views.cells import benches
from results.views.views import Frames
from tests.helpers.factory import digest, synthetic_run

SECONDS = {1: 2.0, 2: 2.5, 3: 4.0}


def frames_of(folder, counts=(1, 2, 3)) -> Frames:
    """Six blocks, each of two frameworks on so many replicas."""
    store = Store(folder)
    for repeat in range(6):
        for count in counts:
            for framework in ("torch", "jax"):
                run, epochs, predictions = synthetic_run(
                    framework,
                    epochs=2,
                    repeat=repeat,
                    replicas=count,
                    config={"replicas": count},
                    communication_share=0.25 if count > 1 else None,
                )
                for row in epochs:
                    row["epoch_seconds"] = row["epoch_seconds"] and SECONDS[count] * (1 + repeat)
                run["cell_id"] = digest(framework, count)
                run["run_id"] = run["execution_id"] = digest(framework, count, repeat)
                run["session_id"] = "s"
                store.append(run | {"block": f"b{repeat}"}, epochs, predictions)
    return Frames.load(store)


def test_a_row_for_each_number_of_replicas_and_no_ratio_between_them(tmp_path) -> None:
    frames = frames_of(tmp_path)
    found = benches(frames)
    assert sorted(bench.replicas for bench in found) == [1, 2, 3]
    for bench in found:
        assert {int(count) for cell in bench.cells for count in cell.runs["replicas"]} == {
            bench.replicas
        }
    section = speeds(frames)
    assert section is not None
    table = section.blocks[-1]
    assert isinstance(table, Table)
    assert "have together the threads" in table.caption
    torch = [row for row in table.rows if row[0] == table.rows[0][0]]
    assert [row[4] for row in torch] == ["1", "2", "3"]
    assert [row[8] for row in torch] == ["100 [100, 100]", "80.0 [80.0, 80.0]", "50.0 [50.0, 50.0]"]
    for row, count in zip(torch, SECONDS, strict=True):
        rate = float(row[6].split()[0].replace(",", ""))
        assert float(row[7].replace(",", "")) == pytest.approx(rate / count, rel=0.01)
    assert [row[9] for row in torch] == ["–", "25", "25"]


def test_runs_on_one_number_of_replicas_have_no_table(tmp_path) -> None:
    section = speeds(frames_of(tmp_path, (2,)))
    assert section is None or "have together" not in str(section.blocks)
