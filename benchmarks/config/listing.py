"""The lists of `python -m benchmarks.run --list`: names that options take, and what each is."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.config import experiment, suite_file
from frameworks.spec import architecture
from results.table import Column, Table


def _networks() -> dict[str, str]:
    names = [*architecture.available(), *architecture.public()]
    return {name: architecture.load(name).title for name in names}


def _datasets() -> dict[str, str]:
    from datasets.catalog import DEMO, PUBLISHED

    own = {DEMO: "galaxies generated here", "FILE or FOLDER": "pictures and labels of your own"}
    return {name: published.source for name, published in PUBLISHED.items()} | own


def _experiments() -> dict[str, str]:
    return {name: experiment.load(name).title for name in experiment.available()}


def _frameworks() -> dict[str, str]:
    from frameworks.backend import frameworks

    lacking = {name: known.missing_packages() for name, known in frameworks().items()}
    return {
        name: f"not installed: needs {', '.join(missing)}" if missing else "installed"
        for name, missing in lacking.items()
    }


def _suites() -> dict[str, str]:
    return {name: suite_file.load(name).description for name in suite_file.available()}


LISTED: dict[str, Callable[[], dict[str, str]]] = {
    "networks": _networks,
    "datasets": _datasets,
    "experiments": _experiments,
    "frameworks": _frameworks,
    "suites": _suites,
}


def listed(what: str) -> Table:
    """A row for each: the name, then what it is."""
    table = Table([Column("", key="name"), Column("", key="about", prose=True)])
    for name, about in LISTED[what]().items():
        table.add(name, about)
    return table
