"""Faults of one framework as changes of its own lines (siblings: torch, keras, flax, which patch by
functions).

They stand in `rewrites/`, a file for each framework, a table for each fault:

    mistake   the user's, in words
    rung      the rung that should fail
    case      the first letters of its case's name
    tuning    left out: idiomatic
    changes   place, below `frameworks`; old, the text that stands there once; new, in its place
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.fidelity.faults.rewritten import Lines, Rewrite
from frameworks.spec.reading import read_table
from results.vocabulary import Tuning


class _Fault(msgspec.Struct, forbid_unknown_fields=True):
    mistake: str
    rung: str
    case: str
    changes: list[dict[str, str]]
    tuning: Tuning = "idiomatic"


def _lines(fault: _Fault) -> Lines:
    changes = [Rewrite(**one) for one in fault.changes]
    placed = tuple(one._replace(place=f"frameworks.{one.place}") for one in changes)
    return Lines(fault.mistake, fault.rung, fault.case, placed, fault.tuning)


FAULTS: dict[str, Lines] = {
    name: _lines(fault)
    for file in ("torch.toml", "keras.toml", "flax.toml")
    for name, fault in msgspec.convert(
        read_table(Path(__file__).with_name("rewrites") / file, "faults"), dict[str, _Fault]
    ).items()
}
