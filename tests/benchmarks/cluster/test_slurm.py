"""`--executor slurm` with commands that stand for Slurm's: queued, watched, lost, resumed."""

from pathlib import Path

import pytest

from benchmarks.cluster import watch
from benchmarks.run import main
from results.store import Store
from tests.benchmarks.test_run_cli import in_process, interrupted
from tests.helpers import fake_slurm
from tests.helpers.fake_backend import command

PAIR = ("fake", "fake-tuned")


@pytest.fixture
def slurm(work, monkeypatch) -> Path:
    monkeypatch.setattr(watch, "_SHORTEST", 0.1)
    monkeypatch.setattr(watch, "_LONGEST", 0.5)
    return fake_slurm.install(work, monkeypatch)


def asked(*options: str, frameworks: tuple[str, ...] = PAIR) -> list[str]:
    return command(
        *("--seeds", "0", "1", "2", "--executor", "slurm", *options), frameworks=frameworks
    )


def test_each_block_is_a_job_and_its_rows_arrive(slurm, capsys) -> None:
    options = ["--executor-option", "partition=main", "--executor-option", "mem=1G"]
    assert main(asked(*options, "--max-jobs", "2", "--timeout", "100")) == 0
    out = capsys.readouterr().out
    assert "3 blocks are queued; python -m benchmarks.run --attach" in out
    assert "[6/6] fake" in out
    runs = Store("runs").runs()
    assert len(runs) == 6
    assert set(runs["engine"]) == {"slurm"}
    by_block = runs.groupby("block")
    assert (by_block["node"].nunique() == 1).all()
    assert sorted(by_block["job_id"].first()) == ["1_1", "1_2", "1_3"]
    assert set(runs["node"]) == {"n1", "n2"}
    (words,) = fake_slurm.calls(slurm, "sbatch")
    assert {"--exclusive", "--no-requeue", "--nodes=1", "--partition=main", "--mem=1G"} <= {*words}
    assert "--array=1-3%2" in words
    assert f"--time={(900 + 2 * 100 + 59) // 60}" in words, "the sum of the runs' limits"
    assert not Path("runs/blocks").exists()


def test_blocks_share_a_node_when_asked_and_their_rows_say_so(slurm) -> None:
    (slurm / "cpus").write_text("4 4")
    assert main(asked("--side-by-side", "4", frameworks=("fake",))) == 0
    (words,) = fake_slurm.calls(slurm, "sbatch")
    assert "--exclusive" not in words
    assert "--cpus-per-task=1" in words, "no fifth block fits on a node"
    assert set(Store("runs").runs()["side_by_side"]) == {4}


def test_a_lost_block_is_told_and_resumed_alone(slurm, capsys) -> None:
    (slurm / "lose").write_text("2")
    assert main(asked()) == 1
    output = capsys.readouterr()
    assert "lost in 0.0 s: job 1_2: NODE_FAIL (NodeDown) on n1" in output.out
    assert "2 of 6 runs failed" in output.err
    runs = Store("runs").runs()
    lost = runs[runs["status"] == "lost"]
    assert lost["block"].nunique() == 1
    assert set(lost["reason"]) == {"job 1_2: NODE_FAIL (NodeDown) on n1"}
    assert lost["machine_id"].isna().all()
    assert not lost["log"].notna().any()

    (slurm / "lose").unlink()
    assert main(asked("--resume", "--write-ids", "ids")) == 0
    words = fake_slurm.calls(slurm, "sbatch")[-1]
    assert "--array=1-1" in words
    found = Store("runs").runs(latest=True)
    assert set(found["status"]) == {"ok"}
    assert len(found) == 6
    assert len(Path("ids").read_text().split()) == 6
    assert main(asked("--resume")) == 0
    assert len(fake_slurm.calls(slurm, "sbatch")) == 2, "nothing was left"


@pytest.mark.slow
@pytest.mark.extended
def test_a_block_of_which_a_row_is_wanting_is_repeated_whole(slurm) -> None:
    assert main(asked()) == 0
    first = next(Path("runs").glob("run-*.parquet"))
    first.unlink()
    assert main(asked("--resume")) == 0
    assert "--array=1-1" in fake_slurm.calls(slurm, "sbatch")[-1]
    assert len(Store("runs").runs()) == 5 + 2


