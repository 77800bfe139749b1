"""The store as blocks on several nodes use it: single rows, and runs that were lost."""

from datetime import timedelta

import pytest

from results.parquet.files import DamagedFileWarning
from results.store import Store
from tests.helpers.factory import synthetic_run


def add(store: Store, seed: int, execution: int, **changes: object) -> str:
    run, epochs, predictions = synthetic_run("torch", "c2", seed, execution=execution, epochs=2)
    run |= {"started_at": run["started_at"] + timedelta(hours=execution)}
    ok = changes.get("status", "ok") == "ok"
    store.append(run | changes, epochs if ok else [], predictions if ok else [])
    return str(run["execution_id"])


@pytest.mark.parametrize("compacted", [False, True])
def test_rows_of_some_executions_wherever_they_lie(tmp_path, compacted: bool) -> None:
    store = Store(tmp_path)
    ids = [add(store, seed, 0, node=f"n{seed}") for seed in range(3)]
    if compacted:
        store.compact()
    found = store.rows([ids[0], ids[2], "none"], ["node", "status"])
    assert found == {
        one: {"execution_id": one, "node": node, "status": "ok"}
        for one, node in ((ids[0], "n0"), (ids[2], "n2"))
    }
    assert bool(store.rows(ids, ["node"], packed=False)) is not compacted


def test_a_damaged_row_is_as_one_that_is_not_there(tmp_path) -> None:
    store = Store(tmp_path)
    one = add(store, 0, 0)
    (tmp_path / f"run-{one}.parquet").write_bytes(b"PAR1")
    assert store.rows([one], ["node"]) == {}
    with pytest.warns(DamagedFileWarning):
        assert store.runs().empty


def test_a_lost_run_counts_only_where_it_was_never_made(tmp_path) -> None:
    store = Store(tmp_path)
    lost = {"status": "lost", "machine_id": None, "reason": "job 1_1: NODE_FAIL on n1"}
    add(store, 0, 0, **lost)
    add(store, 1, 0, **lost)
    add(store, 1, 1, **lost)
    add(store, 2, 0, status="error", machine_id="a")
    add(store, 2, 1, **lost)
    latest = store.runs(latest=True)
    assert list(zip(latest["seed"], latest["status"], strict=True)) == [
        *((0, "lost"), (2, "error"), (1, "lost"))
    ]
    add(store, 0, 2, machine_id="a")
    add(store, 0, 3, machine_id="b")
    latest = store.runs(latest=True).sort_values(["seed", "machine_id"])
    assert latest[["seed", "status"]].to_numpy().tolist() == [
        *([0, "ok"], [0, "ok"], [1, "lost"], [2, "error"])
    ]
