"""Whether a public network and its training can be stated, by stating them.

The rows are facts read from the sources, `docs/evidence/data/survey.toml`. Of each the layer list
is built and its parameters are counted, and the training is converted as a suite file is: so the
answer changes with the vocabulary, and nothing here needs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.config import suite_file
from datasets.galaxy_file import CHANNELS
from frameworks.spec import architecture
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError, read_table
from tests.survey.forms import Form, taken

DATA = Path(__file__).parents[2] / "docs" / "evidence" / "data"
FACTS = DATA / "survey.toml"
JUDGED = DATA / "survey.csv"
_DEFAULTS = {"keras": "keras", "torch": "torch", "fastai": "torch"}  # of what a row leaves open
_NAMED = ("optimizer", "loss", "schedule", "clipping", "precision")  # told with their values


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A repository as its source has it; `FACTS` says what the fields are."""

    number: int
    repository: str
    file: str
    framework: Literal["keras", "torch", "tensorflow", "fastai", "numpy"]
    network: str
    architecture: str
    input: tuple[int, int, int]
    outputs: int
    data: Form
    no_network: tuple[str, ...] = ()
    no_training: tuple[str, ...] = ()
    no_augmentation: tuple[str, ...] = ()
    note: str = ""
    training: dict[str, Any] = {}
    augment: dict[str, Any] = {}


@dataclass(frozen=True)
class Judged:
    """A row, and what of it cannot be stated: a reason each; none where all can.

    parameters: of the network with the row's outputs; 0 where it cannot be written.
    """

    row: Row
    parameters: int = 0
    printed: bool = False
    network: list[str] = field(default_factory=list)
    training: list[str] = field(default_factory=list)
    augmentation: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @cached_property
    def recipe(self) -> bool:
        """The network and its training but for augmentation and the form of the files."""
        return not (self.network or self.training)

    @cached_property
    def whole(self) -> bool:
        """The network, the training, the augmentation and the files."""
        return self.recipe and not (self.augmentation or self.files)


def rows() -> list[Row]:
    """Every row, in order."""
    return msgspec.convert(read_table(FACTS, "survey")["network"], list[Row])


def judged(row: Row) -> Judged:
    """What of a row can be stated today."""
    parameters, printed, network = _network(row)
    accepted, training = _stated(
        {"unstated": _DEFAULTS.get(row.framework, "project"), **row.training}
    )
    _, augmentation = _stated({"augment": row.augment} if row.augment else {}, accepted)
    channels = row.training.get("channels", "rgb")
    files = [] if taken(row.data) else [f"files: {row.data}"]
    if channels not in CHANNELS:
        files.append(f"channels {channels}")
    return Judged(
        row,
        parameters,
        printed,
        [*row.no_network, *network],
        [*row.no_training, *training],
        [*row.no_augmentation, *augmentation],
        files,
    )


def _network(row: Row) -> tuple[int, bool, list[str]]:
    """Parameters, whether its source or library prints a count, and what is wrong."""
    if not row.architecture:
        return 0, False, []
    spec = architecture.load(row.architecture)
    wrong = []
    for count in spec.published:
        made = Network(spec, count.input, count.classes)
        found = made.parameters(), made.parameters(trainable_only=True)
        if found != (count.parameters, count.trainable or found[1]):
            wrong.append(f"counts {found[0]:,} parameters, not {count.parameters:,}")
    try:
        parameters = Network(spec, row.input, row.outputs).parameters()
    except SpecificationError as error:
        return 0, bool(spec.published), [*wrong, str(error)]
    return parameters, bool(spec.published), wrong


def _stated(
    table: dict[str, Any], beside: dict[str, Any] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The fields that a suite takes, beside those it has; the names of those that it does not."""
    accepted = dict(beside or {})
    refused: list[str] = []
    for key, value in table.items():
        if key == "channels":
            continue  # read with the files
        for tried, left_out in _weaker(key, value):
            if _taken({**accepted, key: tried}):
                accepted[key] = tried
                refused += left_out
                break
        else:
            name = value.get("name") if isinstance(value, dict) else value
            named = isinstance(name, str) and key in _NAMED
            refused.append(f"{key} {name}" if named else key)
    return accepted, refused


def _weaker(key: str, value: Any) -> Iterator[tuple[Any, list[str]]]:
    """A value, then what is left of a table without the fields that are not taken."""
    yield value, []
    if isinstance(value, dict):
        base = {"name": value["name"]} if "name" in value else {}
        left_out = []
        for name in value:
            if name not in base and _taken({key: {**base, name: value[name]}}):
                base[name] = value[name]
            elif name not in base:
                left_out.append(f"{key}.{name}")
        if base:
            yield base, left_out


def _taken(table: dict[str, Any]) -> bool:
    try:
        suite_file.convert(table, origin="survey")
    except SpecificationError:
        return False
    return True
