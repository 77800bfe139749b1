"""Differences between two cells: the fields that forbid a comparison until the user allows it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from benchmarks.config.runconfig import RunConfig
from benchmarks.tracking.history import IMPORTED_DIRECTORY, History, Series
from frameworks.backend import without_version
from results.task import WHICH_RUN, flat
from results.vocabulary import near_miss

if TYPE_CHECKING:
    from results.store import Store

# The fields that a user can compare across, and the parts of a configuration that they stand for:
# what the galaxies are, what is trained on them, and every other field by its own name.
_PARTS = {"machine": (), "data": ("data", "split"), "spec": ("architecture", "recipe")}
_NAMED = {part for parts in _PARTS.values() for part in parts}
ACROSS = _PARTS | {
    name: (name,) for name in RunConfig.__struct_fields__ if name not in _NAMED | WHICH_RUN
}
_SHOWN = 3  # differing parts of a field that are spelled out

Differences = dict[str, list[str]]


def check_across(fields: Collection[str]) -> None:
    """Raise ValueError for a field that cannot be compared across."""
    for field in fields:
        if field not in ACROSS:
            raise ValueError(
                f"--across '{field}'{near_miss(field, list(ACROSS))}. Known: {', '.join(ACROSS)}."
            )


class Configurations:
    """The configurations behind cells, read only when two cells have to be told apart.

    Args:
        history: the executions.
        store: where their configurations are.
    """

    def __init__(self, history: History, store: Store) -> None:
        self._history, self._store = history, store
        self._texts: dict[str, tuple[str, str]] | None = None

    def differences(self, first: Series, second: Series) -> Differences:
        """The fields of ACROSS that two cells differ in, each with what differs, in words."""
        found: Differences = {}
        trees = [self._tree(series) for series in (first, second)]
        if first.machine_id != second.machine_id:
            names = [self._machine(series) or series.machine_id[:8] for series in (first, second)]
            found["machine"] = [f"{names[0]} -> {names[1]}"]
        parts = [flat(tree) for tree in trees]
        for name in sorted({*parts[0], *parts[1]}):
            values = [part.get(name) for part in parts]
            if values[0] != values[1]:
                found.setdefault(_field(name), []).append(
                    f"{name} {_short(values[0])} -> {_short(values[1])}"
                )
        if not found:  # the same to the letter, but another hash: say so rather than nothing
            found["spec"] = [f"cell {first.cell_id} -> {second.cell_id}"]
        return found

    def _tree(self, series: Series) -> dict[str, Any]:
        text = self._text(series)[0]
        tree = json.loads(text) if text else {}
        tree = {name: value for name, value in tree.items() if name not in WHICH_RUN}
        tree.setdefault("framework", series.framework)
        return tree

    def _machine(self, series: Series) -> str:
        text = self._text(series)[1]
        machine = json.loads(text) if text else {}
        gpus = [gpu.get("name", "GPU") for gpu in machine.get("gpus") or []]
        words = [machine.get("cpu"), *gpus]
        name = ", ".join(str(word) for word in words if word)
        return f"{name} ({series.machine_id[:8]})" if name else ""

    def _text(self, series: Series) -> tuple[str, str]:
        if self._texts is None:
            self._texts = {}
            from results.store import Store

            columns = ["execution_id", "config", "machine"]
            for store in (self._store, Store(self._store.path / IMPORTED_DIRECTORY)):
                if store.path.is_dir():
                    table = store.table(columns)
                    read = (table[name].to_pylist() for name in columns)
                    self._texts |= {
                        one: (config, on) for one, config, on in zip(*read, strict=True)
                    }
        execution = self._history.value("execution_id", int(series.rows[-1]))
        config, machine = self._texts.get(execution, ("", ""))
        return config or "", machine or ""


def refusal(
    baseline: Series, candidate: Series, differences: Differences, across: Collection[str]
) -> str:
    """Why two cells are not compared, naming the fields and the option that allows it."""
    barring = [field for field in differences if field not in across]
    details = "; ".join(
        f"{field} ({', '.join(differences[field][:_SHOWN])}"
        f"{', ...' if len(differences[field]) > _SHOWN else ''})"
        for field in barring
    )
    options = " ".join(barring)
    return (
        f"comparison refused: baseline '{baseline.label}' and candidate '{candidate.label}' differ "
        f"in {details}. To compare all the same: --across {options}"
    )


def same_framework(first: Series, second: Series) -> bool:
    """True if two cells are of one framework, in whatever version."""
    return without_version(first.framework) == without_version(second.framework)


def _field(name: str) -> str:
    top = name.partition(".")[0]
    for field, parts in ACROSS.items():
        if top in parts:
            return field
    return "spec"


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 24 else f"{text[:12]}..."
