"""Killed and resumed runs end as unbroken ones do: to the bit, or to rounding for Keras."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from benchmarks.models.saved import find
from benchmarks.run import main
from benchmarks.system import machine
from benchmarks.worker.checkpoint import NEWEST, PREVIOUS, Checkpoints, State, from_bytes
from benchmarks.worker.resume import differences
from results.store import Store
from tests.helpers import broken_off, fake_backend, small_galaxies

EPOCHS = 5


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """A working directory with galaxies and networks, the fakes and the hook registered."""
    fake_backend.install(tmp_path, monkeypatch)
    broken_off.install(tmp_path, monkeypatch)
    (tmp_path / "linear.toml").write_text(fake_backend.ARCHITECTURE)
    small_galaxies.enter(tmp_path, monkeypatch)
    return tmp_path


def command(store: str, *options: str, frameworks: tuple[str, ...] = ("fake",)) -> list[str]:
    usual = ["--dataset", "galaxies.h5", "--batch-size", "16", "--epochs", str(EPOCHS)]
    if not {"--architectures", "--suite"} & set(options):
        usual += ["--architectures", "linear.toml"]
    usual += ["--threads", "1", "--no-report", "--store", store, "--checkpoint-every", "0"]
    return [*usual, "--save-models", "--timeout", "0", "--frameworks", *frameworks, *options]


def rows(store: str) -> list[dict]:
    frame = Store(store).runs(latest=True)
    order = [name for name in ("framework", "parity", "tuning", "seed") if name in frame]
    return frame.sort_values(order).to_dict("records")


def curve(store: str, run_id: str) -> pd.DataFrame:
    """Everything but the times of a run's epochs."""
    epochs = Store(store).epochs(latest=True)
    own = epochs[epochs["run_id"] == run_id]
    columns = ["epoch", "split", "loss", "cross_entropy", "accuracy", "learning_rate"]
    return own[columns].reset_index(drop=True)


def weights(store: str, run_id: str) -> dict[str, np.ndarray]:
    (model,) = (one for one in find(Path(store) / "models") if one.about.run_id == run_id)
    return model.weights()


def probabilities(store: str, run_id: str) -> np.ndarray:
    frame = Store(store).predictions(latest=True)
    own = frame[frame["run_id"] == run_id].sort_values("index")
    return np.stack(own["probabilities"].to_list())


def compare(whole: str, resumed: str, run_id: str, rtol: float = 0.0) -> None:
    """That two stores hold the same training of this run."""
    one, other = curve(whole, run_id), curve(resumed, run_id)
    pd.testing.assert_frame_equal(one, other, check_exact=not rtol, rtol=max(rtol, 1e-300))
    np.testing.assert_allclose(
        probabilities(whole, run_id), probabilities(resumed, run_id), rtol=rtol
    )
    first, second = weights(whole, run_id), weights(resumed, run_id)
    assert first.keys() == second.keys()
    for key, array in first.items():
        scale = np.abs(array).max()
        np.testing.assert_allclose(second[key], array, rtol=0, atol=rtol * scale, err_msg=key)


def extra(row: dict) -> dict:
    return json.loads(row["extra"])


# ---- what every framework must keep


BOTH = ("matched", "native")
RTOL = {"torch": 0.0, "jax": 0.0}  # to the bit; else float32 rounding
ROUNDING = 1e-5


def check(monkeypatch, framework: str, parity: tuple[str, ...], *more: str) -> None:
    """Under native parity the framework draws its own weights and masks."""
    options = ("--architectures", "small.toml", "--parity", *parity, *more)
    assert main(command("whole", *options, frameworks=(framework,))) == 0
    broken_off.break_off(monkeypatch, "worker")
    # of the machine's: another program may be killed for it meanwhile
    monkeypatch.setattr("benchmarks.system.machine.killed_for_memory", lambda: 0)
    assert main(command("broken", *options, frameworks=(framework,))) == 1
    killed = rows("broken")
    assert {row["status"] for row in killed} == {"error"}
    assert all("SIGKILL" in row["reason"] for row in killed)
    broken_off.break_off(monkeypatch, "")
    assert main(command("broken", *options, "--resume", frameworks=(framework,))) == 0
    resumed = rows("broken")
    assert [row["run_id"] for row in resumed] == [row["run_id"] for row in rows("whole")]
    assert len(resumed) == len(parity)
    for row in resumed:
        assert row["status"] == "ok"
        assert (extra(row)["resumed_from_epoch"], extra(row)["broken_off"]) == (2, 1)
        compare("whole", "broken", row["run_id"], RTOL.get(framework, ROUNDING))
    assert not Path("broken/checkpoints").exists()


