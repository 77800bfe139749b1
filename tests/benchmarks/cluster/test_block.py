"""Blocks as files: written, run one by one, broken off, refused. The frameworks are fakes."""

import json
from pathlib import Path

import h5py
import pytest

from benchmarks import block as command_of_block
from benchmarks.run import main
from benchmarks.runner import block as blocks
from benchmarks.system import machine
from results.store import Store
from tests.helpers.fake_backend import command

PAIR = ("fake", "fake-tuned")


@pytest.fixture
def written(work) -> list[Path]:
    """Two blocks of two frameworks each."""
    asked = command("--seeds", "0", "1", "--write-blocks", "blocks", frameworks=PAIR)
    assert main(asked) == 0
    return sorted(Path("blocks").iterdir())


def run(path: Path) -> int:
    return command_of_block.main([str(path)])


def test_a_local_run_tells_node_engine_and_block(work) -> None:
    assert main(command("--seeds", "0", "1", frameworks=PAIR)) == 0
    runs = Store("runs").runs()
    assert set(runs["node"]) == {machine.node()}
    assert set(runs["engine"]) == {"local"}
    assert runs["job_id"].isna().all()
    assert runs.groupby("block")["seed"].nunique().tolist() == [1, 1]
    assert runs.groupby("block").size().tolist() == [2, 2]


def test_a_block_gives_the_rows_of_the_local_run(written, monkeypatch) -> None:
    assert [path.name for path in written] == ["00001.json", "00002.json"]
    assert not list(Path("runs").glob("*.parquet"))
    monkeypatch.setenv("SLURMD_NODENAME", "n7")
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    for path in written:
        assert run(path) == 0
    assert main(command("--seeds", "0", "1", "--store", "local", frameworks=PAIR)) == 0
    far, here = Store("runs").runs(), Store("local").runs()
    assert set(far["node"]) == {"n7"}
    assert set(far["engine"]) == {"block"}
    assert set(far["job_id"]) == {"42"}
    assert far["session_id"].nunique() == 1
    columns = ["run_id", "block", "status", "split_hash", "order_hash", "weights_hash"]
    columns += ["test_loss", "test_accuracy", "class_names", "class_counts", "threads"]
    order = ["run_id"]
    same = (frame[columns].sort_values(order).reset_index(drop=True) for frame in (far, here))
    assert next(same).equals(next(same))


def test_a_whole_block_is_left_alone(written, capsys) -> None:
    assert run(written[0]) == 0
    assert run(written[0]) == 0
    assert "is in the store" in capsys.readouterr().out
    assert len(Store("runs").runs()) == 2
    Store("runs").compact()
    assert run(written[0]) == 0
    assert len(Store("runs").runs()) == 2


def test_a_block_that_was_broken_off_is_run_again_from_its_start(written, capsys) -> None:
    assert run(written[0]) == 0
    first = blocks.load(written[0])
    Path("runs", f"run-{first.executions[1]}.parquet").unlink()
    assert run(written[0]) == 0
    assert "was broken off after 1 run; all are run again" in capsys.readouterr().out
    runs = Store("runs").runs()
    assert len(runs) == 3
    assert sorted(runs["run_id"].value_counts()) == [1, 2]


def test_a_failed_run_of_a_block_is_told(work, capsys) -> None:
    assert main(command("--write-blocks", "blocks", frameworks=("fake", "fake-raises"))) == 0
    assert run(Path("blocks/00001.json")) == 1
    assert "fake-raises seed 0: error" in capsys.readouterr().err
    assert set(Store("runs").runs()["status"]) == {"ok", "error"}


def test_what_cannot_be_run_here_is_one_message(written, capsys, monkeypatch) -> None:
    with h5py.File("galaxies.h5", "r+") as file:
        file["images"][0, 0, 0, 0] += 1
    assert run(written[0]) == 2
    assert f"on node {machine.node()} are not those that the runs were" in capsys.readouterr().err
    monkeypatch.setattr(machine, "usable_cpus", list)
    assert run(written[1]) == 2
    assert "its runs want 1 CPUs, and 0 may be used" in capsys.readouterr().err
    assert not list(Path("runs").glob("*.parquet"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "field 'format': is 2, this version reads 1"),
        ({"runs": []}, "fields 'runs', 'executions' and 'seconds' are to be of one length"),
        ({"executions": ["a-1", "b-2"]}, "field 'executions' does not name each of 'runs' once"),
        ({"number": "x"}, "field 'number': Expected `int`, got `str`"),
        ({"other": 1}, "unknown field `other`"),
    ],
)
def test_a_damaged_file_is_one_message(written, capsys, change: dict, message: str) -> None:
    content = json.loads(written[0].read_text())
    written[0].write_text(json.dumps(content | change))
    assert run(written[0]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_none_is_one_message(tmp_path, capsys) -> None:
    assert run(tmp_path / "00001.json") == 2
    assert "no such file" in capsys.readouterr().err
