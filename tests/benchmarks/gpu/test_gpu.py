"""The prepared measurement: its steps, how they run and go on, what it says without a GPU."""

import importlib
import json
import os
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu.session import Session
from benchmarks.gpu.steps import (
    FRAMEWORKS,
    REHEARSAL,
    STAGES,
    Step,
    on_gpu,
    steps,
)
from frameworks.spec.architecture import available
from results.door.refusal import FileError
from results.studies import gpu_files, gpu_tables

SIZES = {"gpu": on_gpu(16, 139), "small gpu": on_gpu(4, 16), "rehearsal": REHEARSAL}
MODULE = "tests.helpers.gpu_step"


@pytest.mark.parametrize("sizes", SIZES.values(), ids=list(SIZES))
def test_every_step_is_a_command_that_its_module_takes(sizes, tmp_path):
    made = steps(sizes, tmp_path, FRAMEWORKS, available())
    assert len({step.name for step in made}) == len(made)
    for step in made:
        module = importlib.import_module(step.module)
        if hasattr(module, "__path__"):
            module = importlib.import_module(f"{step.module}.__main__")
        options = module.parser().parse_args(step.command[2:])
        if step.frameworks:
            assert options.frameworks == list(FRAMEWORKS)
        if step.answer:
            assert str(options.output) == str(tmp_path / step.answer)
        else:
            assert options.store == tmp_path / step.store


def test_steps_follow_the_stages_and_a_rehearsal_leaves_none_out(tmp_path):
    found = {
        name: list(
            dict.fromkeys(one.stage for one in steps(sizes, tmp_path, FRAMEWORKS, available()))
        )
        for name, sizes in SIZES.items()
    }
    assert all(stages == list(STAGES) for stages in found.values())
    assert sum(STAGES.values()) == 540
    made = steps(SIZES["gpu"], tmp_path, FRAMEWORKS, available())
    timed = [one.name for one in made if one.stage == "yardstick"]
    assert len(set(timed)) == len(timed) == 2 * 3 * 3  # networks with bare loops, and without
    assert timed[0] == "yardstick unam+c2 bfloat16 batch 512"  # where the goals stand


def test_a_network_that_is_not_there_is_not_asked_about(tmp_path):
    made = steps(SIZES["gpu"], tmp_path, FRAMEWORKS, ["unam", "c2"])
    assert not [one for one in made if "resnet18" in one.arguments]


def test_a_small_gpu_has_fewer_processes_side_by_side():
    assert (on_gpu(16, 139).together, on_gpu(16, 24).together, on_gpu(2, 139).together) == (8, 2, 1)
    assert on_gpu(2, 8).threads == 2


