"""`--replicas`: refused before anything starts, or one run that comes to what one replica does."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.config.suite import Suite
from benchmarks.config.suite_file import convert
from benchmarks.run import main
from benchmarks.runner import replicas
from frameworks.spec.reading import SpecificationError
from results.store import Store


@pytest.mark.parametrize(
    ("changes", "device", "message"),
    [
        ({"frameworks": ("my:Own",)}, "cpu", "my:Own with tuning idiomatic trains on one replica"),
        ({"frameworks": ("torch",)}, "cuda", "on the CPU alone so far, .* add --device cpu"),
        ({"frameworks": ("jax",), "batch_size": (8, 9)}, "cpu", "9 images cannot be dealt evenly"),
        (
            {"frameworks": ("keras",), "accumulation": 2},
            "cpu",
            "keras steps at every batch on several",
        ),
    ],
)
def test_what_cannot_train_on_replicas_is_refused(changes, device, message) -> None:
    suite = Suite(replicas=(1, 2), **changes)
    with pytest.raises(ValueError, match=rf"^--replicas 2: .*{message}"):
        replicas.check(2, suite, {suite.frameworks[0]: device})


def test_batches_of_any_size_are_dealt_where_the_framework_can() -> None:
    replicas.check(2, Suite(frameworks=("torch",), batch_size=(9,)), {"torch": "cpu"})


@pytest.mark.parametrize(("count", "message"), [(0, "at least 1"), (9, "a batch of 8 has no")])
def test_there_is_an_image_for_each_replica(count, message) -> None:
    with pytest.raises(SpecificationError, match=f"'replicas': is {count}.*{message}"):
        convert({"replicas": count, "batch_size": [16, 8]}, origin="mine.toml")


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (signal.SIGSTOP, "timeout", "not finished after 40 s"),
        (signal.SIGKILL, "error", "replica 1 of 2 ended: killed by SIGKILL"),
    ],
)
def test_a_replica_that_hangs_or_dies_ends_the_run(sent, status, reason, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'frameworks = "torch"\narchitectures = "demo"\nreplicas = 2\nthreads = 2\ntimeout = 40\n'
        'demo_images = 400\nimage_size = 32\nbatch_size = 10\nepochs = 999\ndevice = "cpu"\n'
    )
    words = ["--suite", str(tmp_path / "mine.toml"), "--store", str(tmp_path / "runs")]
    command = [sys.executable, "-m", "benchmarks.run", *words, "--no-report"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (found := _ranks(driver.pid)):
        time.sleep(0.2)
        assert driver.poll() is None
    found[0].send_signal(sent)
    assert driver.wait() == 1
    (row,) = Store(tmp_path / "runs").runs().to_dict("records")
    assert row["status"] == status
    assert reason in row["reason"]
    assert not found[0].is_running()


def _ranks(parent: int) -> list[psutil.Process]:
    """Processes of other replicas below a process."""
    below = psutil.Process(parent).children(recursive=True)
    return [one for one in below if "frameworks.torch.ranks" in one.cmdline()]


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize("framework", ["torch", "jax", "keras"])
def test_a_run_of_two_replicas_has_a_row_of_its_own(framework, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        f'frameworks = "{framework}"\narchitectures = "demo"\ncheck_parity = true\nthreads = 1\n'
        'demo_images = 60\nimage_size = 32\nbatch_size = 10\nepochs = 2\ndevice = "cpu"\n'
    )
    words = ["--suite", str(tmp_path / "mine.toml"), "--store", str(tmp_path / "runs")]
    words += ["--report", str(tmp_path / "report")]
    for count in ("1", "2"):
        assert main([*words, "--replicas", count]) == 0
    rows = Store(tmp_path / "runs").runs()
    assert rows["replicas"].tolist() == [1, 2]
    assert rows["status"].tolist() == ["ok", "ok"]
    assert rows["parity_checked"].tolist() == [True, True]
    assert rows["task_id"].nunique() == rows["cell_id"].nunique() == 2
    assert rows["order_hash"].nunique() == rows["weights_hash"].nunique() == 1
    assert "2 " in json.loads(rows["extra"][1])["settings"]["replicas"]
    assert rows["test_loss"][1] == pytest.approx(rows["test_loss"][0], rel=1e-5)
    assert np.isnan(rows["communication_share"][0])
    assert 0 < rows["communication_share"][1] < 1
