"""Slurm's commands as far as the harness uses them, each job a process of this machine.

`install` puts them on the path of what a test starts. A job is one of an array; they run one after
another, on the nodes n1 and n2 by turns, and squeue tells of all that there ever were. What a test
wants to go wrong it writes into the directory: `refuse` (sbatch fails with these words), `lose`
(the job of this number ends as NODE_FAIL, and does not run), `hide` (squeue fails so many times).
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")


def install(directory: Path, monkeypatch: "pytest.MonkeyPatch", cpus: str = "1 1") -> Path:
    """Make the commands known here, with nodes of so many CPUs; returns their directory."""
    programs = directory / "fake-slurm"
    programs.mkdir()
    for name in _COMMANDS:
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {__file__} {name} "$@"\n')
        program.chmod(0o755)
    (programs / "cpus").write_text(cpus)
    monkeypatch.setenv("FAKE_SLURM", str(programs))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return programs


def calls(programs: Path, command: str) -> list[list[str]]:
    """The arguments of each call of a command so far."""
    log = programs / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    found = [json.loads(line) for line in lines]
    return [words[1:] for words in found if words[0] == command]


def _told(state: Path, name: str) -> str:
    path = state / name
    return path.read_text().strip() if path.exists() else ""


def _option(words: list[str], name: str) -> str:
    return next((w.partition("=")[2] for w in words if w.startswith(f"--{name}=")), "")


@contextlib.contextmanager
def _locked(state: Path) -> Iterator[None]:
    """No other command changes a job meanwhile."""
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _put(job: Path, text: str) -> None:
    """Write a job's state so that nobody reads half of it."""
    half = job.with_suffix(".half")
    half.write_text(text)
    half.replace(job)


def _sbatch(state: Path, words: list[str]) -> int:
    if why := _told(state, "refuse"):
        print(f"sbatch: error: {why}", file=sys.stderr)
        return 1
    array = str(1 + len(list(state.glob("*.script"))))
    script = state / f"{array}.script"
    script.write_text(sys.stdin.read())
    count = int(_option(words, "array").partition("%")[0].partition("-")[2])
    for number in range(1, count + 1):
        (state / f"{array}_{number}.job").write_text("PENDING||Priority")
    runner = [
        sys.executable,
        "-I",
        "-S",
        __file__,
        "run",
        array,
        str(count),
        _option(words, "output"),
    ]
    subprocess.Popen(
        runner,
        cwd=_option(words, "chdir"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    print(array)
    return 0


def _run(state: Path, words: list[str]) -> int:
    array, count, output = words
    for number in range(1, int(count) + 1):
        job = state / f"{array}_{number}.job"
        node = f"n{1 + number % 2}"
        if _told(state, "lose") == str(number):
            _put(job, f"NODE_FAIL|{node}|NodeDown")
        named = {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": str(number)}
        log = Path(output.replace("%A", array).replace("%a", str(number)))
        with _locked(state):
            if not job.read_text().startswith("PENDING"):
                continue
            with log.open("wb") as told:
                process = subprocess.Popen(
                    ["/bin/sh", str(state / f"{array}.script")],
                    env=os.environ | named | {"SLURMD_NODENAME": node},
                    stdout=told,
                    stderr=told,
                )
            (state / f"{array}_{number}.pid").write_text(str(process.pid))
            _put(job, f"RUNNING|{node}|None")
        status = process.wait()
        with _locked(state):
            if job.read_text().startswith("RUNNING"):
                _put(job, f"{'FAILED' if status else 'COMPLETED'}|{node}|None")
    return 0


def _squeue(state: Path, words: list[str]) -> int:
    if (left := int(_told(state, "hide") or 0)) > 0:
        (state / "hide").write_text(str(left - 1))
        print("squeue: error: Unable to contact slurm controller", file=sys.stderr)
        return 1
    for array in _option(words, "jobs").split(","):
        for job in state.glob(f"{array}_*.job"):
            print(f"{job.stem}|{job.read_text()}")
    return 0


def _scancel(state: Path, words: list[str]) -> int:
    arrays = [word for word in words if not word.startswith("-")]
    with _locked(state):
        for job in [j for a in arrays for n in (f"{a}_*", a) for j in state.glob(f"{n}.job")]:
            word, node, _ = job.read_text().split("|")
            if word in ("PENDING", "RUNNING"):
                _put(job, f"CANCELLED|{node}|None")
            if word == "RUNNING":
                os.kill(int(job.with_suffix(".pid").read_text()), 15)
    return 0


def _sinfo(state: Path, words: list[str]) -> int:
    if _option(words, "format") == "%R":
        print("main\ngpu")
    elif _option(words, "partition") in ("", "main", "gpu"):
        print(_told(state, "cpus").replace(" ", "\n"))
    return 0


def _scontrol(state: Path, words: list[str]) -> int:
    print(f"MaxArraySize            = {_told(state, 'array') or 1001}")
    return 0


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    place = Path(os.environ["FAKE_SLURM"])
    with (place / "calls").open("a") as log:
        log.write(json.dumps([command, *rest]) + "\n")
    sys.exit(globals()[f"_{command}"](place, rest))
