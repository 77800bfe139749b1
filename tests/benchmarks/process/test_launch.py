"""One process per run: what a worker tells, and every way in which it can fail.

The workers are real processes; their frameworks are the fakes of `tests.helpers.fake_backend`.
"""

import os
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.config.matrix import matrix
from benchmarks.config.plan import PlannedRun, SplitSizes
from benchmarks.config.runconfig import DataView
from benchmarks.config.suite import Suite
from benchmarks.process import launch as launching
from benchmarks.process.channel import Lines
from benchmarks.process.environment import environment, limited_to, recorded
from benchmarks.process.failures import classify, death
from benchmarks.process.launch import Outcome, launch
from benchmarks.process.spawn import Child
from benchmarks.system import machine
from datasets.batches import epoch_order, order_sha256, split_into_batches
from datasets.splits import Split
from frameworks.spec import weights as canonical
from tests.helpers import fake_backend

CLASSES, SIDE = 3, 6
ROWS = np.arange(90, dtype=np.int64)
SPLIT = {"train": ROWS[:50], "validation": ROWS[50:70], "test": ROWS[70:]}


@pytest.fixture
def fakes(tmp_path, monkeypatch) -> Path:
    """The fake frameworks registered, and galaxies staged for them in tmp_path / "data"."""
    fake_backend.install(tmp_path, monkeypatch)
    (tmp_path / "linear.toml").write_text(fake_backend.ARCHITECTURE)
    random = np.random.default_rng(0)
    labels = np.arange(90, dtype=np.int64) % CLASSES
    images = random.integers(0, 120, (90, SIDE, SIDE, 3), dtype=np.uint8)
    images[..., 0] += (60 * labels[:, None, None]).astype(np.uint8)
    data = tmp_path / "data"
    data.mkdir()
    np.save(data / "images.npy", images)
    np.save(data / "labels.npy", labels)
    np.save(data / "galaxies.npy", ROWS)
    for name, rows in SPLIT.items():
        np.save(data / f"{name}.npy", rows)
    return tmp_path


def planned(fakes: Path, framework: str, **changes: object) -> PlannedRun:
    settings = {"epochs": 3, "batch_size": (16,), **changes}
    suite = Suite(
        frameworks=(framework,),
        architectures=(str(fakes / "linear.toml"),),
        **settings,  # type: ignore[arg-type]
    )
    view = DataView(
        dataset="test",
        sha256="0" * 64,
        labels="native",
        channels="rgb",
        height=SIDE,
        width=SIDE,
        image_channels=3,
        classes=CLASSES,
    )
    (run,) = matrix(suite, view, SplitSizes(50, 20, 20), devices={}, threads=1)
    return run


def started(fakes: Path, run: PlannedRun, **options: object) -> Outcome:
    return launch(
        run.config,
        data_directory=fakes / "data",
        directory=fakes / "run",
        **options,  # type: ignore[arg-type]
    )


def test_a_run_that_works_tells_everything(fakes) -> None:
    run = planned(fakes, "fake")
    events: list[dict] = []
    outcome = started(fakes, run, on_event=events.append)
    assert (outcome.status, outcome.reason, outcome.log) == ("ok", None, None)
    facts = outcome.facts
    assert facts["parameters"] == run.network.parameters()
    for phase in ("import", "build", "stage", "compile", "train", "evaluate"):
        assert 0 <= facts[f"{phase}_seconds"] < outcome.wall_seconds
    assert facts["peak_memory_bytes"] > 0
    assert "numpy" in facts["versions"]

    assert [(row["epoch"], row["split"]) for row in outcome.epochs] == [
        (0, "validation"),
        *[(epoch, part) for epoch in (1, 2, 3) for part in ("train", "validation")],
    ]
    seconds = [row["epoch_seconds"] for row in outcome.epochs if row["split"] == "train"]
    assert sum(seconds) == pytest.approx(facts["train_seconds"])
    losses = [row["loss"] for row in outcome.epochs if row["split"] == "validation"]
    assert losses[-1] < losses[0]

    phases = [event["name"] for event in events if event["event"] == "phase"]
    assert phases[:5] == ["import", "build", "stage", "compile", "evaluate"]
    assert events[-1]["event"] == "end"


