"""--python NAME=PATH: a label and an interpreter for a version of a framework, and the slowdown."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.process import interpreters, slowdown
from benchmarks.run import main
from frameworks.backend import framework, without_version
from results.store import Store
from tests.helpers.fake_backend import command


def wrapper(directory: Path, name: str = "python") -> Path:
    """An interpreter of its own path that leaves a trace of every start."""
    path = directory / name
    trace = directory / "trace"
    path.write_text(f'#!/bin/sh\necho "$*" >> {trace}\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("label", "base"),
    [
        ("torch", "torch"),
        ("torch@2.12", "torch"),
        ("keras@torch", "keras@torch"),
        ("keras@torch@3.9", "keras@torch"),
        ("jax@0.9.0.1", "jax"),
    ],
)
def test_a_label_is_a_framework_and_its_version(label: str, base: str) -> None:
    assert without_version(label) == base
    assert framework(label).name == label
    assert framework(label).target == framework(base).target


def test_an_engine_that_does_not_exist_is_not_taken_for_a_version() -> None:
    with pytest.raises(ValueError, match="unknown framework 'torch@next'"):
        framework("torch@next")
    with pytest.raises(ValueError, match=r"unknown framework 'tortch@2\.12'"):
        framework("tortch@2.12")


def test_the_ladder_does_not_take_a_version_for_the_installed_one(capsys) -> None:
    from benchmarks.fidelity.__main__ import main as ladder

    assert ladder(["--frameworks", "torch@2.12"]) == 2
    assert "old/bin/python -m benchmarks.fidelity --frameworks torch" in capsys.readouterr().err


def test_two_interpreters_stand_side_by_side_in_one_table(work, capsys) -> None:
    import numpy as np

    label = f"fake@{np.__version__}"  # the fakes' package is NumPy
    path = wrapper(work)
    names = ("fake", label)
    assert main(command("--python", f"{label}={path}", frameworks=names)) == 0
    runs = Store("runs").runs().set_index("framework")
    assert set(runs.index) == set(names)
    assert (runs["status"] == "ok").all()
    assert runs["test_accuracy"].nunique() == 1
    assert runs["run_id"].nunique() == 2
    starts = (work / "trace").read_text().splitlines()
    assert sum("benchmarks.worker" in line for line in starts) == 1
    assert label in capsys.readouterr().out


def test_parity_is_asked_of_the_interpreter_that_runs(work) -> None:
    import numpy as np

    label = f"fake-reference@{np.__version__}"
    (work / "mine.toml").write_text(
        f'frameworks = ["{label}"]\ndataset = "galaxies.h5"\nbatch_size = 16\nepochs = 1\n'
        'architectures = ["linear.toml"]\nthreads = 1\nprecision = "float64"\n'
        "check_parity = true\n"
    )
    path = wrapper(work)
    options = ["--suite", "mine.toml", "--no-report", "--python", f"{label}={path}"]
    assert main(options) == 0
    (row,) = Store("runs").runs().to_dict("records")
    assert row["parity_checked"] is True
    starts = (work / "trace").read_text().splitlines()
    assert sum(f"benchmarks.fidelity.measure {label}" in line for line in starts) == 1
    assert not any("fidelity.measure numpy" in line for line in starts), "the reference is here"


BAD = {
    "no interpreter named": (("fake@0.1",), [], "not 0.1; name one that does: --python fake@0.1="),
    "another version": (("fake@0.1",), ["fake@0.1={python}"], "not 0.1"),
    "no such file": (("fake@0.1",), ["fake@0.1=nowhere/python"], "no such interpreter"),
    "not to be run": (("fake",), ["fake@0.1={python}"], "add it to --frameworks"),
    "unknown framework": (("fake",), ["fkae={python}"], "did you mean 'fake'"),
    "no equals sign": (("fake",), ["fake"], "expected NAME=PATH"),
    "no harness there": (("fake",), ["fake={broken}"], "requirements/core.txt"),
    "not installed there": (("fake-absent",), ["fake-absent={python}"], "has no no_such_package"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_interpreters_are_one_message(work, capsys, case: str) -> None:
    names, given, message = BAD[case]
    broken = work / "broken"
    broken.write_text("#!/bin/sh\necho \"No module named 'msgspec'\" >&2\nexit 1\n")
    broken.chmod(0o755)
    options = []
    for text in given:
        options += ["--python", text.format(python=sys.executable, broken=broken)]
    assert main(command(*options, frameworks=names)) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert message in errors
    assert Store("runs").files() == []


def test_an_interpreters_answer_is_json(capsys) -> None:
    assert interpreters.describe("torch@2.12")["distribution"] == "torch"
    json.dumps(interpreters.describe("jax"))


def test_an_injected_slowdown_is_timed_and_told(work, capsys, monkeypatch) -> None:
    slept: list[float] = []
    with monkeypatch.context() as patch:
        patch.setattr(slowdown.time, "sleep", slept.append)
        slowdown.slow_down(8.0)
        patch.setenv(slowdown.VARIABLE, "0.25")
        slowdown.slow_down(8.0)
    assert slept == [2.0]
    monkeypatch.setenv(slowdown.VARIABLE, "0.25")
    assert main(command(frameworks=("fake-slow",))) == 0
    assert "every epoch takes 25% longer, on purpose" in capsys.readouterr().out
    (row,) = Store("runs").runs().to_dict("records")
    assert json.loads(row["extra"])["injected_slowdown"] == 0.25
    # an epoch of this fake sleeps 0.25 s and cannot take less
    assert row["epoch_seconds_median"] >= 0.25 * 1.25
    monkeypatch.setenv(slowdown.VARIABLE, "")
    slowdown.slow_down(8.0)  # as if it were not set
    monkeypatch.setenv(slowdown.VARIABLE, "much")
    assert main(command()) == 2
    assert "BENCHMARK_SLOWDOWN=much: expected a share" in capsys.readouterr().err
