"""Real schedulers with two nodes here: one dies, a job is cancelled, the rest is resumed."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from benchmarks.run import main
from results.store import Store
from tests.benchmarks.test_run_cli import in_process
from tests.helpers import ray_cluster, slurm
from tests.helpers.fake_backend import command

BLOCKS = 12
Cluster = slurm.Cluster | ray_cluster.Cluster


def on(real: ModuleType, *frameworks: str, extended: bool):
    """A case of the test: a scheduler, and what it runs."""
    marks = [pytest.mark.slow, pytest.mark.skipif(bool(real.wanting()), reason=real.wanting())]
    marks += [pytest.mark.extended] * extended
    name = f"{real.__name__.rpartition('.')[2]}-{frameworks[0]}"
    return pytest.param(real, frameworks, marks=marks, id=name)


@pytest.fixture
def cluster(work, monkeypatch, real: ModuleType) -> Iterator[Cluster]:
    with contextlib.ExitStack() as running:
        try:
            made = running.enter_context(real.cluster(work / "cluster"))
        except slurm.NoSlurmError as reason:
            pytest.skip(str(reason))
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def asked(*options: str, frameworks: tuple[str, ...]) -> list[str]:
    seeds = [str(seed) for seed in range(BLOCKS)]
    return command("--seeds", *seeds, *options, frameworks=frameworks)


def next_job(cluster: Cluster, node: str, driver: subprocess.Popen[str]) -> str:
    """A job that has just begun on the node."""
    before = running = cluster.running(node)
    while not running or running == before:
        assert driver.poll() is None, driver.communicate()[0]
        time.sleep(0.1)
        running = cluster.running(node)
    return running


def told(store: str) -> list[pd.DataFrame]:
    """All that came out of the finished runs, without where and when."""
    read = Store(store)
    runs = read.runs(latest=True).sort_values("run_id")
    columns = ["run_id", "block", "status", "test_loss", "test_accuracy", "weights_hash"]
    ids = runs.set_index("execution_id")["run_id"]
    found = [runs[columns].reset_index(drop=True)]
    for frame in (read.epochs(latest=True), read.predictions(latest=True)):
        mine = frame.assign(run_id=frame["execution_id"].map(ids))
        order = [name for name in ("run_id", "epoch", "split", "index") if name in mine]
        mine = mine.drop(columns=["execution_id", "epoch_seconds"], errors="ignore")
        if "probabilities" in mine:
            mine["probabilities"] = [values.tobytes() for values in mine["probabilities"]]
        found.append(mine.sort_values(order).reset_index(drop=True))
    return found


@pytest.mark.parametrize(
    ("real", "frameworks"),
    [
        on(slurm, "fake", "fake-tuned", extended=True),
        on(slurm, "torch", extended=False),
        on(ray_cluster, "torch", extended=True),
    ],
)
def test_what_a_dead_node_and_a_cancel_leave_is_resumed(
    cluster,
    work,
    frameworks: tuple[str, ...],
) -> None:
    driver = in_process(asked(*cluster.options, frameworks=frameworks), work)
    dead = next_job(cluster, "n2", driver)
    cluster.kill("n2")
    cancelled = next_job(cluster, "n1", driver)
    cluster.cancel(cancelled)
    out, _ = driver.communicate()
    assert driver.returncode == 1, out

    runs = Store("runs").runs()
    lost = runs[runs["status"] == "lost"]
    assert set(lost["job_id"]) == {dead, cancelled}
    reasons = {str(row["job_id"]): row["reason"] for _, row in lost.iterrows()}
    assert reasons[dead].startswith(f"job {dead}: {cluster.DEAD}")
    assert reasons[dead].endswith(" on n2")
    assert reasons[cancelled] == f"job {cancelled}: CANCELLED on n1"
    whole = runs[~runs["block"].isin(set(lost["block"]))]
    assert (whole["status"] == "ok").all()
    assert (whole.groupby("block").size() == len(frameworks)).all()
    assert not whole[["block", "node"]].drop_duplicates()["block"].duplicated().any()
    assert whole["block"].nunique() == BLOCKS - 2
    assert not list(Path("scratch").glob(".galaxy-benchmark-*")), "nothing is left in TMPDIR"

    assert main(asked(*cluster.options, "--resume", frameworks=frameworks)) == 0
    again = Store("runs").runs().iloc[len(runs) :]
    assert set(again["block"]) == set(lost["block"])
    assert len(again) == 2 * len(frameworks)
    assert main(asked("--store", "local", frameworks=frameworks)) == 0
    for here, there in zip(told("local"), told("runs"), strict=True):
        pd.testing.assert_frame_equal(here, there, check_exact=True)


@pytest.mark.parametrize(("real", "frameworks"), [on(slurm, "fake-sleeps", extended=True)])
def test_so_many_blocks_as_are_asked_for_share_a_node(cluster, work, frameworks) -> None:
    options = [*cluster.options, "--side-by-side", "2"]
    driver = in_process(asked(*options, frameworks=frameworks), work)
    while not (together := cluster.running("n1").split())[1:]:
        assert driver.poll() is None, driver.communicate()[0]
        time.sleep(0.1)
    assert len(together) == 2
    driver.send_signal(signal.SIGINT)
    driver.communicate()
    assert driver.returncode == 130
