"""`--defaults`: what each installed framework does when told nothing, side by side.

Read live, each framework in a process of its own (`python -m benchmarks.fidelity.defaults.live
FRAMEWORK` prints one as JSON); `--record` keeps the answers in recorded.json, against
which a test holds the installed versions.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.process.channel import Channel
from benchmarks.process.spawn import ask
from frameworks.backend import framework
from frameworks.spec.defaults import PROJECT
from frameworks.spec.recipe import OPTIMIZERS
from results.writer import write

if TYPE_CHECKING:
    from rich.console import Console


Answer = str | float | bool | None

PROBES = {"keras": "keras", "torch": "torch", "jax": "flax"}
TITLES = {"keras": "Keras", "torch": "PyTorch", "jax": "Flax/optax"}
RECORDED = Path(__file__).with_name("recorded.json")

# What the project does where it is no field of `frameworks.spec.defaults`: the structure of a
# network, which every specification states, and how every backend is set up.
_SETTLED: Mapping[str, Answer] = {
    "conv.kernel_layout": "height, width, in, out",
    "dense.kernel_layout": "in, out",
    "conv.padding": "valid",
    "conv.odd_zero_of_same_at_stride_2": "after",
    "max_pool.stride": "size",
    "flatten.order": "row, column, channel",
    "dropout.rate": "share dropped",
    "dropout.rest": "times 1 / (1 - rate)",
    "relu.gradient_at_0": 0.0,
    "max_pool.tie": "first",
    "loss.takes": "logits",
    "loss.largest": "unbounded",
    "loss.of_a_batch": "mean",
    "batches.shuffled": True,
    "batches.partial": "keep",
    "precision.default": "float32",
    "precision.tf32_matmul": False,
    "precision.tf32_conv": False,
}


@dataclass(frozen=True)
class Reading:
    """The answers of one framework by field, and the versions that gave them.

    `reason` says why there are none.
    """

    framework: str
    versions: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    reason: str = ""


class _Told(msgspec.Struct):
    """The answer of one framework's process."""

    versions: dict[str, str]
    answers: dict[str, Answer | int]  # a whole number stays one


@dataclass(frozen=True)
class Row:
    """One field: the answer of each framework that was read, by name, and the project's value."""

    field: str
    answers: Mapping[str, Answer]
    project: Answer

    @property
    def differs(self) -> bool:
        """Two frameworks answer differently; one without such a thing (None) does not count."""
        return len({answer for answer in self.answers.values() if answer is not None}) > 1


def read(names: Iterable[str] = tuple(PROBES), *, timeout: float = 600.0) -> list[Reading]:
    """Ask each framework, in a process of its own; one that cannot answer says why."""
    return [_read(name, timeout) for name in names]


def _read(name: str, timeout: float) -> Reading:
    if missing := framework(name).missing_packages():
        return Reading(name, reason=f"not installed: {', '.join(missing)}")
    found, reason = ask(
        "benchmarks.fidelity.defaults.live", [name], name, limit=timeout, answer=_Told
    )
    if reason or not found:
        return Reading(name, reason=reason or "no answer")
    return Reading(name, found[0].versions, found[0].answers)


def table(readings: Iterable[Reading] | None = None) -> list[Row]:
    """A row per field, in the order of the fields' names; reads the frameworks unless given.

    A framework that could not be read is in no row: `Reading.reason` says why.
    """
    readings = [r for r in (read() if readings is None else readings) if not r.reason]
    fields = sorted({field for reading in readings for field in reading.answers})
    project = project_values()
    return [
        Row(
            field,
            {r.framework: r.answers[field] for r in readings if field in r.answers},
            project.get(field),
        )
        for field in fields
    ]


def project_values() -> dict[str, Answer]:
    """The project's values under matched parity, by field."""
    values: dict[str, Answer] = {**_SETTLED, **PROJECT}
    for name, kind in OPTIMIZERS.items():
        for part in msgspec.structs.fields(kind):
            values.setdefault(f"{name}.{part.name}", part.default)
    return values


def render(
    readings: Iterable[Reading], console: Console | None = None, *, all_rows: bool = True
) -> None:
    """Print the table; fields in which the frameworks differ stand out, and alone unless
    `all_rows`."""
    from results.table import Cell, Column, Table, show, width_of
    from results.terminal import Terminal

    readings = list(readings)
    titles = [TITLES[reading.framework] for reading in readings]
    grid = Table([Column("field"), *map(Column, titles), Column("project", 1)])
    grid.title = "; ".join(_versions(reading) for reading in readings if reading.versions)
    for row in table(readings):
        if not (row.differs or all_rows):
            continue
        answers = [_text(row.answers.get(reading.framework)) for reading in readings]
        style = "bold" if row.differs else "dim"
        cells = [row.field, *answers, _text(row.project)]
        grid.add(*(Cell(cell, style=style) for cell in cells))
    console = console or Terminal(width=width_of(sys.stdout))
    show(grid, console=console)
    for reading in readings:
        if reading.reason:
            console.print(f"{TITLES[reading.framework]}: not run: {reading.reason}", markup=False)


def _versions(reading: Reading) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in reading.versions.items())
    return f"{TITLES[reading.framework]}: {versions}"


def _text(answer: Answer) -> str:
    if answer is None:
        return "-"
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return answer if isinstance(answer, str) else f"{answer:g}"


def recorded() -> list[Reading]:
    """The answers kept with the project, of the versions that it was tested with."""
    kept = json.loads(RECORDED.read_text(encoding="utf-8"))
    return [Reading(name, part["versions"], part["answers"]) for name, part in kept.items()]


def record(readings: Iterable[Reading]) -> None:
    """Keep the answers.

    Raises:
        ValueError: a framework was not read.
    """
    kept = {}
    for reading in readings:
        if reading.reason:
            raise ValueError(f"nothing recorded: {reading.framework} {reading.reason}")
        kept[reading.framework] = {
            "versions": dict(sorted(reading.versions.items())),
            "answers": dict(sorted(reading.answers.items())),
        }
    write(RECORDED, json.dumps(kept, indent=1) + "\n")


def main(arguments: list[str]) -> int:
    """Answer for one framework, in this process; or record all of them."""
    if arguments == ["--record"]:
        record(read())
        return 0
    from benchmarks.fidelity.defaults.questions import answers

    probe = importlib.import_module(f"benchmarks.fidelity.defaults.{PROBES[arguments[0]]}")
    Channel().send("facts", values={"versions": probe.VERSIONS, "answers": answers(probe)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