def test_without_a_gpu_it_says_what_can_be_done(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert command.main(["--output", str(tmp_path / "out")]) == 2
    assert "--rehearsal" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_prints_every_command(capsys, tmp_path):
    words = ["--rehearsal", "--dry-run", "--frameworks", "torch", "--output", str(tmp_path / "out")]
    assert command.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(steps(REHEARSAL, tmp_path, ["torch"], available()))
    assert all("python -m " in line for line in lines)
    assert not os.listdir(tmp_path)


# ---- how the steps run


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def session(folder, *, seconds=0.0, tried=("torch",), clock=None):
    measurement = gpu_files.Measurement(device="cpu", rehearsal=True)
    if (folder / gpu_files.STEPS).exists():
        measurement = gpu_files.read(folder)
    told = []
    made = Session(
        folder, folder / "work", measurement, tried, seconds, "abc", told.append, clock or Clock()
    )
    (folder / "work").mkdir(exist_ok=True)
    return made, told


def step(name, folder, *words, stage="limits", limit=60.0, **more):
    answer = f"{name}.json"
    full = [str(folder / "work" / answer) if word == "ANSWER" else word for word in words]
    return Step(name, stage, MODULE, tuple(full), limit, answer, frameworks=(), **more)


def test_an_answer_is_kept_as_it_comes_and_a_step_that_fails_stops_no_other(tmp_path):
    made, _ = session(tmp_path)
    asked = [
        step("well", tmp_path, "write", "ANSWER", '{"best": 1}'),
        step("some failed", tmp_path, "write", "ANSWER", '{"best": 2}', "end", "1"),
        step("silent", tmp_path, "say", "error: it cannot be", "end", "1"),
        step("bad", tmp_path, "write", "ANSWER", "{", "end", "2"),
        step("late", tmp_path, "write", "ANSWER", '{"best": 3}', "wait", "60", limit=1.5),
        step("after", tmp_path, "write", "ANSWER", '{"best": 4}', stage="parity"),
    ]
    made.run(asked)
    found = gpu_files.read(tmp_path)
    assert [(one.name, one.status) for one in found.steps] == [
        *(("well", "done"), ("some failed", "done"), ("silent", "failed")),
        *(("bad", "failed"), ("late", "broken off"), ("after", "done")),
    ]
    assert gpu_files.answers(tmp_path, "limits") == {
        "well": {"best": 1},
        "some failed": {"best": 2},
        "late": {"best": 3},  # what it had
    }
    assert gpu_files.answers(tmp_path, "parity") == {"after": {"best": 4}}
    reasons = {one.name: one.reason for one in found.steps}
    assert reasons["well"] == ""
    assert "not all" in reasons["some failed"]
    assert reasons["silent"] == "error: it cannot be"
    assert "error: it cannot be" in (tmp_path / gpu_files.LOG).read_text()
    assert {one.commit for one in found.steps} == {"abc"}


def test_it_goes_on_with_what_is_not_done(tmp_path):
    first = step("first", tmp_path, "write", "ANSWER", "{}")
    second = step("second", tmp_path, "end", "2")
    session(tmp_path)[0].run([first, second])
    mended = step("second", tmp_path, "write", "ANSWER", '{"best": 1}')
    made, told = session(tmp_path)
    made.run([first, mended])
    assert "1 of 2: first: done before" in told
    assert [one.status for one in gpu_files.read(tmp_path).steps] == ["done", "done"]
    changed = step("first", tmp_path, "write", "ANSWER", '{"best": 5}')  # another command
    session(tmp_path)[0].run([changed, mended])
    assert gpu_files.answers(tmp_path, "limits")["first"] == {"best": 5}


def test_no_step_begins_without_time_and_stages_hand_on_what_they_leave(tmp_path):
    clock = Clock()
    made, _ = session(tmp_path, seconds=540.0, clock=clock)
    early = step("early", tmp_path, stage="limits")
    late = step("late", tmp_path, stage="outcome")
    leaving = step("leaving", tmp_path, stage="outcome", leaves=15)
    assert made.left(early) == pytest.approx(STAGES["limits"])
    assert made.left(late) == pytest.approx(540)
    assert made.left(leaving) == pytest.approx(525)
    clock.now = STAGES["limits"] - 5
    assert made.left(early) == pytest.approx(5)
    made.run([early, step("more", tmp_path, "write", "ANSWER", "{}", stage="parity")])
    found = {one.name: (one.status, one.reason) for one in gpu_files.read(tmp_path).steps}
    assert found["early"][0] == "not begun"
    assert "no time" in found["early"][1]
    assert found["more"] == ("done", "")


def test_a_step_that_nobody_can_take_is_left_out(tmp_path):
    made, _ = session(tmp_path, tried=("torch",))
    needs = step("outcome", tmp_path, "write", "ANSWER", "[]", stage="outcome", at_least=2)
    made.run([needs])
    (told,) = gpu_files.read(tmp_path).steps
    assert (told.status, told.reason) == (
        "left out",
        "it needs 2 frameworks that can use the device",
    )


def test_what_is_asked_names_only_those_that_are_there(tmp_path):
    made = steps(REHEARSAL, tmp_path, ["torch"], available())
    assert {one.frameworks for one in made} == {("torch",), ()}


def test_a_rehearsal_and_a_measurement_do_not_share_a_folder(tmp_path, capsys):
    gpu_files.write_steps(tmp_path, gpu_files.Measurement(device="cuda", rehearsal=False))
    assert command.main(["--rehearsal", "--output", str(tmp_path)]) == 2
    assert "holds a measurement on a GPU" in capsys.readouterr().err


# ---- tables


def contest(framework, batch, seconds):
    settings = {"architecture": "unam", "framework": framework, "precision": "bfloat16"}
    settings |= {"batch_size": batch, "steps": 8}
    return {"settings": settings, "seconds": {name: [value] for name, value in seconds.items()}}


def ratio(framework, batch, quantity, value):
    row = {"architecture": "unam", "framework": framework, "precision": "bfloat16"}
    return row | {
        "batch_size": batch,
        "quantity": quantity,
        "median": value,
        "low": value - 0.01,
        "high": None,
    }


@pytest.fixture
def measured(tmp_path):
    told = [
        gpu_files.Told(name="limits", stage="limits", command="x", status="done", commit="c" * 40),
        gpu_files.Told(
            name="exact c2", stage="exact", command="x", status="broken off", reason="late"
        ),
    ]
    machine = {"gpus": [{"name": "NVIDIA X"}]}
    gpu_files.write_steps(
        tmp_path,
        gpu_files.Measurement(
            device="cuda",
            rehearsal=False,
            machine=machine,
            versions={"torch": "2.13.0"},
            missing={"keras@jax": "needs jax"},
            steps=told,
        ),
    )
    best = {"bfloat16": {"torch": 7.03e14}, "copy": {"torch": 3.9e12}}
    gpu_files.keep(tmp_path, "limits", "limits", {"best": best})
    finding = {"framework": "torch", "precision": "tf32", "rung": "R1", "metric": "logits"}
    findings = [
        finding | {"against": "numpy", "status": "passed"},
        finding | {"against": "numpy", "status": "failed", "rung": "R2"},
        finding | {"against": "jax", "status": "failed"},
    ]
    gpu_files.keep(tmp_path, "parity", "parity unam", {"findings": findings})
    contests = [
        contest("torch", 512, {"tuned": 0.1, "best": 0.05}),
        contest("keras@torch", 512, {"tuned": 0.2}),
    ]
    ratios = [
        ratio("torch", 512, "tuned / best bare", 0.5),
        ratio("torch", 512, "roofline share", 0.6),
        ratio("torch", 64, "roofline share", 0.1),  # no contest of it
    ]
    gpu_files.keep(tmp_path, "yardstick", "y", {"contests": contests, "ratios": ratios})
    return tmp_path


def test_the_tables_hold_what_was_measured_and_what_is_missing(measured):
    found = {
        table.title.split(":")[0].split(";")[0]: table for table in gpu_tables.tables(measured)
    }
    assert found["Limits"].rows[0] == ["bfloat16", "torch", "703.00", "TFLOP/s"]
    assert found["Limits"].rows[1] == ["copy", "torch", "3,900.00", "GB/s copied"]
    parity = found["Parity with the float64 reference"].rows
    assert parity == [["unam", "torch", "tf32", "1 of 2", "R2 logits"]]
    torch, keras = found["Training speed"].rows
    assert torch[5:8] == ["40,960", "81,920", ""]
    assert torch[8] == "0.50"  # one end of the interval is not known
    assert keras[5] == "20,480"
    goals = {(row[0].split(":")[0], row[1]): row[3] for row in found["Goals"].rows}
    cell = "unam, torch, bfloat16, batch 512"
    assert goals["roofline share, bfloat16, batch 512 or more", cell] == "met"
    assert goals["tuned / best by hand", cell] == "not met"
    assert goals["PyTorch / Keras on PyTorch", "unam, bfloat16, batch 512"] == "not met"
    assert goals["epoch / steps", ""] == "not measured"
    missing = found["Not measured, or not whole"].rows
    assert ["exact c2", "broken off", "late"] in missing
    assert ["keras@jax", "left out", "needs jax"] in missing
    assert "NVIDIA X" in gpu_tables.lead(measured)


def test_the_tables_are_printed_as_markdown(measured, capsys):
    assert command.main(["--tables", str(measured)]) == 0
    out = capsys.readouterr().out
    assert "| bfloat16 | torch | 703.00 | TFLOP/s |" in out
    assert out.count("**") == 2 * len(gpu_tables.tables(measured))


def test_files_that_are_none_of_it_are_told(measured, capsys, tmp_path):
    assert command.main(["--tables", str(tmp_path / "nothing")]) == 2
    assert "no such" in capsys.readouterr().err
    (measured / "yardstick.json").write_text('{"y": {"contests": [3], "ratios": []}}')
    with pytest.raises(FileError, match="not the files of one measurement"):
        gpu_tables.tables(measured)
    (measured / "yardstick.json").write_text("[")
    assert command.main(["--tables", str(measured)]) == 2
    assert "yardstick.json" in capsys.readouterr().err


def test_a_page_has_a_section_of_it(measured, tmp_path, capsys):
    from report.__main__ import main

    (tmp_path / "runs").mkdir()
    words = ["--store", str(tmp_path / "runs"), "--output", str(tmp_path / "page")]
    assert main([*words, "--gpu", str(measured)]) == 0
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "On a GPU" in page
    assert "40,960" in page
    assert main([*words, "--gpu", str(tmp_path / "page")]) == 2


@pytest.mark.slow
def test_a_rehearsal_runs_the_whole_script(tmp_path, monkeypatch):
    """Two frameworks, so that R6 has a pair."""
    monkeypatch.chdir(Path(__file__).resolve().parents[3])
    out = tmp_path / "out"
    words = ["--rehearsal", "--frameworks", "torch", "keras@torch", "--output", str(out)]
    assert command.main(words) == 0
    found = gpu_files.read(out)
    assert {one.status for one in found.steps} == {"done"}, found.steps
    files = sorted(path.name for path in out.iterdir())
    assert len(files) <= 8
    assert set(files) >= {f"{name}.json" for name in (*gpu_files.ANSWERS, "steps")} | {"runs.csv"}
    assert gpu_files.too_large(out) == []
    titles = " ".join(table.title for table in gpu_tables.tables(out))
    for word in ("Limits", "Parity", "speed", "deterministic", "R5a", "R6", "Goals"):
        assert word in titles
    ladder = [
        row for table in gpu_tables.tables(out) if "Parity" in table.title for row in table.rows
    ]
    assert all(row[-1] == "none" for row in ladder)
    seconds = [one.seconds for one in found.steps]
    assert command.main(words) == 0  # goes on: there is nothing left
    assert [one.seconds for one in gpu_files.read(out).steps] == seconds
    assert json.loads((out / "yardstick.json").read_text())