@pytest.mark.slow
@pytest.mark.extended
def test_a_queue_that_does_not_answer_is_asked_again(slurm, capsys) -> None:
    (slurm / "hide").write_text("2")
    assert main(asked()) == 0
    told = "squeue: squeue: error: Unable to contact slurm controller; asking again"
    assert capsys.readouterr().out.count(told) == 1


@pytest.mark.slow
@pytest.mark.extended
def test_more_blocks_than_an_array_holds_are_queued_one_after_another(slurm) -> None:
    (slurm / "array").write_text("3")
    assert main(asked("--max-jobs", "1")) == 0
    first, second = fake_slurm.calls(slurm, "sbatch")
    assert "--array=1-2%1" in first
    assert "--array=1-1%1" in second
    assert "--dependency=afterany:1" in second
    assert len(Store("runs").runs()) == 6


@pytest.mark.slow
@pytest.mark.extended
def test_detached_and_attached_again(slurm, capsys) -> None:
    assert main(asked("--detach")) == 0
    assert main(["--attach", "x", "--no-report"]) == 2
    assert "--attach x: unknown" in capsys.readouterr().err
    assert main(["--attach", "--no-report"]) == 0
    assert "[6/6] fake" in capsys.readouterr().out
    assert len(Store("runs").runs()) == 6
    assert main(["--attach", "--no-report"]) == 2
    assert "no session is queued from the store runs" in capsys.readouterr().err


def test_ctrl_c_cancels_what_is_queued_and_running(slurm, work) -> None:
    started = in_process(asked(frameworks=("fake-sleeps",)), work)
    interrupted(
        started, lambda: any(path.read_text().startswith("RUN") for path in slurm.glob("*.job"))
    )
    assert {path.read_text().partition("|")[0] for path in slurm.glob("*.job")} == {"CANCELLED"}
    assert not list(Path("runs").glob("run-*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--executor-option", "partition=gpus"], "partition=gpus: unknown (did you mean 'gpu'?)"),
        (["--executor-option", "partitoin=gpu"], "partitoin: unknown (did you mean 'partition'?)"),
        (["--executor-option", "partition"], "'partition': expected KEY=VALUE"),
        (["--executor-option", "mem=1", "--executor-option", "mem=2"], "mem: is stated twice"),
        (["--executor-option", "python=/none"], "python=/none: no such interpreter"),
        (["--device", "cuda"], "--device cuda: the nodes give no GPU; with Slurm add"),
        (["--threads", "9"], "--threads 9: the largest node has 1 CPUs"),
        (["--side-by-side", "2"], "--threads 1 --side-by-side 2: the largest node has 1 CPUs"),
        (
            ["--side-by-side", "2", "--executor-option", "cpus-per-task=1"],
            "cpus-per-task and --side-by-side: name one",
        ),
        (["--write-blocks", "b"], "--write-blocks and --executor: name one of the two"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_queued(
    slurm, capsys, options: list[str], message: str
) -> None:
    assert main(asked(*options)) == 2
    assert message in capsys.readouterr().err
    assert not fake_slurm.calls(slurm, "sbatch")


def test_nodes_of_several_sizes_want_threads(slurm, capsys) -> None:
    (slurm / "cpus").write_text("2 1")
    words = asked()
    words[words.index("--threads") : words.index("--threads") + 2] = []
    assert main(words) == 2
    assert "the nodes have 1, 2 CPUs: say --threads 1" in capsys.readouterr().err


def test_what_the_scheduler_refuses_is_told_in_its_words(slurm, capsys) -> None:
    (slurm / "refuse").write_text("Invalid account")
    assert main(asked()) == 2
    assert "Invalid account" in capsys.readouterr().err
    assert not list(Path("runs").glob("blocks/*"))


def test_what_every_node_refuses_is_told_once_and_cancelled(slurm, capsys, monkeypatch) -> None:
    (slurm / "cpus").write_text("64")
    words = asked()
    words[words.index("--threads") + 1] = "64"
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "its runs want 64 CPUs, and" in told
    assert not list(Path("runs").glob("run-*"))


def test_without_slurm_and_without_an_executor(work, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert main(asked()) == 2
    assert "there is no sbatch here" in capsys.readouterr().err
    assert main(command("--max-jobs", "2")) == 2
    assert "--max-jobs: it is of --executor slurm or ray" in capsys.readouterr().err
    assert main(command("--side-by-side", "2")) == 2
    assert "--side-by-side 2: runs come one after another here" in capsys.readouterr().err
