"""Every command there is: the same answers to the same mistakes, and a --help that imports little.

Commands are found, not listed: a new one is tested without a line here.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FOLDERS = ("benchmarks", "datasets", "frameworks", "report", "results")
FRAMEWORKS = {"keras", "tensorflow", "torch", "jax", "flax", "optax"}
HEAVY = {"numpy", "pandas", "pyarrow", "matplotlib", "scipy", "h5py", "rich", "jinja2"}
# Started by other commands with arguments that no user writes.
INTERNAL = {
    "benchmarks.cluster.ray_door",
    "benchmarks.fidelity.defaults.live",
    "benchmarks.fidelity.measure",
    "benchmarks.limits.measure",
    "benchmarks.micro.contest",
    "benchmarks.models.maps_worker",
    "benchmarks.port.side",
    "benchmarks.process.child",
    "benchmarks.process.probe",
    "benchmarks.process.interpreters",
    "benchmarks.worker",
    "frameworks.torch.ranks",
}


def entry_points() -> set[str]:
    """Every module of the project that `python -m` runs."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                found.add(".".join(parts).removesuffix(".__main__"))
    return found


COMMANDS = sorted(entry_points() - INTERNAL)

# In one process for each command, as importing is what takes the time: its answers to all of them.
_ANSWERS = """
import contextlib, io, json, runpy, sys
asked, answers = json.loads(sys.argv[1]), []
module = asked.pop(0)
for words in asked:
    out, sys.argv = io.StringIO(), [module, *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            runpy.run_module(module, run_name="__main__")
            status = None
        except SystemExit as end:
            status = end.code
    answers.append((status, out.getvalue()))
print(json.dumps([answers, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def answers(module: str, *asked: list[str]) -> tuple[list[tuple[int, str]], set[str]]:
    """Status and output of the command for each list of words, and what it has imported."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ANSWERS, json.dumps([module, *asked])],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    told, imported = json.loads(done.stdout)
    return [tuple(answer) for answer in told], set(imported)


def test_the_internal_ones_are_there() -> None:
    assert entry_points() >= INTERNAL
    assert {"benchmarks.run", "benchmarks.track", "results", "report"} <= set(COMMANDS)


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_answers_alike(module: str) -> None:
    options = [["--help"], ["--version"], ["--versoin"], ["--versio"], ["--hel"], ["--zzzzz"]]
    told, imported = answers(module, *options)
    (help_status, text), (version_status, version), *refused = told
    assert help_status == version_status == 0
    assert text.startswith(f"usage: python -m {module} ")
    assert version.startswith("galaxy-training-benchmark 0.")
    for (status, output), near in zip(
        refused, ("--version", "--version", "--help", ""), strict=True
    ):
        assert status == 2
        assert output.startswith("error: unknown option '--")
        assert (f"(did you mean '{near}'?)" in output) == bool(near)
        assert f"See python -m {module} --help" in output
    assert not imported & (FRAMEWORKS | HEAVY), "--help would take long"


def test_the_shell_may_complete_every_command() -> None:
    """argcomplete asks only modules that say so at their beginning."""
    for module in COMMANDS:
        path = ROOT.joinpath(*module.split("."))
        file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert file.read_text(encoding="utf-8").startswith("# PYTHON_ARGCOMPLETE_OK\n"), file


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("python -m benchmarks.run --demo-im", {"--demo-images "}),
        ("python -m benchmarks.run --device c", {"cpu", "cuda"}),
        ("python -m benchmarks.run --architectures una", {"unam "}),
        (
            "python -m benchmarks.track gate --candidate-",
            {"--candidate-checkout", "--candidate-python"},
        ),
        ("python -m galaxy_benchmark fid", {"fidelity "}),
    ],
)
def test_what_the_shell_completes(line: str, completed: set[str], tmp_path) -> None:
    output = tmp_path / "completed"
    variables = {
        "_ARGCOMPLETE": "3",  # words ahead of the arguments
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(output),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    command = [sys.executable, "-m", line.split()[2]]
    subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=True)
    assert set(output.read_text(encoding="utf-8").split("\n")) == completed


def test_the_shell_completes_the_one_command(tmp_path) -> None:
    """As its entry point is asked: with one word ahead of the arguments."""
    line, output = "galaxy-benchmark run --demo-im", tmp_path / "completed"
    variables = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(output),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    command = [sys.executable, "-c", "from galaxy_benchmark.__main__ import main; main()"]
    subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=True)
    assert output.read_text(encoding="utf-8") == "--demo-images "


def test_commands_below_a_command_answer_alike() -> None:
    told, _ = answers(
        "benchmarks.track",
        ["gate", "--baslin", "x"],
        ["gat"],
        ["baseline", "sett"],
        ["gate", "--bas"],
    )
    hints = ("'--baseline'", "'gate'", "'set'", "")
    for (status, output), hint in zip(told, hints, strict=True):
        assert status == 2
        assert f"did you mean {hint}" in output
    told, _ = answers("report", ["feature-mapps"], ["feature-maps", "--galxy", "3"])
    assert "did you mean 'feature-maps'" in told[0][1]
    assert "did you mean '--galaxy'" in told[1][1]
