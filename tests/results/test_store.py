"""The store: whole or not at all, by many writers, through damage and full disks."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.__main__ import main
from results.store import DamagedFileWarning, Store, StoreError
from results.version import NewerVersionError
from tests.conftest import ROOT
from tests.helpers.factory import fill, save_synthetic_examples, synthetic_run

DAY = 24 * 3600


def test_what_is_appended_is_read_back(store: Store) -> None:
    run, epochs, predictions = synthetic_run()
    store.append(run, epochs, predictions)

    row = store.runs().iloc[0]
    assert row["test_accuracy"] == run["test_accuracy"]
    assert row["class_names"] == tuple(run["class_names"])
    assert row["started_at"].to_pydatetime() == run["started_at"]
    assert pd.isna(row["reason"])

    read = store.epochs()
    assert len(read) == len(epochs)
    assert read["loss"].tolist() == [one["loss"] for one in epochs]
    assert set(read["run_id"]) == {run["run_id"]}
    timed = [one["epoch_seconds"] for one in epochs if one["epoch_seconds"] is not None]
    assert read["epoch_seconds"].dropna().tolist() == timed

    read = store.predictions()
    assert read["predicted"].tolist() == [one["predicted"] for one in predictions]
    expected = np.stack([one["probabilities"] for one in predictions])
    assert np.stack(read["probabilities"].to_list()).dtype == np.float32
    np.testing.assert_array_equal(np.stack(read["probabilities"].to_list()), expected)
    assert "probabilities" not in store.predictions(probabilities=False)


def test_derived_columns_follow_from_the_raw_epoch_times(store: Store) -> None:
    fill(store, frameworks=["keras", "torch"], architectures=["c2"], seeds=[0, 1], epochs=4)
    runs = store.runs().set_index("execution_id")
    median = store.epochs().groupby("execution_id")["epoch_seconds"].median()
    for execution, row in runs[runs["status"] == "ok"].iterrows():
        assert row["epoch_seconds_median"] == median[execution]
        assert row["images_per_second"] == row["train_images"] / median[execution]
        assert row["achieved_flops"] == row["images_per_second"] * row["flops_per_image"]
    failed = runs[runs["status"] == "timeout"]
    assert len(failed) == 1
    assert failed["epoch_seconds_median"].isna().all()


def test_asked_for_columns_only(store: Store) -> None:
    fill(store, architectures=["c2"], seeds=[0])
    assert list(store.runs(columns=["images_per_second", "framework"])) == [
        "images_per_second",
        "framework",
    ]
    with pytest.raises(ValueError, match="runs has no column 'frameworks'"):
        store.runs(columns=["frameworks"])


def test_a_store_that_is_not_there_is_empty_and_is_not_created(store: Store) -> None:
    assert store.runs().empty
    assert "images_per_second" in store.runs()
    assert store.epochs().empty
    assert store.predictions().empty
    assert store.finished() == set()
    assert store.examples() == []
    assert not store.path.exists()


def test_finished_are_those_that_ended_ok(store: Store) -> None:
    good, *_ = synthetic_run(seed=0)
    bad, *_ = synthetic_run(seed=1, status="error", reason="broke")
    store.append(good)
    store.append(bad)
    assert store.finished() == {good["run_id"]}
    again, *_ = synthetic_run(seed=1, execution=1)
    store.append(again)
    assert store.finished() == {good["run_id"], bad["run_id"]}


def test_finished_on_one_machine(store: Store) -> None:
    here, *_ = synthetic_run(seed=0, machine_id="here")
    there, *_ = synthetic_run(seed=0, execution=1, machine_id="there")
    other, *_ = synthetic_run(seed=1, machine_id="there")
    for run in (here, there, other):
        store.append(run)
    assert store.finished("here") == {here["run_id"]}
    assert store.finished("there") == {here["run_id"], other["run_id"]}
    assert store.finished("nowhere") == set()


def test_latest_execution_wins_when_asked_and_history_keeps_all(store: Store) -> None:
    for execution, accuracy in enumerate([0.1, 0.2, 0.3]):
        store.append(*synthetic_run(execution=execution, test_accuracy=accuracy))
    store.append(*synthetic_run("torch", test_accuracy=0.9))
    assert len(store.runs()) == 4
    latest = store.runs(latest=True)
    assert sorted(latest["test_accuracy"]) == [0.3, 0.9]
    assert set(store.epochs(latest=True)["execution_id"]) == set(latest["execution_id"])
    assert set(store.predictions(latest=True)["execution_id"]) == set(latest["execution_id"])


def test_latest_is_of_each_machine_and_ok_before_failed(store: Store, tmp_path: Path) -> None:
    there = Store(tmp_path / "there")
    store.append(*synthetic_run(machine_id="here", test_accuracy=0.1))
    store.append(*synthetic_run(machine_id="here", execution=1, test_accuracy=0.2))
    store.append(*synthetic_run(machine_id="here", execution=2, status="oom"))
    store.append(*synthetic_run("torch", machine_id="here", execution=3, status="oom"))
    store.append(*synthetic_run("torch", machine_id="here", execution=4, status="timeout"))
    there.append(*synthetic_run(machine_id="there", execution=5, test_accuracy=0.3))
    store.merge(there)
    latest = store.runs(latest=True)
    assert latest["status"].tolist() == ["ok", "timeout", "ok"]
    assert latest["test_accuracy"].dropna().tolist() == [0.2, 0.3]
    assert len(store.runs(latest=True, columns=["framework"])) == 3
    assert set(store.epochs(latest=True)["execution_id"]) == set(
        latest.loc[latest["status"] == "ok", "execution_id"]
    )


def test_an_execution_is_not_stored_twice(store: Store) -> None:
    store.append(*synthetic_run())
    with pytest.raises(ValueError, match="already stored"):
        store.append(*synthetic_run())


def test_execution_id_must_make_a_file_name(store: Store) -> None:
    run, *_ = synthetic_run(execution_id="../elsewhere")
    with pytest.raises(ValueError, match="file name"):
        store.append(run)


def damaged_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def damaged_empty(path: Path) -> None:
    path.write_bytes(b"")


def damaged_inside(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200:1200] = bytes(1000)
    path.write_bytes(content)


def damaged_foreign(path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), path)


@pytest.mark.parametrize(
    "damage",
    [damaged_truncated, damaged_empty, damaged_inside, damaged_foreign],
)
def test_a_damaged_file_is_named_and_the_rest_is_read(store: Store, damage) -> None:
    paths = [store.append(*synthetic_run(seed=seed)) for seed in range(3)]
    damage(paths[1])
    with pytest.warns(DamagedFileWarning, match=paths[1].name) as caught:
        runs = store.runs()
    assert len(caught) == 1
    assert sorted(runs["seed"]) == [0, 2]


def test_a_file_of_a_newer_schema_is_an_error_with_its_remedy(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """To leave its runs out with a warning would show other results than there are."""
    path = store.append(*synthetic_run())
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"schema_version": "999"}), path)
    for read in (store.runs, store.epochs, store.finished):
        with pytest.raises(NewerVersionError, match=f"{path.name} was written by a newer version"):
            read()
    assert main(["show", "--store", str(store.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "update the checkout" in line


def test_a_file_of_an_older_schema_is_read_with_nulls(store: Store) -> None:
    path = store.append(*synthetic_run())
    table = pq.read_table(path).drop_columns(["masks_hash", "parity_checked"])
    pq.write_table(table, path)
    store.append(*synthetic_run(seed=1))
    runs = store.runs()
    assert runs["masks_hash"].isna().tolist() == [True, False]
    assert store.runs(columns=["seed"])["seed"].tolist() == [0, 1]


def test_leftovers_of_a_killed_writer_are_ignored(store: Store) -> None:
    path = store.append(*synthetic_run())
    leftover = store.path / ".tmp-1-abc"
    leftover.write_bytes(path.read_bytes()[:500])
    assert len(store.runs()) == 1
    os.utime(leftover, (time.time() - 2 * DAY,) * 2)
    store.compact()
    assert not leftover.exists()


def test_a_killed_writer_leaves_no_row(store: Store) -> None:
    """A process is killed with the file half written, before the rename."""
    store.append(*synthetic_run())
    code = f"""
        import os, signal
        import pyarrow.parquet as pq
        from results.store import Store
        from tests.helpers.factory import synthetic_run

        whole = pq.write_table

        def half(table, file, **options):
            whole(table, file, **options)
            file.truncate(file.tell() // 2)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        pq.write_table = half
        Store({str(store.path)!r}).append(*synthetic_run(seed=1))
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(store.path.iterdir())) == 2  # the run and the leftover
    assert store.runs()["seed"].tolist() == [0]


