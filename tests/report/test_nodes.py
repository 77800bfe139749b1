"""Runs on several nodes: ratios within a block of one node, and how the nodes differ."""

import pandas as pd
import pytest

from report.section import Note, Table
from report.sections.benches import speeds
from report.sections.nodes import nodes
from results.store import Store
from results.views.cells import Bench, benches
from results.views.views import Frames
from tests.helpers.factory import synthetic_run

SLOW = 1.5  # times slower is every third block's node


def frames_of(tmp_path, node_of) -> Frames:
    """Twelve blocks of two frameworks, the second 1.25 times slower, on nodes of two speeds."""
    store = Store(tmp_path)
    for seed in range(12):
        for framework, slower in (("torch", 1.0), ("jax", 1.25)):
            node = node_of(seed, framework)
            run, epochs, predictions = synthetic_run(framework, "c2", seed, epochs=3)
            for row in epochs:
                if row["epoch_seconds"] is not None:
                    wobble = 1 + 0.001 * (seed % 4)
                    row["epoch_seconds"] = slower * wobble * (SLOW if node == "n2" else 1.0)
            run |= {"session_id": "s", "node": node, "block": f"b{seed}", "engine": "slurm"}
            store.append(run | {"parity_checked": True}, epochs, predictions)
    return Frames.load(store)


def bench_of(frames: Frames) -> Bench:
    (bench,) = benches(frames)
    return bench


def test_ratios_are_of_one_node_and_nodes_are_told_apart(tmp_path) -> None:
    frames = frames_of(tmp_path, lambda seed, _: f"n{seed % 3}")
    bench = bench_of(frames)
    ((one, other, found),) = bench.comparisons()
    assert (one.framework, other.framework) == ("torch", "jax")
    assert [found.ratio.low, found.ratio.high] == pytest.approx([0.8, 0.8])
    note, table = nodes(bench)
    assert isinstance(note, Note)
    assert "Run on 3 nodes of one kind" in note.text
    assert isinstance(table, Table)
    for row in table.rows:
        assert row[4:6] == ["3", "12"]
        assert float(row[6]) == pytest.approx(100 * 0.234, rel=0.02)  # log(1.5) / sqrt(3)
        assert float(row[7]) < 0.2
        assert row[8].startswith("n2 / n")
        assert row[8].endswith(": 1.50")
    section = speeds(frames)
    assert section is not None
    assert table in section.blocks


def test_runs_on_two_nodes_make_no_ratio(tmp_path) -> None:
    mixed = frames_of(tmp_path, lambda seed, framework: "n1" if framework == "jax" else "n2")
    ((_, _, found),) = bench_of(mixed).comparisons()
    assert found.reason == "no block holds both"
    assert pd.isna(found.ratio.value)


def test_one_node_and_older_runs_need_no_word(tmp_path) -> None:
    assert nodes(bench_of(frames_of(tmp_path / "one", lambda *_: "n1"))) == []
    assert nodes(bench_of(frames_of(tmp_path / "none", lambda *_: None))) == []
