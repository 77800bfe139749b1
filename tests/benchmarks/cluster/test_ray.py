"""`--executor ray` with calls that stand for Ray's: queued, watched, lost, resumed, refused."""

import os
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.cluster import ray, ray_queue, watch
from benchmarks.cluster.scheduler import SchedulerError
from benchmarks.run import main
from results.store import Store
from tests.benchmarks.test_run_cli import in_process, interrupted
from tests.helpers import fake_ray
from tests.helpers.fake_backend import command


@pytest.fixture
def cluster(work, monkeypatch) -> Path:
    monkeypatch.setattr(watch, "_SHORTEST", 0.1)
    monkeypatch.setattr(watch, "_LONGEST", 0.5)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return fake_ray.install(work, monkeypatch)


def asked(*options: str, frameworks: tuple[str, ...] = ("fake",)) -> list[str]:
    return command("--seeds", "0", "1", "--executor", "ray", *options, frameworks=frameworks)


def states() -> list[str]:
    """The state of each job in the order of the blocks."""
    (path,) = Path("runs/blocks").glob(f"*/{ray_queue.STATES}")
    return [state for state, *_ in msgspec.json.decode(path.read_bytes()).values()]


def test_a_lost_block_is_told_and_resumed_alone(cluster, capsys) -> None:
    (cluster / "lose").write_text("2")
    assert main(asked("--max-jobs", "1")) == 1
    assert "NodeDiedError (The node has died)" in capsys.readouterr().out
    runs = Store("runs").runs()
    assert runs["status"].tolist() == ["ok", "lost"]
    assert set(runs["engine"]) == {"ray"}
    assert runs["node"][0] == "n1"
    assert runs["job_id"].tolist() == [f"galaxies-{runs['session_id'][0]}_{at}" for at in (1, 2)]
    for options in fake_ray.tasks(cluster):
        assert options["max_retries"] == 0
        assert (options["num_cpus"], options["num_gpus"]) == (1, 0), "all of a node"

    (cluster / "lose").unlink()
    assert main(asked("--resume")) == 0
    assert set(Store("runs").runs(latest=True)["status"]) == {"ok"}
    assert len(fake_ray.tasks(cluster)) == 3
    assert len(os.listdir("runs/blocks")) == 1, "of the session that lost a run"


def test_ctrl_c_cancels_what_is_queued_and_running(cluster, work) -> None:
    words = asked("--max-jobs", "1", frameworks=("fake-sleeps",))
    started = in_process(words, work)
    told = Path("runs").glob
    interrupted(started, lambda: any(told("blocks/*/states.json")) and "RUNNING" in states())
    assert states() == ["CANCELLED", "CANCELLED"]
    assert not list(Path("runs").glob("run-*"))


@pytest.mark.slow
@pytest.mark.extended
def test_detached_and_attached_again(cluster, capsys) -> None:
    assert main(asked("--detach")) == 0
    assert main(["--attach", "--no-report"]) == 0
    assert "[2/2] fake" in capsys.readouterr().out
    assert set(Store("runs").runs()["status"]) == {"ok"}
    assert not Path("runs/blocks").exists()