def _write_some(path: Path, writer: int) -> None:
    store = Store(path)
    for number in range(15):
        run, epochs, _ = synthetic_run(seed=number, execution_id=f"writer{writer}-{number}")
        store.append(run, epochs)


def test_writers_at_once_lose_and_double_nothing(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write_some, args=(store.path, number)) for number in range(2)
    ]
    for process in writers:
        process.start()
    while any(process.is_alive() for process in writers):
        store.runs()  # reading beside them, without a warning: warnings are errors here
        store.compact()
    for process in writers:
        process.join()
        assert process.exitcode == 0
    executions = store.runs()["execution_id"]
    assert sorted(executions) == sorted(f"writer{w}-{n}" for w in range(2) for n in range(15))


def test_a_path_under_a_file_gives_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    for path in (tmp_path / "file", tmp_path / "file" / "runs"):
        store = Store(path)
        with pytest.raises(StoreError, match=r"cannot write to the results store .*--store"):
            store.append(*synthetic_run())
        with pytest.raises(StoreError, match="--store"):
            store.check_writable()
        with pytest.raises(StoreError, match="cannot read the results store"):
            store.runs()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "make it writable")],
)
def test_a_full_or_read_only_disk_gives_one_clear_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    store.append(*synthetic_run())

    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError) as caught:
        store.append(*synthetic_run(seed=1))
    assert str(store.path) in str(caught.value)
    assert remedy in str(caught.value)
    assert caught.value.errno == code
    with pytest.raises(StoreError):
        store.check_writable()
    assert len(list(store.path.iterdir())) == 1, "a temporary file was left behind"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_write_permission(store: Store) -> None:
    store.append(*synthetic_run())
    store.path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="make it writable"):
            store.check_writable()
    finally:
        store.path.chmod(0o700)