def test_hashes_are_those_of_what_the_run_was_to_be_given(fakes) -> None:
    run = planned(fakes, "fake")
    facts = started(fakes, run).facts
    orders = [split_into_batches(epoch_order(SPLIT["train"], 0, n), 16) for n in (1, 2, 3)]
    assert facts["order_hash"] == order_sha256(orders)
    assert facts["split_hash"] == Split(**SPLIT).sha256()
    assert facts["weights_hash"] == canonical.sha256(canonical.initial(run.network, 0))
    assert len(facts["masks_hash"]) == 64


def test_predictions_and_scores_agree(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake"))
    assert outcome.predictions is not None
    with np.load(outcome.predictions) as file:
        index, label = file["index"], file["label"]
        predicted, probabilities = file["predicted"], file["probabilities"]
    assert index.tolist() == SPLIT["test"].tolist()
    assert label.tolist() == (index % CLASSES).tolist()
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (probabilities.argmax(axis=1) == predicted).all()
    assert outcome.facts["test_accuracy"] == pytest.approx((predicted == label).mean())
    likelihood = np.log(probabilities[np.arange(20), label].astype(np.float64))
    assert outcome.facts["test_cross_entropy"] == pytest.approx(-likelihood.mean(), rel=1e-6)
    assert outcome.facts["test_loss"] > outcome.facts["test_cross_entropy"]  # the L2 term


def test_native_parity_draws_no_masks_and_gives_no_weights(fakes) -> None:
    facts = started(fakes, planned(fakes, "fake", parity=("native",))).facts
    assert "masks_hash" not in facts
    assert facts["weights_hash"]


def test_no_epochs_is_an_evaluation(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake", epochs=0))
    assert outcome.status == "ok"
    assert [row["epoch"] for row in outcome.epochs] == [0]
    assert "train_seconds" not in outcome.facts


def test_a_run_that_raises_has_the_message_as_its_reason(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake-raises"))
    assert outcome.status == "error"
    assert outcome.reason == "RuntimeError during train: the kernel launch failed [code 7]"
    assert "Traceback" in (outcome.log or "")
    assert [row["epoch"] for row in outcome.epochs] == [0]
    assert outcome.predictions is None


def test_a_loss_that_is_no_number_is_diverged_and_keeps_its_epochs(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake-diverges"))
    assert (outcome.status, outcome.reason) == ("diverged", "the training loss is nan in epoch 2")
    losses = [row["loss"] for row in outcome.epochs if row["split"] == "train"]
    assert np.isfinite(losses[0])
    assert np.isnan(losses[1])
    assert outcome.predictions is None


def test_a_killed_worker_is_an_error_that_keeps_what_it_told(fakes, monkeypatch) -> None:
    monkeypatch.setattr(machine, "killed_for_memory", lambda: 0)
    outcome = started(fakes, planned(fakes, "fake-killed"))
    assert outcome.status == "error"
    assert outcome.reason == "the process was killed by SIGKILL during train"
    assert max(row["epoch"] for row in outcome.epochs) == 1


def test_a_worker_that_the_kernel_killed_for_memory_is_oom(fakes, monkeypatch) -> None:
    counts = iter([3, 4])
    monkeypatch.setattr(machine, "killed_for_memory", lambda: next(counts))
    outcome = started(fakes, planned(fakes, "fake-killed"))
    assert outcome.status == "oom"
    assert "ran out of memory" in (outcome.reason or "")


def test_out_of_memory_is_recognised(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake-greedy"))
    assert outcome.status == "oom"
    assert outcome.reason == ("MemoryError during stage: unable to allocate 1.2 TiB for an array")


def test_a_hung_worker_is_killed_and_its_log_says_where_it_hung(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake-sleeps"), timeout=15)
    assert outcome.status == "timeout"
    assert outcome.reason == "not finished after 15 s; killed during train"
    assert max(row["epoch"] for row in outcome.epochs) == 1
    assert "about to hang" in (outcome.log or "")
    assert "in train_epoch" in (outcome.log or "")


def test_what_no_column_can_hold_is_the_run_s_error(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake-numbered"))
    assert outcome.status == "error"
    assert "column 'device_name': expected string, got 5" in (outcome.reason or "")
    assert "device_name" not in outcome.facts


def test_an_interpreter_that_is_gone_is_the_run_s_error(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake"), python=str(fakes / "nowhere"))
    assert outcome.status == "error"
    assert "No such file" in (outcome.reason or "")


def test_weights_that_did_not_arrive_are_noticed(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake-forgetful"))
    assert outcome.status == "error"
    assert "the initial weights did not arrive: dense1/kernel differs" in (outcome.reason or "")


def test_batches_in_another_order_are_noticed(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake-shuffles"))
    assert outcome.status == "error"
    assert "batches were served in another order: of the 4 of epoch 1" in (outcome.reason or "")


@pytest.mark.parametrize("name", ["fake-probes", "fake-gathers"])
def test_a_look_at_the_first_batches_and_gathering_by_rows_are_fine(fakes, name: str) -> None:
    outcome = started(fakes, planned(fakes, name))
    assert (outcome.status, outcome.reason) == ("ok", None)


def test_settings_are_recorded_beside_the_environment(fakes) -> None:
    extra = started(fakes, planned(fakes, "fake-probes")).facts["extra"]
    assert extra["settings"] == {"layout": "flat"}
    assert extra["environment"]["PYTHONHASHSEED"] == "0"


def test_a_backend_need_not_tell_its_settings(fakes) -> None:
    assert started(fakes, planned(fakes, "fake")).facts["extra"]["settings"] == {}


def test_nothing_of_a_run_s_process_group_outlives_it(fakes) -> None:
    outcome = started(fakes, planned(fakes, "fake-orphans"))
    helper = int((outcome.reason or "").split()[-1])
    for _ in range(100):
        if not psutil.pid_exists(helper) or psutil.Process(helper).status() == "zombie":
            return
        time.sleep(0.05)
    pytest.fail(f"helper process {helper} is still running")


def test_an_interrupted_launch_kills_the_worker(fakes) -> None:
    others = psutil.Process().children()  # of other tests: multiprocessing's resource tracker, say
    workers: list[psutil.Process] = []

    def interrupt(event: dict) -> None:
        if event["event"] == "epoch":
            workers.extend(one for one in psutil.Process().children() if one not in others)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        started(fakes, planned(fakes, "fake-sleeps"), on_event=interrupt)
    assert workers
    assert not any(worker.is_running() for worker in workers)


def test_the_environment_is_set_for_threads_and_device(monkeypatch, tmp_path) -> None:
    removed = {
        *("NVIDIA_TF32_OVERRIDE", "JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"),
        "ONEDNN_DEFAULT_FPMATH_MODE",
    }
    told = {"XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "DNNL_VERBOSE", "KMP_AFFINITY", "GOMP_SPINCOUNT"}
    for name in removed | told:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    monkeypatch.setenv("XLA_FLAGS", "--of-the-user")
    variables = environment("keras@jax", device="cpu", threads=3, scratch=tmp_path)
    assert variables["KERAS_BACKEND"] == "jax"
    assert variables["OMP_NUM_THREADS"] == variables["TF_NUM_INTRAOP_THREADS"] == "3"
    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    assert not removed & set(variables)
    assert told <= set(recorded(variables))
    assert recorded(variables)["XLA_FLAGS"] == "--of-the-user"
    assert "PATH" not in recorded(variables)
    places = {"TF_CLI_CONFIG_FILE": "/a/b", "TORCHINDUCTOR_CACHE_DIR": "/c"}
    assert recorded(variables | places) == recorded(variables)
    on_gpu = environment("torch", device="cuda", threads=3, scratch=tmp_path, tuning="tuned")
    assert on_gpu["CUDA_VISIBLE_DEVICES"] == "2"
    assert "MALLOC_MMAP_MAX_" not in on_gpu


def test_jax_has_a_device_for_each_replica_beside_the_flags_of_the_user(
    monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--of-the-user")
    variables = environment("jax", device="cpu", threads=2, scratch=tmp_path, replicas=2)
    flags = "--of-the-user --xla_force_host_platform_device_count=2"
    assert variables["XLA_FLAGS"] == recorded(variables)["XLA_FLAGS"] == flags


@pytest.mark.parametrize("name", ["torch", "keras@torch", "jax", "keras"])
def test_tuned_pytorch_keeps_freed_memory_on_a_cpu(name, monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    asked = {"device": "cpu", "threads": 1, "scratch": tmp_path}
    plain, tuned = environment(name, **asked), environment(name, **asked, tuning="tuned")
    assert "MALLOC_MMAP_MAX_" not in plain
    assert recorded(tuned).get("MALLOC_MMAP_MAX_") == ("0" if "torch" in name else None)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no CPU affinity here")
def test_affinity_is_limited_inside_and_restored_after() -> None:
    before = os.sched_getaffinity(0)
    with limited_to(1):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_lines_are_put_together() -> None:
    lines = Lines()
    assert list(lines.feed(b'{"event": "pha')) == []
    found = list(lines.feed(b'se", "name": "x"}\n{"event": "end"}\n{"ev'))
    assert found == [{"event": "phase", "name": "x"}, {"event": "end"}]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(1, "train"), (1, "train")], "epoch 1 of train twice"),
        ([(4, "train")], "epoch 4 of 3"),
        ([(-1, "validation")], "epoch -1 of 3"),
    ],
)
def test_an_epoch_that_cannot_be_is_the_run_s_error(fakes, monkeypatch, rows, told) -> None:
    """A worker that tells its epochs by itself."""
    (fakes / "benchmark_worker.py").write_text(
        "from benchmarks.process.channel import Channel\n"
        f"rows = [dict(epoch=e, split=s, loss=1.0, accuracy=0.5) for e, s in {rows}]\n"
        "channel = Channel()\n"
        "for row in rows: channel.send('epoch', rows=[row])\n"
        "channel.send('end', status='ok', reason=None)\n"
    )
    monkeypatch.setattr(
        launching, "Child", lambda module, *rest, **more: Child("benchmark_worker", *rest, **more)
    )
    outcome = started(fakes, planned(fakes, "fake"))
    assert outcome.status == "error"
    assert outcome.reason == f"it sent what cannot be stored: {told}"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), "oom"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), "oom"),
        (type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"), "oom"),
        (RuntimeError("replica 1 of 2 ended: MemoryError: "), "oom"),
        (RuntimeError("replica 1 of 2 ended: killed by SIGKILL"), "error"),
        (ImportError("No module named 'torch'"), "error"),
        (ValueError("shapes do not match"), "error"),
    ],
)
def test_classification_of_what_frameworks_raise(error: Exception, status: str) -> None:
    found, reason = classify(error, "compile")
    assert found == status
    assert reason.startswith(f"{type(error).__name__} during compile: ")


def test_a_replica_that_the_kernel_killed_ran_out_of_memory() -> None:
    error = RuntimeError("replica 1 of 2 ended: killed by SIGKILL")
    found, reason = classify(error, "train", killed_for_memory=True)
    assert found == "oom"
    assert reason.endswith("replica 1 of 2 ended: killed by SIGKILL: the machine ran out of memory")
    assert classify(ValueError("no"), "train", killed_for_memory=True)[0] == "error"


def test_deaths() -> None:
    assert death(-6, "train", log="terminate: std::bad_alloc", killed_for_memory=False) == (
        "oom",
        "the process was killed by SIGABRT during train",
    )
    assert death(3, "import", log="", killed_for_memory=True) == (
        "error",
        "the process ended with status 3 without a result during import",
    )
