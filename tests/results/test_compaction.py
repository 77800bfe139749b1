"""Packing a store: no row is lost or doubled, whatever ends it."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from results.parquet import pack
from results.store import DamagedFileWarning, Store
from tests.helpers.factory import fill, synthetic_run

DAY = 24 * 3600


def test_compact_keeps_every_row(store: Store) -> None:
    fill(store, seeds=[0, 1])
    frames = [store.runs(), store.epochs(), store.predictions()]
    assert store.compact() == 12
    assert len(store.files()) == 1
    key = {0: ["execution_id"], 1: ["execution_id", "epoch", "split"], 2: ["execution_id", "index"]}
    for number, (before, after) in enumerate(
        zip(frames, [store.runs(), store.epochs(), store.predictions()], strict=True)
    ):
        before = before.sort_values(key[number], ignore_index=True)
        after = after.sort_values(key[number], ignore_index=True)
        pd.testing.assert_frame_equal(before, after)
    assert store.compact() == 0
    store.append(*synthetic_run(seed=7))
    assert store.compact() == 2
    assert len(store.runs()) == 13


def test_compact_killed_before_removing_doubles_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, architectures=["c2"], seeds=[0, 1], failures=False)
    before = store.predictions()

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            store.compact()
    assert len(store.files()) == 7
    assert len(store.runs()) == 6
    assert len(store.predictions()) == len(before)
    assert store.compact() == 7
    assert len(store.files()) == 1
    assert pq.ParquetFile(store.files()[0]).metadata.num_rows == 6


def test_compact_leaves_a_damaged_file_and_makes_packs_of_bounded_size(store: Store) -> None:
    paths = [store.append(*synthetic_run(seed=seed)) for seed in range(6)]
    paths[0].write_bytes(paths[0].read_bytes()[:-100])
    size = paths[1].stat().st_size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "ROW_GROUP_ROWS", 2)
        assert pack.pack(store.path, store.files(), pack_bytes=size // 4) == 5
    assert paths[0].exists()
    assert len(store.files()) == 1 + 3
    with pytest.warns(DamagedFileWarning, match=paths[0].name):
        assert len(store.runs()) == 5


def test_many_files_are_packed_and_few_are_left_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        store.append(*synthetic_run(seed=seed))
    assert store.tidy() == 0
    monkeypatch.setattr("results.store.MANY_FILES", 3)
    assert store.tidy() == 4
    assert len(store.files()) == 1
    assert len(store.runs()) == 4


def test_a_file_that_another_packs_after_the_listing_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "runs")
    for seed in range(3):
        store.append(*synthetic_run(seed=seed))
    listed = store.files()
    listed[1].unlink()
    monkeypatch.setattr(store, "files", lambda: listed)
    assert store.compact() == 2