def test_check_writable_leaves_nothing_behind(store: Store) -> None:
    store.check_writable()
    assert list(store.path.iterdir()) == []


def test_merge_takes_what_is_new_once(tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    for seed in range(3):
        here.append(*synthetic_run(seed=seed))
    for seed in range(2, 6):
        there.append(*synthetic_run(seed=seed))
    save_synthetic_examples(there)
    assert here.merge(there) == 3
    assert sorted(here.runs()["seed"]) == [0, 1, 2, 3, 4, 5]
    assert len(here.examples()) == 1
    assert here.merge(there) == 0
    there.compact()
    assert here.merge(there.path) == 0
    assert len(here.files()) == 6
    with pytest.raises(FileNotFoundError, match="no results store at"):
        here.merge(tmp_path / "nowhere")


def test_merge_of_a_packed_store_that_overlaps(tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    here.append(*synthetic_run(seed=0))
    for seed in range(3):
        there.append(*synthetic_run(seed=seed))
    there.compact()
    assert here.merge(there) == 2
    assert sorted(here.runs()["seed"]) == [0, 1, 2]
    assert here.epochs()["execution_id"].nunique() == 3


def test_examples_are_kept_once_for_each_view(store: Store) -> None:
    save_synthetic_examples(store)
    save_synthetic_examples(store)
    save_synthetic_examples(store, label_view="4way/of\\mine")
    found = store.examples()
    assert [one.label_view for one in found] == ["4way/of\\mine", "native"]
    assert found[0].images.shape == (10, 69, 69, 3)
    assert found[0].class_names[8] == "Disk, Face-on, Medium Spiral"
    assert store.runs().empty


def test_examples_that_do_not_fit_are_refused_and_damaged_ones_skipped(store: Store) -> None:
    keys = {"dataset": "x", "dataset_sha256": "y", "label_view": "native", "channels": "rgb"}
    images = np.zeros((2, 5, 5, 3), np.uint8)
    with pytest.raises(ValueError, match="uint8"):
        store.save_examples(images.astype(float), np.array([0, 1]), ["a", "b"], **keys)
    with pytest.raises(ValueError, match="2 images but labels"):
        store.save_examples(images, np.array([0]), ["a", "b"], **keys)
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        store.save_examples(images, np.array([0, 2]), ["a", "b"], **keys)
    path = store.save_examples(images, np.array([0, 1]), ["a", "b"], **keys)
    damaged_truncated(path)
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert store.examples() == []
