"""Backends with a fault, for whole runs: a module for each framework has a class for each mutant.

`--frameworks benchmarks.fidelity.faults.backends.torch:rows_of_first_epoch_torch` trains with one,
as with any backend that is named by its class.
"""

from __future__ import annotations

from benchmarks.fidelity.faults import lifecycle
from benchmarks.fidelity.faults.catalog import FAULTS, MUTANTS
from frameworks.backend import Backend, framework


def faulty(name: str) -> dict[str, type[Backend]]:
    """By mutant, the backends of a framework with the faults that any backend can have."""
    made = {}
    for mutant in MUTANTS.values():
        if mutant.framework == name and mutant.fault in lifecycle.FAULTS:
            kind = framework(name).backend(mutant.tuning)
            made[mutant.name] = type(mutant.name, (kind,), lifecycle.FAULTS[mutant.fault](kind))
    return made


def target(mutant: str) -> str:
    """What names a mutant's backend on a command line."""
    return f"{__name__}.{FAULTS[MUTANTS[mutant].framework]}:{mutant}"