@pytest.mark.slow
@pytest.mark.extended
def test_a_block_that_takes_too_long_is_ended(cluster, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.cluster.session.job_seconds", lambda block: 6.0)
    assert main(asked(frameworks=("fake-sleeps",))) == 1
    reasons = set(Store("runs").runs()["reason"].str.replace(r"job \S+ ", "", regex=True))
    assert reasons == {f"TIMEOUT (not done after 6 s) on {node}" for node in ("n1", "n2")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["address=127.0.0.1:1"], "address=127.0.0.1:1: no Ray cluster there"),
        (["adress=x"], "adress: unknown (did you mean 'address'?)"),
        (["python=/none"], "python=/none: no such interpreter"),
        (["resource=blok"], "resource=blok: no node with CPUs has it (did you mean 'block'?)"),
        (["resource=many"], "resource=many: each node is to have one of it"),
    ],
)
def test_a_wrong_option_is_one_message(cluster, capsys, options: list[str], message: str) -> None:
    fake_ray.have_nodes(cluster, {"CPU": 1, "block": 1, "many": 4}, {"CPU": 2, "block": 1})
    assert main(asked("--executor-option", *options)) == 2
    assert message in capsys.readouterr().err
    assert not fake_ray.tasks(cluster)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ("blind", [], "node n2 does not see /its/store; keep store (--store)"),
        ("refuse", [], "Ray at auto: n2"),
        ("", ["--threads", "9"], "--threads 9: the largest node has 1 CPUs"),
        ("", ["--device", "cuda"], "--device cuda: the nodes give no GPU"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_queued(
    cluster, capsys, change: str, options: list[str], message: str
) -> None:
    if change:
        (cluster / change).write_text("n2")
    assert main(asked(*options)) == 2
    assert message in capsys.readouterr().err
    assert not fake_ray.tasks(cluster)
    assert not list(Path("runs").glob("blocks/*"))


def test_a_block_takes_a_whole_node(cluster) -> None:
    scheduler = ray.Ray()
    fake_ray.have_nodes(cluster, {"CPU": 8.0, "GPU": 2.0}, {"CPU": 4.0})
    with pytest.raises(SchedulerError, match="4 CPUs and 0 GPUs, 8 CPUs and 2 GPUs: a block takes"):
        scheduler.nodes(4)
    fake_ray.have_nodes(cluster, {"CPU": 8.0, "block": 1.0}, {"CPU": 4.0, "block": 1.0})
    chosen = ray.Ray({"resource": "block"})
    with pytest.raises(SchedulerError, match="say --threads 4"):
        chosen.nodes(0)
    assert chosen.nodes(4).cpus == 8
    assert chosen.takes == {"CPU": 4, "block": 1}
    assert chosen.nodes(6).cpus == 8
    assert chosen.takes == {"CPU": 6, "block": 1}, "no block goes to a node that is too small"
    fake_ray.have_nodes(cluster, {"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0, "GPU": 2.0})
    assert scheduler.nodes(0).gpu
    assert scheduler.takes == {"CPU": 8, "GPU": 2}
    shared = ray.Ray(side_by_side=2)
    assert shared.nodes(0).cpus == 4
    assert shared.takes == {"CPU": 4, "GPU": 1}
    with pytest.raises(SchedulerError, match="a node has 2 GPUs, which so many blocks"):
        ray.Ray(side_by_side=3).nodes(0)
    fake_ray.have_nodes(cluster)
    with pytest.raises(SchedulerError, match="no node of the cluster has CPUs"):
        scheduler.nodes(0)


def test_without_ray(work, capsys, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(asked()) == 2
    assert "Ray is not installed; pip install -c constraints.txt" in capsys.readouterr().err


def test_a_queue_that_is_no_more_has_lost_its_jobs(cluster, tmp_path, monkeypatch) -> None:
    told = {"s_1": ["COMPLETED", "", "n1"], "s_2": ["RUNNING", "", "n2"], "s_3": ["PENDING"]}
    states = tmp_path / ray_queue.STATES
    scheduler = ray.Ray()
    for damaged in ("[]", '{"s_1": []}', '{"s_1": "COMPLETED"}'):
        states.write_text(damaged)
        with pytest.raises(SchedulerError, match=ray_queue.STATES):
            scheduler.states(tmp_path, list(told))
    states.write_bytes(msgspec.json.encode(told))

    def words() -> list[str]:
        return [job.words() for job in scheduler.states(tmp_path, list(told)).values()]

    assert words() == ["COMPLETED on n1", "RUNNING on n2", "PENDING"]
    monkeypatch.setattr(ray, "_SILENT_SECONDS", 0.0)
    gone = "GONE (the session's queue on Ray's head node has ended)"
    assert words() == ["COMPLETED on n1", f"{gone} on n2", gone]
    (cluster / "refuse").write_text("no GCS")
    with pytest.raises(SchedulerError, match="Ray at auto: no GCS"):
        words()
    monkeypatch.setattr(ray, "_LOST_SECONDS", 0.0)
    assert words()[2] == "GONE (Ray at auto: no GCS)"


def test_a_queue_gives_up_a_block_without_a_sign_of_life(cluster, monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "ray", fake_ray)
    queue = ray_queue.Queue({"jobs": ["s_1"], "silence": 9.0, "directory": tmp_path})
    ref = fake_ray.Ref()
    queue.waiting, queue.running = [], {ref: "s_1"}
    assert queue.alive("s_1", "n1")
    queue.collect()
    assert queue.states["s_1"][0] == "RUNNING"
    queue.seen["s_1"] -= 10.0
    queue.collect()
    assert queue.states["s_1"] == ["SILENT", "no sign of life for 9 s", "n1"]
    assert isinstance(ref.exception(), fake_ray.TaskCancelledError)
    assert not queue.alive("s_1", "n1"), "its task is told to end"
