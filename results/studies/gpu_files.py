"""The files of a prepared measurement on a GPU (`python -m benchmarks.gpu`): their form, read."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from results.door.documents import json_file
from results.names import beneath
from results.writer import write

STEPS, RUNS, LOG = "steps.json", "runs.csv", "log.txt"
ANSWERS = ("limits", "parity", "yardstick", "exact", "outcome")  # of each a file of JSON
DONE: Literal["done"] = "done"
MOST_BYTES = 16 * 2**20  # of a file

Status = Literal["not begun", "done", "broken off", "failed", "left out"]


class Told(msgspec.Struct, kw_only=True):
    """Outcome of a step.

    Attributes:
        reason: why the step was not done; empty if it was.
        seconds: time that it took.
        commit: of the code that ran it.
    """

    name: str
    stage: str
    command: str
    status: Status = "not begun"
    reason: str = ""
    seconds: float = 0.0
    commit: str | None = None


class Measurement(msgspec.Struct, kw_only=True):
    """A prepared measurement: where it ran, and what became of every step.

    rehearsal: with tiny sizes on a CPU, whose figures say nothing. missing: frameworks that were
    left out, with the reason. machine, versions: as a run's row has them.
    """

    device: str
    rehearsal: bool
    machine: dict[str, Any] = {}
    versions: dict[str, str] = {}
    missing: dict[str, str] = {}
    steps: list[Told] = []

    @property
    def gpu(self) -> str:
        """The name of the first GPU; empty without one."""
        gpus = self.machine.get("gpus")
        first = gpus[0] if isinstance(gpus, list) and gpus else None
        return str(first.get("name", "")) if isinstance(first, dict) else ""


def read(folder: Path) -> Measurement:
    """The measurement in a folder.

    Raises:
        FileError: there is none, or its file is damaged.
    """
    remedy = "name a folder that `python -m benchmarks.gpu` wrote"
    return json_file(folder / STEPS, Measurement, "a prepared measurement", remedy)


def answers(folder: Path, name: str) -> dict[str, Any]:
    """The answers of a stage by step; none where nothing has been measured yet.

    Raises:
        FileError: the file is damaged.
    """
    path = beneath(folder, name, ending=".json")
    if not path.exists():
        return {}
    return json_file(path, dict[str, Any], "the answers of a prepared measurement")


def keep(folder: Path, name: str, step: str, answer: Any) -> None:
    """Add the answer of a step to its file; the answers of others stay."""
    content = json.dumps({**answers(folder, name), step: answer}, indent=1) + "\n"
    write(beneath(folder, name, ending=".json"), content)


def write_steps(folder: Path, measurement: Measurement) -> None:
    """Write what became of the steps."""
    write(folder / STEPS, msgspec.json.format(msgspec.json.encode(measurement)) + b"\n")


def too_large(folder: Path) -> list[str]:
    """The files that are larger than `MOST_BYTES`."""
    names = (STEPS, RUNS, LOG, *(f"{one}.json" for one in ANSWERS))
    found = []
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            if (folder / name).stat().st_size > MOST_BYTES:
                found.append(name)
    return found