@pytest.mark.parametrize(
    ("framework", "parity"),
    [
        ("torch", BOTH),
        pytest.param("jax", BOTH, marks=[pytest.mark.slow, pytest.mark.extended]),
        pytest.param("keras", BOTH, marks=[pytest.mark.slow, pytest.mark.extended]),
        pytest.param("keras@torch", BOTH, marks=pytest.mark.slow),
        pytest.param("keras@jax", BOTH, marks=pytest.mark.slow),
    ],
)
def test_a_killed_training_goes_on_as_if_unbroken(work, monkeypatch, framework, parity) -> None:
    check(monkeypatch, framework, parity)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax", "keras"])
def test_so_does_a_tuned_training(work, monkeypatch, framework) -> None:
    check(monkeypatch, framework, BOTH, "--tuning", "tuned")


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("optimizer", ["sgd,momentum=0.9", "adadelta", "rmsprop", "adamw"])
def test_so_it_does_with_every_optimizer(work, monkeypatch, framework, optimizer: str) -> None:
    check(monkeypatch, framework, ("native",), "--optimizer", optimizer)


# ---- the command, with a framework that is quick


def test_the_harness_alone_killed(work, monkeypatch) -> None:
    options = ("--parity", "matched", "native", "--seeds", "0", "1")
    assert main(command("whole", *options)) == 0
    broken_off.break_off(monkeypatch, "harness")
    path = os.pathsep.join([str(machine.ROOT), os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", *command("broken", *options)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9
    assert Store("broken").files() == []
    (directory,) = Path("broken/checkpoints").iterdir()
    assert {NEWEST, PREVIOUS} <= {path.name for path in directory.iterdir()}
    broken_off.break_off(monkeypatch, "")
    assert main(command("broken", *options, "--resume")) == 0
    found = rows("broken")
    assert sorted(extra(row).get("broken_off", 0) for row in found) == [0, 0, 0, 1]
    for row in found:
        compare("whole", "broken", row["run_id"])


CALLBACKS = """
frameworks = ["fake"]
dataset = "galaxies.h5"
architectures = ["linear.toml"]
batch_size = 16
threads = 1
{sections}
"""
SECTIONS = {
    "plateau": "[reduce_on_plateau]\nfactor = 0.5\npatience = 1\nmin_delta = 0.2\ncooldown = 1\n",
    "early stopping": "[early_stopping]\npatience = 3\nmin_delta = 0.3\nrestore_best = true\n",
    "schedule": '[schedule]\nname = "cosine"\nper = "step"\n[warm_up]\nlength = 5\nper = "step"\n',
    "keep best": '[keep_best]\nmonitor = "validation_accuracy"\n',
}


@pytest.mark.parametrize("name", SECTIONS)
def test_what_validation_decides_goes_on(work, monkeypatch, name: str) -> None:
    (work / "mine.toml").write_text(CALLBACKS.format(sections=SECTIONS[name]))
    options = ("--suite", "mine.toml", "--epochs", "8", "--parity", "matched")
    assert main(command("whole", *options)) == 0
    broken_off.break_off(monkeypatch, "worker")
    assert main(command("broken", *options)) == 1
    broken_off.break_off(monkeypatch, "")
    assert main(command("broken", *options, "--resume")) == 0
    (whole,), (resumed,) = rows("whole"), rows("broken")
    assert extra(resumed)["resumed_from_epoch"] == 2
    for column in ("epochs_trained", "tested_epoch", "test_loss"):
        assert whole[column] == resumed[column]
    if name in ("plateau", "schedule"):
        assert len(set(curve("whole", whole["run_id"])["learning_rate"])) > 1
    if name == "early stopping":
        assert whole["epochs_trained"] < 8
    compare("whole", "broken", whole["run_id"])


def broken(monkeypatch, at: int = 3) -> Path:
    """A run broken off ahead of checkpoint `at`; the directory of its checkpoints."""
    broken_off.break_off(monkeypatch, "worker", at)
    assert main(command("broken")) == 1
    broken_off.break_off(monkeypatch, "")
    (directory,) = Path("broken/checkpoints").iterdir()
    return directory


@pytest.mark.parametrize(
    "framework", ["fake", "fake-tuned", pytest.param("torch", marks=pytest.mark.slow)]
)
def test_what_is_drawn_goes_on(work, monkeypatch, framework: str) -> None:
    drawn = ["--augment", "flip,rotation=180,zoom=0.9:1.1,noise=0.05"]
    drawn += [] if framework == "torch" else ["--architectures", "linear.toml"]
    drawn += ["--tuning", "tuned", "--feed", "staged"] if framework == "fake-tuned" else []
    check(monkeypatch, framework, ("matched",), *drawn)
    whole, resumed = rows("whole"), rows("broken")
    assert whole[0]["augmentation_hash"] == resumed[0]["augmentation_hash"]
    assert "host_wait_seconds" in extra(whole[0])
    assert "host_wait_seconds" not in extra(resumed[0])  # of a part of the epochs alone


def test_times_and_rows_are_those_of_all_epochs(work, monkeypatch) -> None:
    directory = broken(monkeypatch)
    before = from_bytes((directory / NEWEST).read_bytes(), "").facts
    assert main(command("broken", "--resume")) == 0
    (row,) = rows("broken")
    epochs = Store("broken").epochs(latest=True)
    trained = epochs[epochs["split"] == "train"]
    assert trained["epoch"].tolist() == list(range(1, EPOCHS + 1))
    assert trained["epoch_seconds"].iloc[0] == before["rows"][1]["epoch_seconds"]
    assert row["train_seconds"] == pytest.approx(trained["epoch_seconds"].sum())
    assert extra(row)["seconds_before_resuming"] == sum(before["seconds"].values())
    assert row["own_seconds"] > 0
    assert len(Store("broken").predictions(latest=True)) == row["test_images"]


def test_broken_off_again_before_the_next_checkpoint_is_counted(work, monkeypatch, capfd) -> None:
    assert main(command("whole")) == 0
    broken(monkeypatch)
    broken_off.break_off(monkeypatch, "worker", 2)  # its first is the one that counts
    assert main(command("broken", "--resume")) == 1
    broken_off.break_off(monkeypatch, "")
    assert main(command("broken", "--resume")) == 0
    (row,) = rows("broken")
    assert (extra(row)["resumed_from_epoch"], extra(row)["broken_off"]) == (2, 2)
    compare("whole", "broken", row["run_id"])
    assert "resumed after epoch 2" in capfd.readouterr().err


def test_without_resume_it_starts_anew(work, monkeypatch) -> None:
    directory = broken(monkeypatch)
    broken_off.break_off(monkeypatch, "worker", 1)
    assert main(command("broken")) == 1
    assert not (directory / NEWEST).exists()
    broken_off.break_off(monkeypatch, "")
    assert main(command("broken")) == 0
    (row,) = rows("broken")
    assert "resumed_from_epoch" not in extra(row)


def test_no_checkpoint_is_written_before_its_time(work, monkeypatch) -> None:
    broken_off.break_off(monkeypatch, "worker", 1)  # kills at the first that is written
    assert main([*command("whole"), "--checkpoint-every", "3600"]) == 0
    assert "checkpoint_seconds" not in extra(rows("whole")[0])


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied"])
def test_a_damaged_checkpoint_falls_back_to_the_previous(work, monkeypatch, capfd, damage) -> None:
    assert main(command("whole")) == 0
    newest = broken(monkeypatch) / NEWEST
    content = bytearray(newest.read_bytes())
    content[len(content) // 3] ^= 4
    newest.write_bytes(
        {"truncated": bytes(content[:-40]), "flipped": bytes(content), "emptied": b""}[damage]
    )
    assert main(command("broken", "--resume")) == 0
    (row,) = rows("broken")
    assert extra(row)["resumed_from_epoch"] == 1
    told = "; ".join(extra(row)["checkpoint_damage"])
    assert NEWEST in told
    assert "it goes on from the previous one, after epoch 1" in told
    assert told in capfd.readouterr().err
    compare("whole", "broken", row["run_id"])


def test_with_all_damaged_it_starts_anew_and_says_so(work, monkeypatch, capfd) -> None:
    assert main(command("whole")) == 0
    directory = broken(monkeypatch)
    for name in (NEWEST, PREVIOUS):
        (directory / name).write_bytes(b"PK")
    assert main(command("broken", "--resume")) == 0
    (row,) = rows("broken")
    assert extra(row)["checkpoint_damage"][-1] == "it starts anew"
    assert len(extra(row)["checkpoint_damage"]) == 3
    assert "resumed_from_epoch" not in extra(row)
    assert "it starts anew" in capfd.readouterr().err
    compare("whole", "broken", row["run_id"])


def test_a_checkpoint_of_another_configuration_is_refused_by_its_fields(work, monkeypatch) -> None:
    directory = broken(monkeypatch)
    broken_off.break_off(monkeypatch, "worker", 1)
    assert main(command("other", "--seeds", "7", "--optimizer", "sgd")) == 1
    broken_off.break_off(monkeypatch, "")
    (config,) = [json.loads(row["config"]) for row in rows("other")]
    (run_id,) = [row["run_id"] for row in rows("other")]
    assert config["seed"] == 7
    shutil.copytree(directory, Path("other/checkpoints") / run_id, dirs_exist_ok=True)
    assert main(command("other", "--seeds", "7", "--optimizer", "sgd", "--resume")) == 1
    (row,) = rows("other")
    assert row["status"] == "error"
    assert "is of another run: " in row["reason"]
    assert "seed is 0 there, 7 here" in row["reason"]
    assert "recipe.optimizer.name is adam there, sgd here" in row["reason"]
    assert "Without --resume the run starts anew" in row["reason"]
    assert (Path("other/checkpoints") / run_id / NEWEST).exists()
    assert main(command("other", "--seeds", "7", "--optimizer", "sgd")) == 0


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("versions", {"numpy": "1.0"}, "versions.numpy is 1.0 there"),
        ("machine_id", "another", "machine_id is another there"),
    ],
)
def test_another_version_or_machine_is_refused(work, monkeypatch, field, value, named) -> None:
    directory = broken(monkeypatch)
    state = from_bytes((directory / NEWEST).read_bytes(), "")
    Checkpoints(directory).write(State(state.arrays, {**state.facts, field: value}))
    assert main(command("broken", "--resume")) == 1
    (row,) = rows("broken")
    assert named in row["reason"]


def test_a_checkpoint_of_a_newer_version_is_told_before_anything_runs(
    work, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = broken(monkeypatch)
    state = from_bytes((directory / NEWEST).read_bytes(), "")
    Checkpoints(directory).write(State(state.arrays, {**state.facts, "format": 2}))
    capsys.readouterr()
    assert main(command("broken", "--resume")) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"error: {(directory / NEWEST).resolve()} was written by a newer")
    assert errors.count("\n") == 1


def test_a_field_that_came_later_differs_only_when_it_is_not_the_default() -> None:
    here = {"seed": 1, "later": 3, "plain": 0}
    assert differences({"seed": 1}, here, stated={"seed", "later"}) == [
        "later is missing there, 3 here"
    ]
    assert differences({"seed": 1, "gone": 2}, {"seed": 1}, stated={"seed"}) == [
        "gone is 2 there, missing here"
    ]


def test_identity_does_not_depend_on_what_is_kept(work) -> None:
    assert main(command("one")) == 0
    plain = [word for word in command("two") if word != "--save-models"]
    plain[plain.index("--checkpoint-every") + 1] = "60"
    assert main(plain) == 0
    assert rows("one")[0]["run_id"] == rows("two")[0]["run_id"]
    assert not Path("two/models").exists()
    config = msgspec.json.decode(
        (find(Path("one/models"))[0].directory / "model.json").read_bytes()
    )
    assert "checkpoints" not in json.dumps(config["config"])
